//! Which containers and images are still understood by keys of older systems
//! only. When none is, the reading of those keys can go.

use std::collections::{BTreeMap, BTreeSet};

use super::Severity::{Note, Ok};
use super::{Finding, count, known_as};
use crate::engine::{Container, Image};
use crate::model::labels::read;

const CHECK: &str = "legacy labels";

/// One finding for containers and one for images.
pub(crate) fn in_use(images: &[Image], containers: &[Container]) -> Vec<Finding> {
    let containers = relying(containers.iter().map(|c| (c.name.clone(), &c.labels)));
    let images = relying(images.iter().map(|image| (known_as(image), &image.labels)));
    vec![
        found(
            "container",
            &containers,
            "labels of a container cannot change: they go when it is retired and deployed anew",
        ),
        found("image", &images, "they go when the image is made anew with `ds01-build image create`"),
    ]
}

/// By name, the old keys that nothing newer answers for.
type Relying = Vec<(String, BTreeSet<&'static str>)>;

fn relying<'a>(all: impl Iterator<Item = (String, &'a BTreeMap<String, String>)>) -> Relying {
    let mut relying: Relying = all
        .map(|(name, labels)| (name, read::relied_on(labels).map(|old| old.name).collect::<BTreeSet<_>>()))
        .filter(|(_, keys)| !keys.is_empty())
        .collect();
    relying.sort();
    relying
}

fn found(noun: &str, relying: &Relying, help: &str) -> Finding {
    let subject = format!("{noun}s");
    if relying.is_empty() {
        return Finding::new(CHECK, Ok, subject, format!("no {noun} relies on keys of older systems"));
    }
    let keys: BTreeSet<&str> = relying.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
    let verb = if relying.len() == 1 { "relies" } else { "rely" };
    let message = format!(
        "{} {verb} on {} of older systems: {}",
        count(relying.len(), noun),
        if keys.len() == 1 { "a key" } else { "keys" },
        keys.into_iter().collect::<Vec<_>>().join(", ")
    );
    let items = relying
        .iter()
        .map(|(name, keys)| format!("{name}: {}", keys.iter().copied().collect::<Vec<_>>().join(", ")));
    Finding::new(CHECK, Note, subject, message).items(items).help(help)
}
