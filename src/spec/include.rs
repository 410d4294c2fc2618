//! `include:` — which files a pattern names.
//!
//! `*` and `?` within one part of a path; nothing else, so that a reader of
//! the spec sees at once which files belong to it.

use std::path::{Path, PathBuf};

use super::files::{Files, Kind};
use super::paths;
use super::reader::Broken;

/// The files that a pattern names, sorted. A pattern with wildcards may name
/// none; a path must exist.
///
/// # Errors
/// When the pattern is none, leaves the root, or names a file that is not there.
pub(crate) fn expand(root: &Path, pattern: &str, files: &dyn Files) -> Result<Vec<PathBuf>, Broken> {
    if pattern.contains("**") || pattern.contains(['[', ']', '{', '}', '\\']) {
        let message = format!("the pattern `{pattern}` has more than `*` and `?`");
        return Err(Broken::new(message, "name each folder, such as projects/*.yml"));
    }
    let relative = paths::relative(pattern)?;
    let mut found = vec![root.to_owned()];
    for part in &relative {
        let part = part.to_string_lossy();
        found = found.into_iter().flat_map(|folder| step(folder, &part, files)).collect();
    }
    if pattern.contains(['*', '?']) {
        found.retain(|path| files.kind(path) == Some(Kind::File));
    } else if found.iter().any(|path| files.kind(path) != Some(Kind::File)) {
        return Err(Broken::new(
            format!("there is no file `{pattern}`"),
            "write the file, or remove the entry",
        ));
    }
    found.sort();
    found.iter().map(|path| paths::real_inside(root, path, files).map(|_| path.clone())).collect()
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
pub(super) fn matches(pattern: &str, name: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::super::files::memory::Memory;
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
        let files = Memory::default()
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
}
