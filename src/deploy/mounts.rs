//! Which folders of the machine a container may get, and where they lie in it.
//! Pure: paths are resolved where they can be opened.

use std::path::{Component, Path, PathBuf};

use crate::engine::Mount;

/// Where the workspace lies in a container.
pub(crate) const WORKSPACE: &str = "/workspace";
/// Where `--data` lies.
pub(crate) const DATA: &str = "/data";
/// Where `--models` lies.
pub(crate) const MODELS: &str = "/models";

/// Places of a container that belong to the engine, the kernel or the image's
/// accounts: what lies there decides who somebody is.
const KEPT: [&str; 4] = ["/proc", "/sys", "/dev", "/etc"];

/// A mount as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountSpec {
    pub(crate) source: PathBuf,
    pub(crate) target: String,
    pub(crate) read_only: bool,
}

impl MountSpec {
    /// `SRC:DST`, `SRC:DST:ro`.
    ///
    /// # Errors
    /// It has another form, or the target may not be mounted over.
    pub(crate) fn parse(text: &str) -> Result<Self, MountError> {
        let form = || MountError::Form { text: text.to_owned() };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, read_only) = match parts.as_slice() {
            [source, target] | [source, target, "rw"] => (source, target, false),
            [source, target, "ro"] => (source, target, true),
            _ => return Err(form()),
        };
        if source.is_empty() || target.is_empty() {
            return Err(form());
        }
        check_target(target)?;
        Ok(Self { source: source.into(), target: (*target).to_owned(), read_only })
    }
}

/// A folder of the machine, and what is in it, that may be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowedFolder {
    /// As the spec or the user database has it.
    pub(crate) named: PathBuf,
    /// Without links.
    pub(crate) real: PathBuf,
    pub(crate) read_only: bool,
}

/// Where somebody's mounts may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AllowedFolders {
    pub(crate) roots: Vec<AllowedFolder>,
    /// An administrator asks, who may say any other place too.
    pub(crate) anywhere: bool,
    /// For messages.
    pub(crate) group: String,
}

/// A place that may be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// Without links; what is mounted lies in it.
    pub(crate) root: PathBuf,
    /// Not for writing, whatever was asked for.
    pub(crate) read_only: bool,
}

impl AllowedFolders {
    /// Where `real` lies, which is `named` without links. A link out of a
    /// folder in which its owner can change links is nobody's word but theirs:
    /// it is refused to administrators too, who can name where it leads.
    ///
    /// # Errors
    /// It lies in none of the folders.
    pub(crate) fn locate(&self, named: &Path, real: &Path) -> Result<Location, MountError> {
        if real.parent().is_none() {
            return Err(MountError::Everything);
        }
        let holds = self.roots.iter().filter(|root| real.starts_with(&root.real));
        if let Some(root) = holds.max_by_key(|root| root.real.components().count()) {
            let inside = self.roots.iter().any(|root| root.read_only && root.real.starts_with(real));
            return Ok(Location { root: root.real.clone(), read_only: root.read_only || inside });
        }
        let goes_up = named.components().any(|part| part == Component::ParentDir);
        let claims = |root: &&AllowedFolder| named.starts_with(&root.named) || named.starts_with(&root.real);
        match self.roots.iter().find(claims).filter(|_| !goes_up) {
            Some(root) => Err(MountError::LeadsOut {
                named: named.to_owned(),
                real: real.to_owned(),
                root: root.named.clone(),
            }),
            None if self.anywhere => Ok(Location { root: "/".into(), read_only: false }),
            None => Err(MountError::Outside {
                real: real.to_owned(),
                roots: self.roots.iter().map(|root| root.named.clone()).collect(),
                group: self.group.clone(),
            }),
        }
    }
}

/// Whether all of them can be in one container, beside its workspace.
///
/// # Errors
/// The first that cannot.
pub(crate) fn check(mounts: &[Mount]) -> Result<(), MountError> {
    let mut targets = vec![WORKSPACE];
    for mount in mounts {
        check_target(&mount.target)?;
        if targets.contains(&mount.target.as_str()) {
            return Err(MountError::Twice { target: mount.target.clone() });
        }
        if !mount.source.is_absolute() || mount.source.to_str().is_none() {
            return Err(MountError::NotSent { path: mount.source.clone() });
        }
        targets.push(&mount.target);
    }
    Ok(())
}

fn check_target(target: &str) -> Result<(), MountError> {
    let wrong = |why| Err(MountError::Target { target: target.to_owned(), why });
    let Some(below) = target.strip_prefix('/') else { return wrong("is not an absolute path") };
    if below.is_empty() {
        return wrong("is the whole container");
    }
    if below.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return wrong("has an empty part, `.` or `..`");
    }
    match KEPT.iter().any(|kept| Path::new(target).starts_with(kept)) {
        true => wrong("belongs to the engine or to the image's accounts"),
        false => Ok(()),
    }
}

/// A mount that nobody gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MountError {
    #[error("`{text}` is no mount")]
    Form { text: String },
    #[error("`/` cannot be mounted: it would give the container the whole machine")]
    Everything,
    #[error("`{}` leads out of `{}`, to `{}`", named.display(), root.display(), real.display())]
    LeadsOut { named: PathBuf, real: PathBuf, root: PathBuf },
    #[error("`{}` is in no folder that group `{group}` may mount", real.display())]
    Outside { real: PathBuf, roots: Vec<PathBuf>, group: String },
    #[error("`{}` is for reading only, and a workspace is written to", path.display())]
    ReadOnlyWorkspace { path: PathBuf },
    #[error("`{}` is neither a folder nor a file", path.display())]
    Kind { path: PathBuf },
    /// An engine takes text.
    #[error("`{}` cannot be told to an engine: it is not an absolute path of UTF-8 text", path.display())]
    NotSent { path: PathBuf },
    #[error("nothing can be mounted at `{target}`: it {why}")]
    Target { target: String, why: &'static str },
    #[error("two mounts are for `{target}`")]
    Twice { target: String },
}

impl MountError {
    /// What to do.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Form { .. } => {
                "write SRC:DST or SRC:DST:ro, such as `--mount /srv/corpus:/corpus:ro`; no path may have `:` in it"
                    .into()
            }
            Self::Everything => "say a folder of the project".into(),
            Self::LeadsOut { real, .. } => {
                format!("name the folder itself, if you may mount it: `{}`", real.display())
            }
            Self::Outside { roots, group, .. } => {
                let names: Vec<_> = roots.iter().map(|root| format!("`{}`", root.display())).collect();
                let allowed = match names.is_empty() {
                    true => "no folder is allowed".to_owned(),
                    false => format!("allowed are {} and what is in them", names.join(", ")),
                };
                format!(
                    "{allowed}; an administrator adds others under `mounts` of `limits: groups: {group}:` in the spec"
                )
            }
            Self::ReadOnlyWorkspace { .. } => {
                "say another with --workspace DIR, and mount this one with --data DIR".into()
            }
            Self::Kind { .. } => "mount the folder that it is in".into(),
            Self::NotSent { .. } => "say the whole path, beginning with `/`".into(),
            Self::Target { .. } => "mount it elsewhere, such as at /data".into(),
            Self::Twice { target } => format!("leave one of them out, or mount it below, at {target}/more"),
        }
    }
}
