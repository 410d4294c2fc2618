//! The keys of a mapping, known ones and free ones. Knows nothing of particular
//! sections.

use super::reader::{Item, nearest, short};
use crate::model::problem::Place;

/// A key of a mapping.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) text: &'a str,
    pub(crate) item: Item<'a>,
}

impl Key<'_> {
    pub(crate) fn place(&self) -> Place {
        self.item.place()
    }
}

/// A mapping with known keys.
pub(crate) struct Fields<'a> {
    pub(crate) owner: Item<'a>,
    entries: Vec<(Key<'a>, Item<'a>)>,
}

impl<'a> Fields<'a> {
    /// Keys that are neither `known` nor taken without being offered are reported.
    pub(crate) fn new(owner: Item<'a>, known: &[&str], unoffered: &[&str]) -> Self {
        let entries = owner.entries();
        for (key, _) in &entries {
            if !known.contains(&key.text) && !unoffered.contains(&key.text) {
                unknown_key(key, known);
            }
        }
        Self { owner, entries }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Item<'a>> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, item)| *item)
    }

    /// The value, unless it is nothing.
    pub(crate) fn get_some(&self, key: &str) -> Option<Item<'a>> {
        self.get(key).filter(|item| !item.is_null())
    }

    /// The key itself.
    pub(crate) fn key(&self, key: &str) -> Option<Item<'a>> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(k, _)| k.item)
    }

    pub(crate) fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.get(key).is_some())
    }

    /// The value, or a problem at `place` that it is missing.
    pub(crate) fn require(&self, key: &str, place: &Place, example: &str) -> Option<Item<'a>> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("the key `{key}` is missing");
            self.owner.report_at(place, message, format!("write `{example}`"));
        }
        found
    }

    /// The entries of the mapping at a key; none where there is no such key.
    pub(crate) fn entries(&self, key: &str) -> Vec<(Key<'a>, Item<'a>)> {
        self.get(key).map(Item::entries).unwrap_or_default()
    }

    /// The texts of the list at a key; none where there is no such key.
    pub(crate) fn strings(&self, key: &str) -> Vec<(&'a str, Item<'a>)> {
        self.get(key).map(Item::strings).unwrap_or_default()
    }

    /// The same, where one text may stand without a list.
    pub(crate) fn one_or_more(&self, key: &str) -> Vec<(&'a str, Item<'a>)> {
        self.get(key).map(Item::one_or_more).unwrap_or_default()
    }

    /// `true` or `false`, or what is meant where there is no such key.
    pub(crate) fn flag(&self, key: &str, otherwise: bool) -> Option<bool> {
        self.get(key).map_or(Some(otherwise), Item::boolean)
    }
}

fn unknown_key(key: &Key, known: &[&str]) {
    let message = format!("unknown key `{}`", short(key.text));
    if key.text == "<<" {
        key.item.report(message, "merge keys are not read; write the values out");
        return;
    }
    let near = nearest(key.text, known.iter().copied());
    let all = || format!("the keys here are: {}", known.join(", "));
    key.item.report(message, near.map_or_else(all, |near| format!("did you mean `{near}`?")));
}
