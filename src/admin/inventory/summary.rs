//! The list: one line for each name.

use serde::Serialize;

use super::{GroupKey, ImageFacts, ImageGroup, Snapshot};
use crate::engine::Image;
use crate::image::user_layer::FIXED_TIME_SECONDS;
use crate::model::labels::{self, read};
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::Reference;
use crate::plan::{Action, Location, Planned, Reason};

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImageSummary {
    /// As other commands take it.
    pub(crate) name: String,
    /// Without whose it is.
    pub(crate) project: String,
    /// Its name in the spec; `None`: the spec has none.
    pub(crate) node: Option<NodeName>,
    /// Login, or `uid 1001`. `None`: a shared image, or nobody known.
    pub(crate) owner: Option<String>,
    /// Made by the systems before this one.
    pub(crate) legacy: bool,
    /// What it is based on.
    pub(crate) base: Option<String>,
    /// `None`: it is not on the engine.
    pub(crate) image: Option<ImageId>,
    pub(crate) tags: Vec<Reference>,
    /// Bytes, all layers.
    pub(crate) size: Option<u64>,
    /// Bytes that no other image has: what removing it alone frees.
    pub(crate) own: Option<u64>,
    /// Bytes that other images have too.
    pub(crate) shared: Option<u64>,
    pub(crate) age_seconds: Option<u64>,
    pub(crate) age_from: Option<AgeSource>,
    #[serde(flatten)]
    pub(crate) state: ImageState,
    pub(crate) containers: Vec<ContainerUse>,
    /// Images that the name stood for before, and that are still there.
    pub(crate) older: Vec<ImageId>,
}

/// What an age is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgeSource {
    /// A run of this user that built it.
    Record,
    /// The engine's time of its last tag.
    Tag,
    /// The image's own time, where that is not the same for all.
    Image,
}

/// A container on one of a name's images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ContainerUse {
    pub(crate) container: String,
    pub(crate) running: bool,
    /// For people: `Up 3 minutes`.
    pub(crate) status: String,
}

/// How an image compares with the spec as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum ImageState {
    UpToDate,
    /// Up to date, in its registry alone.
    InRegistry,
    /// It would be built again.
    Outdated {
        reasons: Vec<Reason>,
    },
    NotBuilt,
    /// A container that was saved: nothing could build it again.
    Saved,
    /// The spec has no such image.
    NotInSpec,
    Unknown {
        cause: String,
    },
}

impl ImageState {
    /// Of a planned image.
    pub(crate) fn of(planned: &Planned) -> Self {
        match &planned.action {
            Action::Keep(Location::Engine(_)) => Self::UpToDate,
            Action::Keep(Location::Registry(_)) | Action::Fetch { .. } => Self::InRegistry,
            Action::Build(reasons) => Self::Outdated { reasons: reasons.clone() },
        }
    }

    /// In two or three words.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::UpToDate => "up to date",
            Self::InRegistry => "in the registry",
            Self::Outdated { .. } => "outdated",
            Self::NotBuilt => "not built",
            Self::Saved => "saved",
            Self::NotInSpec => "not in spec",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Why, in one phrase.
    pub(crate) fn because(&self) -> Option<String> {
        let Self::Outdated { reasons } = self else { return None };
        match reasons.as_slice() {
            [] => None,
            [reason] => Some(reason.to_string()),
            [first, more @ ..] => Some(format!("{first}, and {} more", more.len())),
        }
    }
}

/// One line.
pub(crate) fn summarize(snapshot: &Snapshot, facts: &ImageFacts, group: &ImageGroup<'_>) -> ImageSummary {
    let image = group.images.first().copied();
    let footprint = image.and_then(|image| facts.footprints.get(&image.id));
    let own = footprint.map(|footprint| footprint.own);
    let born = image.and_then(|image| born(facts, image));
    ImageSummary {
        name: group.name.clone(),
        project: group.project.clone(),
        node: snapshot.node(&group.key).map(|node| node.name().clone()),
        owner: group.owner.as_ref().map(ToString::to_string),
        legacy: group.legacy,
        base: base(snapshot, group),
        image: image.map(|image| image.id.clone()),
        tags: group.tags.clone(),
        size: image.map(|image| image.size),
        own,
        shared: image.and_then(|image| Some(image.size.saturating_sub(own?))),
        age_seconds: born.map(|(at, _)| facts.now.saturating_sub(at).try_into().unwrap_or_default()),
        age_from: born.map(|(_, source)| source),
        state: state(snapshot, facts, group),
        containers: group.containers(snapshot),
        older: group.images.iter().skip(1).map(|image| image.id.clone()).collect(),
    }
}

/// When an image came to be, by the best that knows. A person's image has
/// the same time in itself on any day.
fn born(facts: &ImageFacts, image: &Image) -> Option<(i64, AgeSource)> {
    let record = facts.built.get(&image.id).map(|at| (*at, AgeSource::Record));
    let tag = || Some((facts.footprints.get(&image.id)?.tagged?, AgeSource::Tag));
    let own = || (image.created > FIXED_TIME_SECONDS).then_some((image.created, AgeSource::Image));
    record.or_else(tag).or_else(own)
}

fn base(snapshot: &Snapshot, group: &ImageGroup<'_>) -> Option<String> {
    if let Some(parent) = snapshot.node(&group.key).and_then(|node| node.parent()) {
        return Some(parent.name().to_string());
    }
    let image = group.images.first()?;
    if let Some(name) = read::text(&image.labels, &labels::BASE_NAME) {
        // A content tag says nothing to people.
        let reference = Reference::parse(name).ok().filter(|reference| !reference.moves());
        return Some(reference.map_or_else(|| name.to_owned(), |r| r.repository().to_string()));
    }
    // The old systems put a person's image beside its base, under another tag.
    let GroupKey::Legacy(name) = &group.key else { return None };
    Reference::parse(name).ok().map(|name| name.repository().to_string())
}

fn state(snapshot: &Snapshot, facts: &ImageFacts, group: &ImageGroup<'_>) -> ImageState {
    let unknown = |cause: &str| ImageState::Unknown { cause: cause.to_owned() };
    let built = !group.images.is_empty();
    match (&group.key, &facts.states) {
        (GroupKey::Node(node), Ok(states)) => match states.get(node) {
            Some(state) if built || *state == ImageState::InRegistry => state.clone(),
            None if built => unknown("it was not looked at"),
            _ => ImageState::NotBuilt,
        },
        (GroupKey::Node(_), Err(cause)) if built => unknown(cause),
        (GroupKey::Node(_), Err(_)) => ImageState::NotBuilt,
        (GroupKey::Saved(..), _) => ImageState::Saved,
        (_, Err(cause)) if snapshot.spec.is_none() => unknown(cause),
        _ => ImageState::NotInSpec,
    }
}
