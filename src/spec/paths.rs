//! Paths of a spec: relative to its root, and never out of it.

use std::path::{Component, Path, PathBuf};

use super::files::{Files, Kind};
use super::reader::{Broken, Item, Problems, short};

/// A written path with `.` and `..` worked out, without touching any file.
///
/// # Errors
/// When it is empty, absolute, or leaves the root.
pub(crate) fn relative(text: &str) -> Result<PathBuf, Broken> {
    let bad = |why: &str| {
        let help = "write a path relative to the folder that the spec's images/ and projects/ lie in";
        Err(Broken::new(format!("the path `{}` {why}", short(text)), help))
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
pub(crate) fn real_inside(root: &Path, path: &Path, files: &dyn Files) -> Result<PathBuf, Broken> {
    let shown = path.strip_prefix(root).unwrap_or(path).display();
    let real = files.real(path).map_err(|e| {
        Broken::new(format!("`{shown}` cannot be followed: {e}"), "check the path and its links")
    })?;
    if real.starts_with(root) {
        return Ok(real);
    }
    let message = format!("`{shown}` leads out of the folder of the spec");
    Err(Broken::new(message, "put a copy in place of the symbolic link"))
}

/// A written path to something of a kind, as (path below the root, path without links).
///
/// # Errors
/// When it is not there, of another kind, or out of the root.
pub(crate) fn find(
    root: &Path,
    text: &str,
    kind: Kind,
    files: &dyn Files,
) -> Result<(PathBuf, PathBuf), Broken> {
    let relative = relative(text)?;
    let path = root.join(&relative);
    let what = if kind == Kind::File { "file" } else { "folder" };
    match files.kind(&path) {
        Some(found) if found == kind => Ok((relative, real_inside(root, &path, files)?)),
        Some(_) => Err(Broken::new(format!("`{text}` is not a {what}"), format!("name a {what}"))),
        None => Err(Broken::new(
            format!("there is no {what} `{text}`"),
            "paths are relative to the spec's folder",
        )),
    }
}

/// A written path to a file that may also be absolute and out of the root:
/// those who run a machine put such files on it.
pub(crate) fn anywhere(
    item: Item,
    root: &Path,
    files: &dyn Files,
    problems: &mut Problems,
) -> Option<PathBuf> {
    let text = item.string(problems)?;
    if Path::new(text).is_absolute() && !text.chars().any(char::is_control) {
        return Some(PathBuf::from(text));
    }
    let absolute = |broken: Broken| {
        let help = format!("{}; a file elsewhere is named by its absolute path", broken.help);
        Broken { help, ..broken }.at(&item.place())
    };
    let found = find(root, text, Kind::File, files);
    found.map(|(_, real)| real).map_err(|broken| problems.push(absolute(broken))).ok()
}
