//! Labels of ours that are not as the schema says. Those of other tools are
//! theirs, and a key that is not there is not wrong: a container that somebody
//! starts from our image has the image's labels and no others.

use super::{Carrier, Labelled, Wrong};
use crate::model::labels::legacy::LEGACY;
use crate::model::labels::{self, GPU_EQUIVALENTS, GPU_SLOTS, GPU_UUIDS, Key, NAMESPACE, On};

/// What says together which GPUs a container holds.
const HELD: [Key; 3] = [GPU_UUIDS, GPU_SLOTS, GPU_EQUIVALENTS];

pub(super) fn wrong(one: &Labelled<'_>) -> Vec<Wrong> {
    let ours = one.labels.iter().filter(|(name, _)| name.starts_with(NAMESPACE));
    let single =
        ours.filter_map(|(name, value)| Some((name.as_str(), Some(value), fault(one, name, value)?)));
    single
        .chain(apart(one).into_iter().map(|(key, fault)| (key, one.labels.get(key), fault)))
        .map(|(key, value, fault)| Wrong {
            carrier: one.carrier,
            name: one.name.clone(),
            key: key.to_owned(),
            value: value.cloned(),
            fault,
        })
        .collect()
}

fn fault(one: &Labelled<'_>, name: &str, value: &str) -> Option<String> {
    let old = LEGACY.iter().find(|old| old.name == name);
    let Some(key) = old.map(|old| old.read_as).or(labels::key(name).copied()) else {
        return Some("is no key of the schema".into());
    };
    if one.carrier == Carrier::Image && key.on == On::Container {
        return Some("belongs to one container: every container of this image would inherit it".into());
    }
    // What an old key held was never of our types.
    old.is_none().then(|| key.kind.fault(value))?
}

/// GPU keys of ours that stand without each other, or do not agree.
fn apart(one: &Labelled<'_>) -> Vec<(&'static str, String)> {
    let value = |key: &Key| one.labels.get(key.name).filter(|value| !value.is_empty());
    let (there, missing): (Vec<&Key>, Vec<&Key>) = HELD.iter().partition(|key| value(key).is_some());
    if one.carrier == Carrier::Image || there.is_empty() {
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
