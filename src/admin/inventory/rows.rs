//! The list: one line for each name.

use serde::Serialize;

use super::{Group, Key, Known, Looked, State, User, Verdicts, users_of};
use crate::engine::Image;
use crate::image::user_layer::FIXED_TIME_SECONDS;
use crate::model::labels::{self, read};
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::Reference;
use crate::model::tags;

/// Hex digits of an id that are shown.
const SHORT_ID: usize = 12;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
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
    /// What it stands on.
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
    pub(crate) age_from: Option<AgeFrom>,
    #[serde(flatten)]
    pub(crate) state: State,
    pub(crate) containers: Vec<User>,
    /// Images that the name stood for before, and that are still there.
    pub(crate) older: Vec<ImageId>,
}

/// What an age is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgeFrom {
    /// A run of this user that built it.
    Record,
    /// The engine's time of its last tag.
    Tag,
    /// The image's own time, where that is not the same for all.
    Image,
}

/// The caller's images, or with `all` everybody's and the shared ones.
#[cfg(test)]
pub(crate) fn rows(known: &Known<'_>, looked: &Looked<'_>, all: bool) -> Vec<Row> {
    let groups = super::groups::groups(known);
    groups.iter().filter(|group| all || group.is_of(known)).map(|group| row(known, looked, group)).collect()
}

/// One line.
pub(crate) fn row(known: &Known<'_>, looked: &Looked<'_>, group: &Group<'_>) -> Row {
    let image = group.images.first().copied();
    let own = image.and_then(|image| looked.footprints.get(&image.id)).map(|print| print.own);
    let born = image.and_then(|image| born(looked, image));
    let node = match (&group.key, known.stack) {
        (Key::Node(node), Some(stack)) => Some(stack.graph.node(*node).name.clone()),
        _ => None,
    };
    Row {
        name: group.name.clone(),
        project: group.project.clone(),
        node,
        owner: group.owner.as_ref().map(ToString::to_string),
        legacy: group.legacy,
        base: base(known, group),
        image: image.map(|image| image.id.clone()),
        tags: group.tags.clone(),
        size: image.map(|image| image.size),
        own,
        shared: image.and_then(|image| Some(image.size.saturating_sub(own?))),
        age_seconds: born.map(|(at, _)| looked.now.saturating_sub(at).try_into().unwrap_or_default()),
        age_from: born.map(|(_, from)| from),
        state: state(known, looked, group),
        containers: users_of(known, group),
        older: group.images.iter().skip(1).map(|image| image.id.clone()).collect(),
    }
}

/// When an image came to be, by the best that knows. A person's image has
/// the same time in itself on any day.
fn born(looked: &Looked<'_>, image: &Image) -> Option<(i64, AgeFrom)> {
    let record = looked.built.get(&image.id).map(|at| (*at, AgeFrom::Record));
    let tag = || Some((looked.footprints.get(&image.id)?.tagged?, AgeFrom::Tag));
    let own = || Some(image.created).filter(|at| *at > FIXED_TIME_SECONDS).map(|at| (at, AgeFrom::Image));
    record.or_else(tag).or_else(own)
}

fn base(known: &Known<'_>, group: &Group<'_>) -> Option<String> {
    if let (Key::Node(node), Some(stack)) = (&group.key, known.stack)
        && let Some(&parent) = stack.graph.parents(*node).first()
    {
        return Some(stack.graph.node(parent).name.to_string());
    }
    let image = group.images.first()?;
    if let Some(name) = read::text(&image.labels, &labels::BASE_NAME) {
        return Some(without_content_tag(name));
    }
    // The old systems put a person's image beside its base, under another tag.
    let Key::Legacy(name) = &group.key else { return None };
    Reference::parse(name).ok().map(|name| name.repository().to_string())
}

/// A content tag says nothing to people.
fn without_content_tag(name: &str) -> String {
    let content = |reference: &Reference| reference.tag().is_some_and(tags::is_content_tag);
    let reference = Reference::parse(name).ok().filter(content);
    reference.map_or_else(|| name.to_owned(), |reference| reference.repository().to_string())
}

fn state(known: &Known<'_>, looked: &Looked<'_>, group: &Group<'_>) -> State {
    let unknown = |cause: &str| State::Unknown { cause: cause.to_owned() };
    match (&group.key, looked.verdicts) {
        (Key::Node(_), _) if group.images.is_empty() && !in_registry(looked, group) => State::NotBuilt,
        (Key::Node(node), Verdicts::Known(states)) => {
            states.get(node).cloned().unwrap_or_else(|| unknown("it was not looked at"))
        }
        (Key::Node(_), Verdicts::Unknown(cause)) => unknown(cause),
        (Key::Saved(..), _) => State::Saved,
        (_, Verdicts::Unknown(cause)) if known.stack.is_none() => unknown(cause),
        _ => State::NotInSpec,
    }
}

fn in_registry(looked: &Looked<'_>, group: &Group<'_>) -> bool {
    match (&group.key, looked.verdicts) {
        (Key::Node(node), Verdicts::Known(states)) => states.get(node) == Some(&State::InRegistry),
        _ => false,
    }
}

/// An id without its prefix, cut.
pub(super) fn short(id: &ImageId) -> &str {
    let hex = id.as_str().strip_prefix("sha256:").unwrap_or(id.as_str());
    hex.get(..SHORT_ID).unwrap_or(hex)
}

/// What an image is called where no spec is at hand: a tag, one that moves
/// before one that does not, else its id, cut.
pub(crate) fn known_as(image: &Image) -> String {
    let moves = |tag: &&Reference| !tag.tag().is_some_and(tags::is_content_tag);
    let tag = image.tags.iter().find(moves).or(image.tags.first());
    tag.map_or_else(|| short(&image.id).to_owned(), ToString::to_string)
}
