//! Where the file of a new project belongs: somewhere that `include:` names.
//! Looks at names of files only.

use std::path::{Path, PathBuf};

use super::Spec;
use super::files::Files;
use super::include::matches;
use super::paths;

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// No pattern of `include:` covers a new file.
    NoPattern,
    /// All names that it could have are taken; the first of them, below the root.
    Taken(PathBuf),
    /// The folder, below the root, leads out of it by a symbolic link.
    Outside(PathBuf),
}

/// The path of a new project's file, absolute. `account`: the owner's account
/// name, for a project whose name another file has, and for patterns with a
/// folder for each person (`projects/*/*.yml`).
///
/// # Errors
/// No pattern covers it, the names are taken, or the folder leads elsewhere.
pub(crate) fn place(
    spec: &Spec,
    account: &str,
    project: &str,
    files: &dyn Files,
) -> Result<PathBuf, NoPlace> {
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
                    return Err(NoPlace::Outside(folder));
                }
                return Ok(files.real(&whole).unwrap_or(whole).join(name));
            }
            taken.get_or_insert(path);
        }
    }
    Err(taken.map_or(NoPlace::NoPattern, NoPlace::Taken))
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
    let relative = paths::relative(pattern).ok()?;
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
    use super::super::files::memory::Memory;
    use super::super::{World, read};
    use super::*;

    fn at(include: &str, taken: &[&str]) -> Result<String, NoPlace> {
        in_files(include, taken, Memory::default())
    }

    fn in_files(include: &str, taken: &[&str], files: Memory) -> Result<String, NoPlace> {
        let spec = format!(
            "tag: {{prefix: t1}}\ninclude: {include}\nusers: {{ann: {{uid: 1001}}}}\nbases: {{b: {{image: x}}}}\n"
        );
        let other = |n: usize| format!("p{n}: {{user: ann, image: b}}\n");
        let files = files.file("/r/spec.yml", spec);
        let files = taken.iter().enumerate().fold(files, |files, (n, path)| files.file(path, other(n)));
        let spec = read(Path::new("/r"), Path::new("spec.yml"), &World::of(&files)).unwrap();
        place(&spec, "ann", "thesis", &files).map(|path| path.display().to_string())
    }

    #[test]
    fn a_project_gets_a_file_of_its_name_and_if_another_has_that_of_its_owners_too() {
        let mine = "/r/projects/ann-thesis.yml".to_owned();
        assert_eq!(at("[projects/*.yml]", &[]).unwrap(), "/r/projects/thesis.yml");
        assert_eq!(at("[projects/*.yml]", &["/r/projects/thesis.yml"]), Ok(mine));
        let both = ["/r/projects/thesis.yml", "/r/projects/ann-thesis.yml"];
        assert_eq!(at("[projects/*.yml]", &both), Err(NoPlace::Taken("projects/thesis.yml".into())));
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
        let linked = || Memory::default().link("/r/projects", "/home/x").file("/home/x/y/z", "");
        let outside = Err(NoPlace::Outside("projects".into()));
        assert_eq!(in_files("[projects/*.yml]", &[], linked()), outside);
        let below = Err(NoPlace::Outside("projects/ann".into()));
        assert_eq!(in_files("[projects/*/*.yml]", &[], linked()), below);
        let inside = Memory::default().link("/r/projects", "/r/p").file("/r/p/z", "");
        assert_eq!(in_files("[projects/*.yml]", &[], inside).unwrap(), "/r/p/thesis.yml");
    }

    #[test]
    fn without_a_pattern_there_is_no_place() {
        assert_eq!(at("[projects/one.yml]", &["/r/projects/one.yml"]), Err(NoPlace::NoPattern));
        assert_eq!(at("[\"pro*/one.yml\"]", &[]), Err(NoPlace::NoPattern));
        assert_eq!(at("[]", &[]), Err(NoPlace::NoPattern));
    }
}
