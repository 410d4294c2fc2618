//! The folders of the host that are mounted, resolved as they lie on the disk.
//!
//! A path is followed to where it leads, which must lie in an allowed folder,
//! and is then walked from that folder part by part without following links:
//! what was checked is what the engine is told. The engine opens the path once
//! more at each start, so who owns a folder on the way can still put a link in
//! its place in between; that reaches no further than the engine's socket, which
//! such a person has.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::DeployError;
use super::mounts::{AllowedFolder, AllowedFolders, DATA, Location, MODELS, MountError, MountSpec};
use super::owner::Owner;
use crate::engine::Mount;
use crate::host::people::People;
use crate::model::account::Account;

const WORKSPACE_HELP: &str = "say another with --workspace DIR";

/// What a container gets of the host.
#[derive(Debug)]
pub(crate) struct Folders {
    workspace: PathBuf,
    /// Where the walk to the workspace begins.
    root: PathBuf,
    pub(crate) mounts: Vec<Mount>,
}

impl Folders {
    /// Absolute, without links; perhaps not there yet.
    pub(crate) fn workspace(&self) -> &Path {
        &self.workspace
    }
}

/// What was typed of folders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypedFolders<'a> {
    /// What relative paths are below.
    pub(crate) here: &'a Path,
    pub(crate) workspace: Option<&'a Path>,
    pub(crate) data: Option<&'a Path>,
    pub(crate) models: Option<&'a Path>,
    /// `SRC:DST`, `SRC:DST:ro`.
    pub(crate) mounts: &'a [String],
}

/// Finds them: the workspace that was named, or `workspace/NAME` in the
/// owner's home, and what else is to be mounted. Makes nothing.
///
/// # Errors
/// The owner has no home here, a folder is missing, or it may not be mounted.
pub(crate) fn find(
    typed: TypedFolders<'_>,
    name: &str,
    owner: &Owner,
    people: &dyn People,
    administrator: bool,
) -> Result<Folders, DeployError> {
    let mounts = typed_mounts(typed)?;
    let home = home(people, &owner.account);
    let allowed = allowed(owner, home.as_ref().ok().map(PathBuf::as_path), administrator);
    let (workspace, for_it) = match typed.workspace {
        Some(folder) => (typed.here.join(folder), allowed.clone()),
        // Nobody said this folder: where it leads is its owner's word alone.
        None => (home?.join("workspace").join(name), AllowedFolders { anywhere: false, ..allowed.clone() }),
    };
    let real = where_it_is(&workspace).map_err(|error| unusable(&workspace, &error, WORKSPACE_HELP))?;
    let Location { root, read_only } = for_it.locate(&workspace, &real)?;
    if read_only {
        return Err(MountError::ReadOnlyWorkspace { path: real }.into());
    }
    if real.exists() {
        writable(&real)?;
    }
    let mounts = mounts.iter().map(|one| mount(typed.here, &allowed, one)).collect::<Result<_, _>>()?;
    Ok(Folders { workspace: real, root, mounts })
}

/// Makes a missing workspace, owned by the person it is for.
///
/// # Errors
/// It cannot be made, or a part of the way is not what it was.
pub(crate) fn make(folders: &Folders, account: &Account) -> Result<(), DeployError> {
    let workspace = &folders.workspace;
    let owner = rustix::process::getuid().is_root().then_some(account);
    walk(&folders.root, workspace, owner.map_or(Missing::Make, Missing::MakeFor))
        .map(drop)
        .map_err(|error| unusable(workspace, &error, WORKSPACE_HELP))
}

/// The owner's home on this machine.
fn home(people: &dyn People, account: &Account) -> Result<PathBuf, DeployError> {
    let person = people.by_uid(account.uid).map_err(|why| {
        DeployError::refused(format!("the workspace cannot be found: {why}"), "say --workspace DIR")
    })?;
    person.and_then(|person| person.home).ok_or_else(|| {
        let message = format!(
            "{} (uid {}) has no home folder on this machine to take the workspace from",
            account.login, account.uid
        );
        DeployError::refused(message, "say --workspace DIR")
    })
}

/// The owner's home and the group's folders; those that are not there hold nothing.
fn allowed(owner: &Owner, home: Option<&Path>, anywhere: bool) -> AllowedFolders {
    // A system's accounts have homes like `/` or `/usr`, which are no one's.
    let home = home.filter(|home| home.components().count() > 2).map(|home| (home, false));
    let allowed = owner.limits.limits.mounts.iter().map(|one| (one.path.as_path(), one.read_only));
    let roots = home.into_iter().chain(allowed).filter_map(|(named, read_only)| {
        let real = named.canonicalize().ok()?;
        Some(AllowedFolder { named: named.to_owned(), real, read_only })
    });
    AllowedFolders { roots: roots.collect(), anywhere, group: owner.limits.group.clone() }
}

/// What was typed besides the workspace.
fn typed_mounts(typed: TypedFolders<'_>) -> Result<Vec<MountSpec>, DeployError> {
    let at = |folder: Option<&Path>, target: &str| {
        folder.map(|source| MountSpec {
            source: source.to_owned(),
            target: target.to_owned(),
            read_only: false,
        })
    };
    let mut all: Vec<_> = at(typed.data, DATA).into_iter().chain(at(typed.models, MODELS)).collect();
    for text in typed.mounts {
        let wrong = |error: MountError| DeployError::usage(error.to_string(), error.help());
        all.push(MountSpec::parse(text).map_err(wrong)?);
    }
    Ok(all)
}

fn mount(here: &Path, allowed: &AllowedFolders, spec: &MountSpec) -> Result<Mount, DeployError> {
    let named = here.join(&spec.source);
    let unusable = |path: &Path, error: &io::Error| self::unusable(path, error, "check the path");
    let real = named.canonicalize().map_err(|error| unusable(&named, &error))?;
    let location = allowed.locate(&named, &real)?;
    let kind = walk(&location.root, &real, Missing::Error).map_err(|error| unusable(&real, &error))?;
    if !matches!(kind, FileType::Directory | FileType::RegularFile) {
        return Err(MountError::Kind { path: real }.into());
    }
    access(&real, Access::READ_OK, "read")?;
    // Where the account may be root in its container, the disk's own rights
    // hold nobody back.
    let writes = rustix::fs::access(&real, Access::WRITE_OK).is_ok();
    Ok(Mount {
        source: real,
        target: spec.target.clone(),
        read_only: spec.read_only || location.read_only || !writes,
    })
}

/// Where a path leads, as far as it is there; the rest is taken as it is.
fn where_it_is(path: &Path) -> io::Result<PathBuf> {
    let mut missing: Vec<&OsStr> = Vec::new();
    let mut here = path;
    loop {
        match here.canonicalize() {
            Ok(real) => return Ok(missing.iter().rev().fold(real, |path, part| path.join(part))),
            // A link that leads nowhere is there, and nothing can be made of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !here.is_symlink() => {
                let (Some(parent), Some(Component::Normal(part))) =
                    (here.parent(), here.components().next_back())
                else {
                    return Err(error);
                };
                missing.push(part);
                here = parent;
            }
            Err(error) => return Err(error),
        }
    }
}

/// What to do about a folder that is not there.
#[derive(Clone, Copy)]
enum Missing<'a> {
    Error,
    Make,
    MakeFor(&'a Account),
}

/// Goes from `root` to `path`, both without links, and follows none: one that
/// is there now was not there before. Says what the end is.
fn walk(root: &Path, path: &Path, missing: Missing<'_>) -> io::Result<FileType> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = rustix::fs::open(root, flags | OFlags::DIRECTORY, Mode::empty())?;
    let below = path.strip_prefix(root).map_err(|_| Errno::XDEV)?;
    let mut kind = FileType::Directory;
    for part in below.components() {
        let Component::Normal(part) = part else { return Err(Errno::INVAL.into()) };
        let next = match rustix::fs::openat(&here, part, flags, Mode::empty()) {
            Err(Errno::NOENT) => made(&here, part, missing)?,
            other => other?,
        };
        kind = FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode);
        if kind == FileType::Symlink {
            return Err(Errno::LOOP.into());
        }
        here = next;
    }
    Ok(kind)
}

fn made(folder: &OwnedFd, name: &OsStr, missing: Missing<'_>) -> Result<OwnedFd, Errno> {
    if matches!(missing, Missing::Error) {
        return Err(Errno::NOENT);
    }
    rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    if let Missing::MakeFor(account) = missing {
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        rustix::fs::chownat(&made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    }
    Ok(made)
}

/// Nobody mounts as a workspace what they could not write themselves.
fn writable(workspace: &Path) -> Result<(), DeployError> {
    if !workspace.is_dir() {
        let message = format!("the workspace {} is no folder", workspace.display());
        return Err(DeployError::refused(message, WORKSPACE_HELP));
    }
    access(workspace, Access::WRITE_OK, "write to")
}

fn access(path: &Path, access: Access, verb: &str) -> Result<(), DeployError> {
    rustix::fs::access(path, access).map_err(|error| {
        let message = format!("you may not {verb} {}: {error}", path.display());
        DeployError::refused(message, "say another folder, or ask its owner for the right to it")
    })
}

fn unusable(path: &Path, error: &io::Error, help: &str) -> DeployError {
    DeployError::refused(format!("{} cannot be mounted: {error}", path.display()), help)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::model::names::Login;

    /// A home, and a folder for reading beside it.
    fn place() -> (tempfile::TempDir, PathBuf, AllowedFolders) {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        for folder in ["home/x", "data/corpus", "secret"] {
            std::fs::create_dir_all(base.join(folder)).unwrap();
        }
        let root = |name: &str, read_only| AllowedFolder {
            named: base.join(name),
            real: base.join(name),
            read_only,
        };
        let roots = vec![root("home", false), root("data", true)];
        (dir, base, AllowedFolders { roots, anywhere: false, group: "student".into() })
    }

    fn typed(source: impl Into<PathBuf>) -> MountSpec {
        MountSpec { source: source.into(), target: "/x".into(), read_only: false }
    }

    fn message(error: DeployError) -> String {
        let DeployError::Refused(problem) = error else { panic!("{error:?}") };
        format!("{}; {}", problem.message, problem.help.unwrap_or_default())
    }

    #[test]
    fn a_folder_is_mounted_from_where_it_really_lies() {
        let (_dir, base, roots) = place();
        symlink(base.join("data"), base.join("home/link")).unwrap();
        let source =
            |path: &str| mount(&base, &roots, &typed(path)).map(|mount| (mount.source, mount.read_only));
        assert_eq!(source("home/x").unwrap(), (base.join("home/x"), false));
        assert_eq!(source("home/link/corpus").unwrap(), (base.join("data/corpus"), true));
        assert_eq!(source("home/x/../../data").unwrap(), (base.join("data"), true));
    }

    #[test]
    fn a_link_out_a_missing_folder_and_a_socket_are_refused() {
        let (_dir, base, roots) = place();
        symlink("../secret", base.join("home/out")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(base.join("home/s")).unwrap();
        let said = |path: &str| message(mount(&base, &roots, &typed(path)).unwrap_err());
        assert!(said("home/out").contains("leads out of"), "{}", said("home/out"));
        assert!(said("secret").contains("in no folder that group `student` may mount"));
        assert!(said("home/none").contains("No such file"));
        assert!(said("home/s").contains("neither a folder nor a file"));
        assert!(said("/").contains("the whole machine"));
    }

    #[test]
    fn a_link_that_was_put_in_the_way_is_not_followed() {
        let (_dir, base, _) = place();
        let (root, path) = (base.join("home"), base.join("home/x/y"));
        std::fs::create_dir(&path).unwrap();
        assert_eq!(walk(&root, &path, Missing::Error).unwrap(), FileType::Directory);
        std::fs::rename(base.join("home/x"), base.join("home/old")).unwrap();
        symlink(base.join("secret"), base.join("home/x")).unwrap();
        for missing in [Missing::Error, Missing::Make] {
            let error = walk(&root, &path, missing).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        }
        assert!(!base.join("secret/y").exists());
        assert!(walk(&root, &base.join("secret"), Missing::Error).is_err(), "it is not below");
    }

    #[test]
    fn a_missing_workspace_is_made_for_its_owner_with_all_folders_on_the_way() {
        let (_dir, base, _) = place();
        let account = Account {
            login: Login::new("ann"),
            name: "ann".into(),
            uid: 1_722_830_498,
            gid: 1_722_830_499,
            shell: "/bin/bash".into(),
            sudo: false,
            jupyter: None,
        };
        let workspace = where_it_is(&base.join("home/workspace/thesis")).unwrap();
        let folders = Folders { workspace: workspace.clone(), root: base.join("home"), mounts: Vec::new() };
        make(&folders, &account).unwrap();
        make(&folders, &account).unwrap();
        let root = rustix::process::getuid().is_root();
        for folder in [workspace.as_path(), workspace.parent().unwrap()] {
            let made = std::fs::metadata(folder).unwrap();
            assert!(!root || (made.uid(), made.gid()) == (account.uid, account.gid), "{}", folder.display());
        }
    }

    #[test]
    fn a_path_that_is_not_there_is_where_its_first_folder_leads() {
        let (_dir, base, _) = place();
        symlink(base.join("data"), base.join("home/link")).unwrap();
        symlink("nowhere", base.join("home/broken")).unwrap();
        assert_eq!(where_it_is(&base.join("home/link/a/b")).unwrap(), base.join("data/a/b"));
        assert!(where_it_is(&base.join("home/broken")).is_err());
        assert!(where_it_is(&base.join("home/none/../x")).is_err());
    }
}
