//! `labels audit`: what still relies on labels of older systems, which of
//! those nothing relies on any more, and which labels of ours are wrong.
//!
//! Reads labels only; what GPUs a container really holds is not its business.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::inventory::{display_name, owner_without_spec};
use crate::engine::{Container, Image};
use crate::image::user_layer::FIXED_TIME_SECONDS;
use crate::model::labels::LEGACY;
use crate::model::labels::read::{self, LoginOfUid};
use crate::model::labels::{self, GPU_EQUIVALENTS, GPU_SLOTS, GPU_UUIDS, Key, LabelCarrier, NAMESPACE};

/// What says together which GPUs a container holds.
const GPU_KEYS: [Key; 3] = [GPU_UUIDS, GPU_SLOTS, GPU_EQUIVALENTS];

/// What carries labels. Ordered as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ObjectKind {
    Container,
    Image,
}

impl ObjectKind {
    /// `container`, `image`.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
        }
    }
}

/// All that was found on one engine.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Audit {
    /// Containers, then images, by name.
    pub(crate) relying: Vec<LegacyObject>,
    /// Each legacy key, in the order of the schema.
    pub(crate) keys: Vec<LegacyKeyUse>,
    /// Labels of ours that are wrong, containers first.
    pub(crate) wrong: Vec<InvalidLabel>,
}

/// A container or image that is understood by old keys.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct LegacyObject {
    #[serde(rename = "carrier")]
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    /// The old keys that nothing newer answers for.
    pub(crate) keys: Vec<&'static str>,
    /// Since it was created; `None`: it does not say.
    pub(crate) age_seconds: Option<u64>,
    /// Login, or `uid 1001` where no login is known.
    pub(crate) owner: Option<String>,
}

/// How much relies on a legacy key.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LegacyKeyUse {
    pub(crate) key: &'static str,
    pub(crate) read_as: &'static str,
    pub(crate) containers: usize,
    pub(crate) images: usize,
    /// Nothing does: its reading can be removed.
    pub(crate) removable: bool,
}

/// A label of ours that is not as the schema says.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct InvalidLabel {
    #[serde(rename = "carrier")]
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    /// What is wrong, as the end of a sentence about the label.
    pub(crate) fault: String,
}

/// A container or an image.
struct Object<'a> {
    kind: ObjectKind,
    name: String,
    labels: &'a BTreeMap<String, String>,
    created: i64,
    owner: Option<String>,
}

/// `now` in seconds since 1970.
pub(crate) fn audit(images: &[Image], containers: &[Container], now: i64, users: LoginOfUid<'_>) -> Audit {
    let containers = containers.iter().map(|container| Object {
        kind: ObjectKind::Container,
        name: container.name.clone(),
        labels: &container.labels,
        created: container.created,
        owner: container.owner(users).map(|owner| owner.to_string()),
    });
    let images = images.iter().map(|image| Object {
        kind: ObjectKind::Image,
        name: display_name(image),
        labels: &image.labels,
        created: image.created,
        owner: owner_without_spec(image, users).map(|owner| owner.to_string()),
    });
    let all: Vec<Object<'_>> = containers.chain(images).collect();
    let mut relying: Vec<_> = all.iter().filter_map(|object| legacy(object, now)).collect();
    relying.sort();
    let mut wrong: Vec<_> = all.iter().flat_map(invalid).collect();
    wrong.sort();
    let keys = LEGACY.iter().map(|old| {
        let count = |kind| {
            relying.iter().filter(|object| object.kind == kind && object.keys.contains(&old.name)).count()
        };
        let (containers, images) = (count(ObjectKind::Container), count(ObjectKind::Image));
        let removable = containers + images == 0;
        LegacyKeyUse { key: old.name, read_as: old.read_as.name, containers, images, removable }
    });
    Audit { keys: keys.collect(), relying, wrong }
}

fn legacy(object: &Object<'_>, now: i64) -> Option<LegacyObject> {
    let keys: BTreeSet<_> = read::relied_on(object.labels).map(|old| old.name).collect();
    // What is built to be the same at any time does not say when it was.
    let age = (object.created > FIXED_TIME_SECONDS)
        .then(|| now.saturating_sub(object.created).try_into().unwrap_or_default());
    (!keys.is_empty()).then(|| LegacyObject {
        kind: object.kind,
        name: object.name.clone(),
        keys: keys.into_iter().collect(),
        age_seconds: age,
        owner: object.owner.clone(),
    })
}

/// Those of other tools are theirs, and a key that is not there is not wrong:
/// a container that somebody starts from our image has the image's labels and
/// no others.
fn invalid(object: &Object<'_>) -> Vec<InvalidLabel> {
    let ours = object.labels.iter().filter(|(name, _)| name.starts_with(NAMESPACE));
    let single = ours.filter_map(|(name, value)| Some((name.as_str(), fault(object, name, value)?)));
    single
        .chain(gpu_faults(object))
        .map(|(key, fault)| InvalidLabel {
            kind: object.kind,
            name: object.name.clone(),
            key: key.to_owned(),
            value: object.labels.get(key).cloned(),
            fault,
        })
        .collect()
}

fn fault(object: &Object<'_>, name: &str, value: &str) -> Option<String> {
    let old = LEGACY.iter().find(|old| old.name == name);
    let Some(key) = old.map(|old| old.read_as).or(labels::key(name).copied()) else {
        return Some("is no key of the schema".into());
    };
    if object.kind == ObjectKind::Image && key.on == LabelCarrier::Container {
        return Some("belongs to one container: every container of this image would inherit it".into());
    }
    // What an old key held was never of our types.
    old.is_none().then(|| key.kind.fault(value))?
}

/// GPU keys of ours that are there without each other, or do not agree.
fn gpu_faults(object: &Object<'_>) -> Vec<(&'static str, String)> {
    let value = |key: &Key| object.labels.get(key.name).filter(|value| !value.is_empty());
    let (there, missing): (Vec<&Key>, Vec<&Key>) = GPU_KEYS.iter().partition(|key| value(key).is_some());
    if object.kind == ObjectKind::Image || there.is_empty() {
        return Vec::new();
    }
    if !missing.is_empty() {
        let missing: Vec<_> = missing.iter().map(|key| key.name).collect();
        let fault = format!("stands without {}", missing.join(" and "));
        return there.iter().map(|key| (key.name, fault.clone())).collect();
    }
    let count = |key| value(key).map_or(0, |list| list.split(',').count());
    let (uuids, slots) = (count(&GPU_UUIDS), count(&GPU_SLOTS));
    let differ = || (GPU_SLOTS.name, format!("is of length {slots}, and {} of {uuids}", GPU_UUIDS.name));
    (uuids != slots).then(differ).into_iter().collect()
}

#[cfg(test)]
mod tests;
