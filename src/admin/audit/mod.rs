//! `labels audit`: what still relies on labels of older systems, which of
//! those nothing relies on any more, and which labels of ours are wrong.
//!
//! Looks at labels only; what GPUs a container really holds is not its
//! business.

mod wrong;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::admin::inventory;
use crate::engine::{Container, Image};
use crate::image::user_layer::FIXED_TIME_SECONDS;
use crate::model::labels::legacy::LEGACY;
use crate::model::labels::read::{self, Users};

/// What carries labels. Ordered as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Carrier {
    Container,
    Image,
}

impl Carrier {
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
    pub(crate) relying: Vec<Relying>,
    /// Each legacy key, in the order of the schema.
    pub(crate) keys: Vec<Fallback>,
    /// Labels of ours that are wrong, containers first.
    pub(crate) wrong: Vec<Wrong>,
}

/// A container or image that is understood by old keys.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Relying {
    pub(crate) carrier: Carrier,
    pub(crate) name: String,
    /// The old keys that nothing newer answers for.
    pub(crate) keys: Vec<&'static str>,
    /// Since it was created; `None`: it does not say.
    pub(crate) age_seconds: Option<u64>,
    /// Login, or `uid 1001` where no login is known.
    pub(crate) owner: Option<String>,
}

/// What relies on a legacy key.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fallback {
    pub(crate) key: &'static str,
    pub(crate) read_as: &'static str,
    pub(crate) containers: usize,
    pub(crate) images: usize,
    /// Nothing does: its reading can be removed.
    pub(crate) removable: bool,
}

/// A label of ours that is not as the schema says.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Wrong {
    pub(crate) carrier: Carrier,
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    /// What is wrong, as the end of a sentence about the label.
    pub(crate) fault: String,
}

/// Something with labels.
struct Labelled<'a> {
    carrier: Carrier,
    name: String,
    labels: &'a BTreeMap<String, String>,
    created: i64,
    owner: Option<String>,
}

/// `now` in seconds since 1970.
pub(crate) fn audit(images: &[Image], containers: &[Container], now: i64, users: Users<'_>) -> Audit {
    let containers = containers.iter().map(|container| of_container(container, users));
    let all: Vec<Labelled<'_>> =
        containers.chain(images.iter().map(|image| of_image(image, users))).collect();
    let mut relying: Vec<_> = all.iter().filter_map(|one| relies(one, now)).collect();
    relying.sort();
    let mut wrong: Vec<_> = all.iter().flat_map(wrong::wrong).collect();
    wrong.sort();
    let keys = LEGACY.iter().map(|old| {
        let count = |carrier| {
            relying.iter().filter(|one| one.carrier == carrier && one.keys.contains(&old.name)).count()
        };
        let (containers, images) = (count(Carrier::Container), count(Carrier::Image));
        let removable = containers + images == 0;
        Fallback { key: old.name, read_as: old.read_as.name, containers, images, removable }
    });
    let keys = keys.collect();
    Audit { relying, keys, wrong }
}

fn of_container<'a>(container: &'a Container, users: Users<'_>) -> Labelled<'a> {
    let owner = container.owner(users);
    Labelled {
        carrier: Carrier::Container,
        name: container.name.clone(),
        labels: &container.labels,
        created: container.created,
        owner: owner.map(|owner| owner.to_string()),
    }
}

fn of_image<'a>(image: &'a Image, users: Users<'_>) -> Labelled<'a> {
    Labelled {
        carrier: Carrier::Image,
        name: inventory::known_as(image),
        labels: &image.labels,
        created: image.created,
        owner: inventory::told_owner(image, users).map(|owner| owner.to_string()),
    }
}

fn relies(one: &Labelled<'_>, now: i64) -> Option<Relying> {
    let keys: BTreeSet<_> = read::relied_on(one.labels).map(|old| old.name).collect();
    // What is built to be the same at any time does not say when it was.
    let age = (one.created > FIXED_TIME_SECONDS)
        .then(|| now.saturating_sub(one.created).try_into().unwrap_or_default());
    (!keys.is_empty()).then(|| Relying {
        carrier: one.carrier,
        name: one.name.clone(),
        keys: keys.into_iter().collect(),
        age_seconds: age,
        owner: one.owner.clone(),
    })
}

#[cfg(test)]
mod tests;
