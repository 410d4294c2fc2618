//! Saving a container's files as an image before it is removed.
//!
//! What is saved are files; what the image says of containers made from it is
//! said again by the image below. [`decide`] and `logs` are pure, [`inspect`]
//! and [`run`] talk to the engine. A save over a tag that is there is refused, whoever
//! asks: that is how one person's account once came into everyone's base.

mod logs;
mod run;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::retire::ContainerRemoval;
use crate::engine::{Container, Error, Image};
use crate::gpu::claims::Claim;
use crate::model::digest::short;
use crate::model::labels::read;
use crate::model::labels::{PROJECT, USER_ID};
use crate::model::names::ImageId;
use crate::model::reference::{Reference, Repository};
use crate::model::tags;
pub(crate) use run::{SavedImage, inspect, run};

/// Begins the tag that the engine's own commit has while it is made into the
/// saved image.
const UNDER_WAY: &str = "saving-";

/// Longest tag that the distribution specification allows.
const LONGEST: usize = 128;

/// Bytes that a save may add to the engine's disk.
const MOST: u64 = 100 << 30;

/// A save that is allowed; made only by [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Save {
    id: String,
    container: String,
    project: Option<String>,
    runs: bool,
    /// While it is stopped its GPUs are nobody else's, so that it can be
    /// started again unseen if the save fails.
    keeps_gpus: bool,
    image: ImageId,
    owner: u32,
    target: Reference,
}

impl Save {
    /// What it is saved as.
    pub(crate) fn target(&self) -> &Reference {
        &self.target
    }

    /// What no two saves may hold at a time: of one person's images one is
    /// made after the other.
    pub(crate) fn lock(&self) -> String {
        format!("save-{}", self.owner)
    }

    fn under_way(&self) -> Reference {
        let id = short(&self.id);
        let usable = |c: &char| c.is_ascii_alphanumeric();
        self.target
            .repository()
            .with_tag(&format!("{UNDER_WAY}{}", id.chars().filter(usable).collect::<String>()))
    }

    /// The last part of the repository.
    fn name(&self) -> String {
        let repository = self.target.repository();
        repository.as_str().rsplit('/').next().unwrap_or_default().to_owned()
    }
}

/// Why a container is not saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaveRefusal {
    #[error("`{}` can be no tag: {why}", text.escape_debug())]
    NoTag { text: String, why: String },
    #[error("the image {tag} is there already")]
    Exists { tag: String, another: String },
    #[error("{tag} is not in the repositories of the container's owner")]
    NotOwn { tag: String, own: String },
    #[error("the tag `{tag}` is moved or made by builds")]
    Taken { tag: String },
    #[error("nothing says whose user id container `{container}` is of, and so whose image it would be")]
    NoOwner { container: String },
    #[error("`{name}` can be no repository's name")]
    NoName { name: String, owner: u32 },
}

impl SaveRefusal {
    /// What to do.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::NoTag { .. } => {
                "write letters, digits and `_`, `.`, `-`, as in `--save before-pruning`, or `--save` alone"
                    .into()
            }
            Self::Exists { another, .. } => {
                format!("a save never goes over an image: say another tag, or `--save` alone for {another}")
            }
            Self::NotOwn { own, .. } => format!("say a tag alone, or a name that begins with `{own}`"),
            Self::Taken { .. } => "say another one, or `--save` alone".into(),
            Self::NoOwner { container } => {
                format!("save it by hand with `docker commit {container}`, then retire it")
            }
            Self::NoName { owner, .. } => format!("say all of it: --save ds01-{owner}/NAME:TAG"),
        }
    }

    /// Whether it was typed wrong, rather than forbidden.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::NoTag { .. })
    }
}

/// Whether the container may be saved, and as what. `tag`: what was asked
/// for; `None` or nothing: a new one by the time.
///
/// # Errors
/// The tag is none, is there already, or is not in the owner's repositories.
pub(crate) fn decide(
    retirement: &ContainerRemoval,
    tag: Option<&str>,
    images: &[Image],
    now: Timestamp,
) -> Result<Save, SaveRefusal> {
    let container = retirement.container();
    let owner = owner(container).ok_or_else(|| SaveRefusal::NoOwner { container: container.name.clone() })?;
    let target = target(container, owner, tag.filter(|tag| !tag.is_empty()), now)?;
    if images.iter().any(|image| image.tags.contains(&target)) {
        let another = target.repository().with_tag(&by_time(now)).to_string();
        return Err(SaveRefusal::Exists { tag: target.to_string(), another });
    }
    Ok(Save {
        id: container.id.clone(),
        container: container.name.clone(),
        project: read::text(&container.labels, &PROJECT).map(str::to_owned),
        runs: retirement.stops(),
        keeps_gpus: Claim::from_labels(&container.labels).is_some(),
        image: container.image_id.clone(),
        owner,
        target,
    })
}

/// The uid of the owner: by the container's name, else as its image has it.
fn owner(container: &Container) -> Option<u32> {
    container
        .uid()
        .or_else(|| read::user_setup(&container.labels).map(|setup| setup.uid))
        .or_else(|| read::text(&container.labels, &USER_ID)?.parse().ok())
}

fn by_time(now: Timestamp) -> String {
    now.strftime("saved-%Y%m%d-%H%M%S").to_string()
}

fn target(
    container: &Container,
    owner: u32,
    tag: Option<&str>,
    now: Timestamp,
) -> Result<Reference, SaveRefusal> {
    let whole = tag.filter(|tag| tag.contains(['/', ':', '@']));
    let target = match whole {
        Some(text) => whole_target(text, owner)?,
        None => {
            let tag = tag.map_or_else(|| by_time(now), str::to_owned);
            checked(&tag)?;
            own_repository(container, owner)?.with_tag(&tag)
        }
    };
    let tag = target.tag().unwrap_or_default();
    if tag == "latest" || tags::is_content_tag(tag) || tag.starts_with(UNDER_WAY) {
        return Err(SaveRefusal::Taken { tag: tag.to_owned() });
    }
    Ok(target)
}

/// A whole reference, which must lie in the owner's own repositories.
fn whole_target(text: &str, owner: u32) -> Result<Reference, SaveRefusal> {
    let no_tag = |why: String| SaveRefusal::NoTag { text: text.to_owned(), why };
    let target = Reference::parse(text).map_err(no_tag)?;
    if target.digest().is_some() {
        return Err(no_tag("it names a digest, which nobody can choose".into()));
    }
    let own = format!("ds01-{owner}/");
    let repository = target.repository();
    match repository.as_str().strip_prefix(&own) {
        Some(name) if !name.contains('/') => Ok(target),
        _ => Err(SaveRefusal::NotOwn { tag: target.to_string(), own }),
    }
}

fn checked(tag: &str) -> Result<(), SaveRefusal> {
    let no_tag = |why: &str| Err(SaveRefusal::NoTag { text: tag.to_owned(), why: why.to_owned() });
    if tag.len() > LONGEST {
        return no_tag("it has more than 128 characters");
    }
    if tag.starts_with(['.', '-']) {
        return no_tag("it begins with `.` or `-`");
    }
    match tag.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))) {
        Some(bad) => no_tag(&format!("{bad:?} cannot be in one")),
        None => Ok(()),
    }
}

fn own_repository(container: &Container, owner: u32) -> Result<Repository, SaveRefusal> {
    let name = container.project();
    let plain = !name.contains('/');
    let repository = Repository::parse(&format!("ds01-{owner}/{name}")).ok().filter(|_| plain);
    repository.ok_or_else(|| SaveRefusal::NoName { name: name.to_owned(), owner })
}

/// Why a container was not saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SaveError {
    #[error("the image that it was made from is gone from the engine")]
    BaseGone,
    #[error("its files would take {} GiB of the engine's disk, at most {} GiB are saved{}", bytes >> 30, MOST >> 30, largest(path))]
    TooLarge { bytes: u64, path: Option<(String, u64)> },
    #[error(transparent)]
    Engine(#[from] Error),
    #[error("the image could not be made: {0}")]
    Unsound(String),
    #[error("interrupted")]
    Cancelled,
}

fn largest(path: &Option<(String, u64)>) -> String {
    match path {
        Some((path, bytes)) => format!("; {} alone has {} GiB", path.escape_debug(), bytes >> 30),
        None => String::new(),
    }
}

impl SaveError {
    /// What to do.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::BaseGone => Some("copy what you need with `docker cp`, then retire it without --save".into()),
            Self::TooLarge { .. } => {
                Some("remove what need not be saved, or move it to /workspace; a file with holes counts whole, since saving fills them".into())
            }
            Self::Engine(error) => error.help(),
            Self::Unsound(_) | Self::Cancelled => None,
        }
    }
}

/// A save that failed, and how the container was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedSave {
    pub(crate) error: SaveError,
    pub(crate) container: ContainerAfter,
    /// What could not be cleared away, for people.
    pub(crate) notes: Vec<String>,
}

impl FailedSave {
    /// How the container was left, for people.
    pub(crate) fn left(&self, name: &str) -> String {
        let left = match &self.container {
            ContainerAfter::AsItWas => String::new(),
            ContainerAfter::Restarted(Ok(())) => ", and runs again".into(),
            ContainerAfter::Restarted(Err(error)) => format!(", but does not run: {error}"),
            ContainerAfter::Stopped => format!(
                ", but stopped, since nobody keeps its GPUs for it: `ds01-build container start {name}` starts \
                 it if they are free"
            ),
        };
        format!("{name} was not saved; it is kept{left}")
    }
}

/// How a container is after a save that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContainerAfter {
    /// It was not stopped.
    AsItWas,
    /// It was stopped and runs again; or why it does not.
    Restarted(Result<(), Error>),
    /// It was stopped, and its GPUs may be somebody else's by now.
    Stopped,
}
