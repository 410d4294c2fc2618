//! The home directory: skeleton files, `~/.local/bin`, a `.bashrc`, and what
//! JupyterLab reads there.
//! A home that is already there is never emptied and never given away.

use super::base::{BaseFacts, FactKind, FileFact, UserLayerInput, join};
use super::checks::AccountError;
use super::databases::AccountInBase;
use super::{Tree, home_of};
use crate::model::account::Account;
use crate::model::names::ProjectName;

pub(super) const SKELETON: &str = "/etc/skel";

/// What login shells read, the one that all of them do first.
const LOGIN_FILES: [&str; 3] = [".profile", ".bash_profile", ".bash_login"];

/// First and last line of our part of `.bashrc`.
const BLOCK_BEGIN: &str = "# >>> ds01 >>>";
const BLOCK_END: &str = "# <<< ds01 <<<";

/// What can be said of a folder that would have to be free of user files.
pub(super) struct HomeContents {
    /// Unknown so far.
    pub(crate) inputs: Vec<UserLayerInput>,
    /// A path that is neither of the skeleton nor an empty folder.
    pub(crate) user_file: Option<String>,
}

/// Looks for user files in a home.
pub(super) fn home_contents(base: &BaseFacts, home: &str) -> HomeContents {
    let mut home_contents = HomeContents { inputs: Vec::new(), user_file: None };
    add_folder_contents(base, home, SKELETON, &mut home_contents);
    if home_contents.user_file.is_some() {
        home_contents.inputs.clear();
    }
    home_contents
}

fn add_folder_contents(base: &BaseFacts, folder: &str, skeleton: &str, home_contents: &mut HomeContents) {
    let input = UserLayerInput::Entries(folder.to_owned());
    if !base.answers(&input) {
        home_contents.inputs.push(input);
        return;
    }
    for path in base.children(folder) {
        let twin = join(skeleton, path.rsplit('/').next().unwrap_or_default());
        match base.get(&path).map(|fact| &fact.kind) {
            Some(FactKind::Dir(_)) => add_folder_contents(base, &path, &twin, home_contents),
            Some(FactKind::File(None)) if base.get(&twin).is_some() => {
                home_contents.inputs.push(UserLayerInput::Content(path))
            }
            Some(FactKind::File(Some(bytes))) if base.content(&twin) == Some(bytes) => {}
            _ => home_contents.user_file = Some(path),
        }
    }
}

/// The home of the base's own entry for this uid, if it is another folder
/// and belongs to the uid. Its entries must be known.
pub(super) fn old_home<'a>(
    base: &BaseFacts,
    account: &Account,
    account_in_base: &'a AccountInBase,
) -> Option<&'a str> {
    let AccountInBase::Known { home, .. } = account_in_base else { return None };
    let owned = base.get(home).is_some_and(|fact| fact.uid == account.uid);
    (*home != home_of(account) && owned).then_some(home)
}

/// Whether the account can have its home without anybody losing files.
///
/// # Errors
/// If the old home of the uid, or a folder of another uid that lies where the
/// home will be, holds user files.
pub(super) fn check(
    base: &BaseFacts,
    account: &Account,
    account_in_base: &AccountInBase,
    notes: &mut Vec<String>,
) -> Result<(), AccountError> {
    let free_it = "use a base without these files, or move them away in an image between";
    if let (Some(old), AccountInBase::Known { name, .. }) =
        (old_home(base, account, account_in_base), account_in_base)
    {
        if let Some(file) = home_contents(base, old).user_file {
            return Err(AccountError::new(
                format!(
                    "uid {} of `{}` is `{}` in the base, whose home holds files (`{file}`)",
                    account.uid,
                    account.name,
                    String::from_utf8_lossy(name)
                ),
                free_it,
            ));
        }
        notes.push(format!("the base's `{old}` holds nothing but skeleton files; it stays and is not used"));
    }
    let home = home_of(account);
    match base.get(&home) {
        Some(fact) if fact.uid != account.uid => match home_contents(base, &home).user_file {
            Some(file) => Err(AccountError::new(
                format!(
                    "`{home}` of the base belongs to uid {}, not {}, and holds `{file}`",
                    fact.uid, account.uid
                ),
                free_it,
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// What the skeleton holds, by path below it, folders first.
pub(super) fn skeleton(base: &BaseFacts) -> Vec<(String, &FileFact)> {
    let mut found = Vec::new();
    let mut folders = vec![SKELETON.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in base.children(&folder) {
            if let Some(fact) = base.get(&path) {
                found.push((path[SKELETON.len() + 1..].to_owned(), fact));
                if matches!(fact.kind, FactKind::Dir(_)) {
                    folders.push(path);
                }
            }
        }
    }
    found
}

/// Puts the home into the tree.
pub(super) fn add_home(tree: &mut Tree<'_>, base: &BaseFacts, account: &Account, notes: &mut Vec<String>) {
    let home = home_of(account);
    // Files of a home that is the account's already are not touched.
    let kept = |path: &str| base.get(path).filter(|_| base.get(&home).is_some_and(|h| h.uid == account.uid));
    let mut folder = |path: &str, mode: u32| {
        tree.dir(path, kept(path).map_or(mode, |fact| fact.mode), account.uid, account.gid);
    };
    folder(&home, 0o755);
    folder(&join(&home, ".local"), 0o755);
    folder(&join(&home, ".local/bin"), 0o755);
    for (name, fact) in skeleton(base) {
        let path = join(&home, &name);
        match &fact.kind {
            FactKind::Dir(_) => tree.dir(&path, kept(&path).unwrap_or(fact).mode, account.uid, account.gid),
            FactKind::File(Some(_)) if kept(&path).is_some() || name == ".bashrc" => {}
            FactKind::File(Some(bytes)) => {
                tree.file(&path, bytes.clone(), fact.mode, account.uid, account.gid);
            }
            _ => notes.push(format!("`{SKELETON}/{name}` is neither a file nor a folder and is left out")),
        }
    }
    if let Some(FactKind::Symlink(target)) = base.get(SKELETON).map(|fact| &fact.kind) {
        notes.push(format!("`{SKELETON}` of the base is a link to `{target}` and is not followed"));
    }
    add_bashrc(tree, base, account, notes);
    add_profile(tree, base, account);
}

/// Login shells read no `.bashrc`, and `/etc/profile` sets PATH anew. Where
/// the base has a file for them, that is left to it, as Debian's does it.
fn add_profile(tree: &mut Tree<'_>, base: &BaseFacts, account: &Account) {
    let home = home_of(account);
    let has = |name: &&str| [SKELETON, &home].iter().any(|folder| base.get(&join(folder, name)).is_some());
    if !LOGIN_FILES.iter().any(has) {
        let text = format!("{BLOCK_BEGIN}\n{}{BLOCK_END}\n", path_lines(account));
        tree.file(&join(&home, LOGIN_FILES[0]), text.into_bytes(), 0o644, account.uid, account.gid);
    }
}

fn add_bashrc(tree: &mut Tree<'_>, base: &BaseFacts, account: &Account, notes: &mut Vec<String>) {
    let path = join(&home_of(account), ".bashrc");
    let theirs = base.get(&path);
    let found = theirs.or_else(|| base.get(&join(SKELETON, ".bashrc")));
    let (mut bytes, mode) = match found.map(|fact| (&fact.kind, fact.mode)) {
        Some((FactKind::File(Some(bytes)), mode)) => (bytes.clone(), mode),
        Some(_) if theirs.is_some() => {
            notes.push(format!("`{path}` of the base is not a file and is left as it is"));
            return;
        }
        _ => (Vec::new(), 0o644),
    };
    if !contains(&bytes, BLOCK_BEGIN.as_bytes()) {
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(bashrc_block(account).as_bytes());
    }
    tree.file(&path, bytes, mode, account.uid, account.gid);
}

fn bashrc_block(account: &Account) -> String {
    format!(
        r"{BLOCK_BEGIN}
{path}PS1='\u@\h:\w\$ '
{BLOCK_END}
",
        path = path_lines(account)
    )
}

fn path_lines(account: &Account) -> String {
    format!(
        r#"export HOME={home}
case ":$PATH:" in
    *":$HOME/.local/bin:"*) ;;
    *) export PATH="$HOME/.local/bin:$PATH" ;;
esac
"#,
        home = home_of(account)
    )
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

// JupyterLab in a home: a kernel that is called as the project is, and
// settings under which a server in a container can be reached, by whoever
// has its token. Knows nothing of how JupyterLab is installed.

/// Where Jupyter keeps a person's settings, below the home.
const CONFIG: &str = ".jupyter";
/// Where it looks for kernels, below the home.
const KERNELS: &str = ".local/share/jupyter/kernels";

/// Each program reads a file of its own name besides the server's, and what
/// stands there wins: a base's file for JupyterLab would undo ours.
const PROGRAMS: [&str; 2] = ["jupyter_lab_config", "jupyter_notebook_config"];
const SERVER: &str = "jupyter_server_config";

/// Folders that the files lie in, below the home, parents first.
pub(super) fn jupyter_folders(account: &Account) -> Vec<String> {
    let Some(project) = &account.jupyter else { return Vec::new() };
    let kernel = format!("{KERNELS}/{project}");
    let parts = kernel.match_indices('/').map(|(end, _)| kernel[..end].to_owned()).collect::<Vec<_>>();
    parts.into_iter().chain([kernel, CONFIG.to_owned()]).collect()
}

/// Puts the files into the tree, in place of any that are there: they say who
/// may reach the server, and a home's kernel is the project's.
pub(super) fn add_jupyter(tree: &mut Tree<'_>, account: &Account, mode_of: impl Fn(&str) -> Option<u32>) {
    let Some(project) = &account.jupyter else { return };
    let home = home_of(account);
    for folder in jupyter_folders(account) {
        let path = join(&home, &folder);
        let mode = if folder == CONFIG { 0o700 } else { 0o755 };
        tree.dir(&path, mode_of(&path).unwrap_or(mode), account.uid, account.gid);
    }
    let mut file = |path: &str, text: String| {
        tree.file(&join(&home, path), text.into_bytes(), 0o644, account.uid, account.gid);
    };
    file(&format!("{KERNELS}/{project}/kernel.json"), kernel(project));
    file(&format!("{CONFIG}/{SERVER}.py"), server(project));
    for program in PROGRAMS {
        file(&format!("{CONFIG}/{program}.py"), format!("load_subconfig(\"{SERVER}.py\")\n"));
    }
    // What is in JSON wins over what is beside it in Python.
    for name in PROGRAMS.into_iter().chain([SERVER]) {
        file(&format!("{CONFIG}/{name}.json"), "{}\n".to_owned());
    }
}

/// Python by its name alone: the one that comes first is the one that the
/// packages were installed for.
fn kernel(project: &ProjectName) -> String {
    let kernel = serde_json::json!({
        "argv": ["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": project.as_str(),
        "language": "python",
        "metadata": {"debugger": true},
    });
    format!("{kernel:#}\n")
}

fn server(project: &ProjectName) -> String {
    include_str!("jupyter_server_config.py").replace("@PROJECT@", project.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::tests::memory::{account, debian};
    use super::super::{FileKind, layer};
    use super::*;

    fn person() -> Account {
        Account { jupyter: Some(ProjectName::new("thesis")), ..account("ada", 1_722_830_498, 1_722_830_498) }
    }

    #[test]
    fn a_home_gets_a_kernel_of_the_project_and_settings_that_ask_for_a_token() {
        let base = debian();
        let layer = layer(&base.facts(&person()), &person()).unwrap();
        let mut text = String::new();
        for node in
            layer.nodes.iter().filter(|n| n.path.contains("jupyter") || n.path.contains(".local/share"))
        {
            text += &format!("{:04o} {} {}\n", node.mode, node.uid, node.path);
            if let FileKind::File(bytes) = &node.kind {
                text.extend(String::from_utf8_lossy(bytes).lines().map(|line| format!("    {line}\n")));
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn without_jupyter_there_is_nothing_of_it() {
        let ada = account("ada", 5000, 5000);
        assert!(jupyter_folders(&ada).is_empty());
        let layer = layer(&debian().facts(&ada), &ada).unwrap();
        assert!(!layer.nodes.iter().any(|node| node.path.contains("jupyter")));
    }

    #[test]
    fn settings_of_the_base_are_replaced_and_its_folders_keep_their_modes() {
        let ada = person();
        let (uid, open) = (ada.uid, "c.IdentityProvider.token = ''\n");
        let mut base = debian().dir("/home/ada", 0o750, uid, uid).dir("/home/ada/.jupyter", 0o711, uid, uid);
        let files = || {
            let names = PROGRAMS.into_iter().chain([SERVER]);
            names.flat_map(|name| ["py", "json"].map(|kind| format!("/home/ada/.jupyter/{name}.{kind}")))
        };
        for path in files() {
            base = base.file(&path, open, 0o600, uid, uid);
        }
        for folder in [".local", ".local/share", ".local/share/jupyter"] {
            base = base.dir(&join("/home/ada", folder), 0o755, uid, uid);
        }
        let base = base.dir("/home/ada/.local/share/jupyter/kernels", 0o705, uid, uid);
        let layer = layer(&base.facts(&ada), &ada).unwrap();
        let node = |path: &str| layer.nodes.iter().find(|node| node.path == path).unwrap();
        assert_eq!(node("/home/ada/.jupyter").mode, 0o711);
        assert_eq!(node("/home/ada/.local/share/jupyter/kernels").mode, 0o705);
        for path in files() {
            assert!(node(&path).kind != FileKind::File(open.into()), "{path}");
        }
    }
}
