//! Paths of a spec: relative to its root, and never out of it. Which files a
//! pattern of `include:` names, and where the file of a new project belongs.
//!
//! Patterns have `*` and `?` within one part of a path and nothing else, so
//! that a reader of the spec sees at once which files belong to it.

use std::path::{Component, Path, PathBuf};

use super::Spec;
use super::files::{FileKind, Files};
use super::grammar::GrammarError;
use super::reader::{Item, short};
use crate::model::problem::Problem;

/// A written path with `.` and `..` worked out, without touching any file.
///
/// # Errors
/// When it is empty, absolute, or leaves the root.
pub(crate) fn relative(text: &str) -> Result<PathBuf, GrammarError> {
    let bad = |why: &str| {
        let help = "write a path relative to the folder that the spec's images/ and projects/ lie in";
        Err(GrammarError::new(format!("the path `{}` {why}", short(text)), help))
    };
    if text.is_empty() || text.chars().any(char::is_control) {
        return bad("is none");
    }
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            Component::ParentDir => return bad("leaves the folder of the spec"),
            Component::RootDir | Component::Prefix(_) => return bad("is absolute"),
        }
    }
    Ok(path)
}

/// The path without symbolic links, if that still lies in the root.
/// `root` must be without links itself.
///
/// # Errors
/// When there is nothing, or a link leads out of the root.
pub(crate) fn real_inside(root: &Path, path: &Path, files: &dyn Files) -> Result<PathBuf, GrammarError> {
    let shown = path.strip_prefix(root).unwrap_or(path).display();
    let real = files.real(path).map_err(|e| {
        GrammarError::new(format!("`{shown}` cannot be followed: {e}"), "check the path and its links")
    })?;
    if real.starts_with(root) {
        return Ok(real);
    }
    let message = format!("`{shown}` leads out of the folder of the spec");
    Err(GrammarError::new(message, "put a copy in place of the symbolic link"))
}

/// A written path to something of a kind, as (path below the root, path without links).
///
/// # Errors
/// When it is not there, of another kind, or out of the root.
pub(crate) fn find(
    root: &Path,
    text: &str,
    kind: FileKind,
    files: &dyn Files,
) -> Result<(PathBuf, PathBuf), GrammarError> {
    let relative = relative(text)?;
    let path = root.join(&relative);
    let what = if kind == FileKind::File { "file" } else { "folder" };
    match files.kind(&path) {
        Some(found) if found == kind => Ok((relative, real_inside(root, &path, files)?)),
        Some(_) => Err(GrammarError::new(format!("`{text}` is not a {what}"), format!("name a {what}"))),
        None => Err(GrammarError::new(
            format!("there is no {what} `{text}`"),
            "paths are relative to the spec's folder",
        )),
    }
}

/// A written path to a file that may also be absolute and out of the root:
/// those who run a machine put such files on it.
pub(crate) fn anywhere(item: Item, root: &Path, files: &dyn Files) -> Option<PathBuf> {
    let text = item.string()?;
    if Path::new(text).is_absolute() && !text.chars().any(char::is_control) {
        return Some(PathBuf::from(text));
    }
    let found = find(root, text, FileKind::File, files).map_err(|error| {
        let help = format!("{}; a file elsewhere is named by its absolute path", error.help);
        GrammarError { help, ..error }
    });
    item.accept(found).map(|(_, real)| real)
}

/// The files that a pattern names, sorted. A pattern with wildcards may name
/// none; a path must exist.
///
/// # Errors
/// When the pattern is none, leaves the root, or names a file that is not there.
pub(crate) fn expand(root: &Path, pattern: &str, files: &dyn Files) -> Result<Vec<PathBuf>, GrammarError> {
    if pattern.contains("**") || pattern.contains(['[', ']', '{', '}', '\\']) {
        let message = format!("the pattern `{pattern}` has more than `*` and `?`");
        return Err(GrammarError::new(message, "name each folder, such as projects/*.yml"));
    }
    let relative = relative(pattern)?;
    let mut found = vec![root.to_owned()];
    for part in &relative {
        let part = part.to_string_lossy();
        found = found.into_iter().flat_map(|folder| step(folder, &part, files)).collect();
    }
    if pattern.contains(['*', '?']) {
        found.retain(|path| files.kind(path) == Some(FileKind::File));
    } else if found.iter().any(|path| files.kind(path) != Some(FileKind::File)) {
        return Err(GrammarError::new(
            format!("there is no file `{pattern}`"),
            "write the file, or remove the entry",
        ));
    }
    found.sort();
    found.iter().map(|path| real_inside(root, path, files).map(|_| path.clone())).collect()
}

fn step(folder: PathBuf, part: &str, files: &dyn Files) -> Vec<PathBuf> {
    if !part.contains(['*', '?']) {
        return vec![folder.join(part)];
    }
    // A folder that cannot be listed holds no file that could be read.
    let names = files.list(&folder).unwrap_or_default();
    names.iter().filter(|name| matches(part, name)).map(|name| folder.join(name)).collect()
}

/// Whether a name fits; names that begin with a dot only fit a written dot.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stood, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, reach)) => {
                    star = Some((at, reach + 1));
                    p = at + 1;
                    n = reach + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The path of a new project's file, absolute. `account`: the owner's account
/// name, for a project whose name another file has, and for patterns with a
/// folder for each person (`projects/*/*.yml`).
///
/// # Errors
/// No pattern covers it, the names are taken, or the folder leads elsewhere.
pub(crate) fn new_project_file(
    spec: &Spec,
    account: &str,
    project: &str,
    files: &dyn Files,
) -> Result<PathBuf, Problem> {
    let named = |stem: String| ["yml", "yaml"].map(|extension| format!("{stem}.{extension}"));
    let names = [named(project.to_owned()), named(format!("{account}-{project}"))].concat();
    let mut taken = None;
    for pattern in &spec.include {
        let Some((folder, last)) = folder(pattern, account) else { continue };
        let fit: Vec<&String> = names.iter().filter(|name| matches(&last, name)).collect();
        // One of the two endings is enough.
        let ending = fit.first().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
        for name in fit.iter().filter(|name| name.rsplit_once('.').map(|(_, e)| e) == ending) {
            let path = folder.join(name);
            if files.kind(&spec.root.join(&path)).is_none() {
                let whole = spec.root.join(&folder);
                if leads_out(&whole, &spec.root, files) {
                    let problem =
                        Problem::new(format!("`{}` leads out of the folder of the spec", folder.display()));
                    let help = "put a folder in place of the symbolic link; nothing was written";
                    return Err(problem.help(help));
                }
                return Ok(files.real(&whole).unwrap_or(whole).join(name));
            }
            taken.get_or_insert(path);
        }
    }
    Err(match taken {
        Some(file) => Problem::new(format!("there is a file {} already", file.display()))
            .help("choose another name for the project"),
        None => Problem::new("the spec takes in no new project files")
            .help("add `include: [projects/*.yml]` to it; nothing was written"),
    })
}

/// Whether what there is of a folder lies elsewhere; what is missing is made in it.
fn leads_out(folder: &Path, root: &Path, files: &dyn Files) -> bool {
    let Ok(root) = files.real(root) else { return false };
    let there = folder.ancestors().find_map(|folder| files.real(folder).ok());
    there.is_some_and(|there| !there.starts_with(root))
}

/// Folder and last part of a pattern that can cover new files. A folder that
/// is `*` is the person's own.
fn folder(pattern: &str, account: &str) -> Option<(PathBuf, String)> {
    let relative = relative(pattern).ok()?;
    let last = relative.file_name()?.to_str()?.to_owned();
    let mut folder = PathBuf::new();
    for part in relative.parent()? {
        match part.to_str()? {
            "*" => folder.push(account),
            part if part.contains(['*', '?']) => return None,
            part => folder.push(part),
        }
    }
    last.contains(['*', '?']).then_some((folder, last))
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::MemoryFiles;
    use super::super::{SpecContext, read};
    use super::*;

    #[test]
    fn wildcards_fit_within_one_name() {
        for (pattern, name, fits) in [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("*.yml", ".a.yml", false),
            (".*.yml", ".a.yml", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?.yml", "ä.yml", true),
            ("?.yml", "ab.yml", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_give_sorted_files_of_the_root() {
        let files = MemoryFiles::default()
            .file("/r/p/b.yml", "")
            .file("/r/p/a.yml", "")
            .file("/r/p/x.yml/folder", "")
            .file("/r/q/a.yml", "")
            .file("/out/a.yml", "")
            .link("/r/p/link.yml", "/out/a.yml");
        let root = Path::new("/r");
        let named = |pattern: &str| expand(root, pattern, &files);
        assert_eq!(named("q/*.yml").unwrap(), [PathBuf::from("/r/q/a.yml")]);
        assert_eq!(named("*/a.yml").unwrap(), [PathBuf::from("/r/p/a.yml"), PathBuf::from("/r/q/a.yml")]);
        assert!(named("nowhere/*.yml").unwrap().is_empty());
        assert!(named("p/*.yml").unwrap_err().message.contains("leads out of"));
        for bad in ["p/c.yml", "p", "../out/a.yml", "/out/a.yml", "**/a.yml", "p/[ab].yml", ""] {
            assert!(named(bad).is_err(), "{bad}");
        }
    }

    fn at(include: &str, taken: &[&str]) -> Result<String, String> {
        in_files(include, taken, MemoryFiles::default())
    }

    fn in_files(include: &str, taken: &[&str], files: MemoryFiles) -> Result<String, String> {
        let spec = format!(
            "tag: {{prefix: t1}}\ninclude: {include}\nusers: {{ann: {{uid: 1001}}}}\nbases: {{b: {{image: x}}}}\n"
        );
        let other = |n: usize| format!("p{n}: {{user: ann, image: b}}\n");
        let files = files.file("/r/spec.yml", spec);
        let files = taken.iter().enumerate().fold(files, |files, (n, path)| files.file(path, other(n)));
        let spec = read(Path::new("/r"), Path::new("spec.yml"), &SpecContext::of(&files)).unwrap();
        let path = new_project_file(&spec, "ann", "thesis", &files);
        path.map(|path| path.display().to_string()).map_err(|problem| problem.message)
    }

    #[test]
    fn a_project_gets_a_file_of_its_name_and_if_another_has_that_of_its_owners_too() {
        let mine = "/r/projects/ann-thesis.yml".to_owned();
        assert_eq!(at("[projects/*.yml]", &[]).unwrap(), "/r/projects/thesis.yml");
        assert_eq!(at("[projects/*.yml]", &["/r/projects/thesis.yml"]), Ok(mine));
        let both = ["/r/projects/thesis.yml", "/r/projects/ann-thesis.yml"];
        assert_eq!(at("[projects/*.yml]", &both), Err("there is a file projects/thesis.yml already".into()));
    }

    #[test]
    fn the_pattern_says_folder_ending_and_whether_people_have_folders() {
        assert_eq!(at("[p/*/*.yaml]", &[]).unwrap(), "/r/p/ann/thesis.yaml");
        assert_eq!(at("[\"??????.yml\"]", &[]).unwrap(), "/r/thesis.yml");
        assert_eq!(at("[p/ann-*.yml]", &[]).unwrap(), "/r/p/ann-thesis.yml");
        assert_eq!(at("[p/x-*.yml, q/*]", &[]).unwrap(), "/r/q/thesis.yml");
    }

    #[test]
    fn a_folder_that_leads_out_of_the_spec_s_is_no_place() {
        let linked = || MemoryFiles::default().link("/r/projects", "/home/x").file("/home/x/y/z", "");
        let outside = Err("`projects` leads out of the folder of the spec".into());
        assert_eq!(in_files("[projects/*.yml]", &[], linked()), outside);
        let below = Err("`projects/ann` leads out of the folder of the spec".into());
        assert_eq!(in_files("[projects/*/*.yml]", &[], linked()), below);
        let inside = MemoryFiles::default().link("/r/projects", "/r/p").file("/r/p/z", "");
        assert_eq!(in_files("[projects/*.yml]", &[], inside).unwrap(), "/r/p/thesis.yml");
    }

    #[test]
    fn without_a_pattern_there_is_no_place() {
        let none = Err("the spec takes in no new project files".to_owned());
        assert_eq!(at("[projects/one.yml]", &["/r/projects/one.yml"]), none);
        assert_eq!(at("[\"pro*/one.yml\"]", &[]), none);
        assert_eq!(at("[]", &[]), none);
    }
}
