//! JupyterLab in a home: a kernel that is called as the project is, and
//! settings under which a server in a container can be reached, by whoever
//! has its token. Knows nothing of how JupyterLab is installed.

use super::facts::join;
use super::home_of;
use super::tree::Tree;
use crate::model::account::Account;
use crate::model::names::ProjectName;

/// Where Jupyter keeps a person's settings, below the home.
const CONFIG: &str = ".jupyter";
/// Where it looks for kernels, below the home.
const KERNELS: &str = ".local/share/jupyter/kernels";

/// Each program reads a file of its own name besides the server's, and what
/// stands there wins: a base's file for JupyterLab would undo ours.
const PROGRAMS: [&str; 2] = ["jupyter_lab_config", "jupyter_notebook_config"];
const SERVER: &str = "jupyter_server_config";

/// Folders that the files lie in, below the home, parents first.
pub(super) fn folders(account: &Account) -> Vec<String> {
    let Some(project) = &account.jupyter else { return Vec::new() };
    let kernel = format!("{KERNELS}/{project}");
    let parts = kernel.match_indices('/').map(|(end, _)| kernel[..end].to_owned()).collect::<Vec<_>>();
    parts.into_iter().chain([kernel, CONFIG.to_owned()]).collect()
}

/// Puts the files into the tree, in place of any that are there: they say who
/// may reach the server, and a home's kernel is the project's.
pub(super) fn lay(tree: &mut Tree<'_>, account: &Account, mode_of: impl Fn(&str) -> Option<u32>) {
    let Some(project) = &account.jupyter else { return };
    let home = home_of(account);
    for folder in folders(account) {
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
    use super::super::disk::{account, debian};
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
        assert!(folders(&ada).is_empty());
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
