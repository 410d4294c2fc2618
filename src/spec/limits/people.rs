//! Whose group is which, and what is written for one person alone.

use std::collections::BTreeMap;

use super::layer::{self, KEYS, Layer};
use crate::model::names::Login;
use crate::model::problem::{Place, Problem};
use crate::spec::names::{self, passes};
use crate::spec::parents::spot;
use crate::spec::reader::{Item, Problems};

/// What is known of a person from `limits:` alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PersonEntry {
    pub(crate) group: Option<String>,
    /// For this person alone.
    pub(crate) own: Layer,
}

/// Where somebody's group is written.
pub(crate) type GroupMentions = BTreeMap<Login, (String, Place)>;

/// Notes the members of a group; each person is in one.
pub(crate) fn members(item: Option<Item>, group: &str, named: &mut GroupMentions, problems: &mut Problems) {
    for (text, item) in item.map(|item| item.strings(problems)).unwrap_or_default() {
        let (login, place) = (Login::new(text), item.place());
        if !passes(names::login(text), &place, problems) {
            continue;
        }
        if let Some((other, there)) = named.get(&login).filter(|(other, _)| other != group) {
            let message = format!("`{login}` is a member of both `{other}` and `{group}`");
            let help = format!("remove one of them; the other stands in {}", spot(there));
            problems.push(Problem::new(message).at(&place).help(help));
        } else {
            named.insert(login, (group.to_owned(), place));
        }
    }
}

/// `users: {LOGIN: {group, ...}}` within limits.
pub(crate) fn users(
    item: Option<Item>,
    known: impl Fn(Item, &mut Problems) -> Option<String>,
    named: &mut GroupMentions,
    problems: &mut Problems,
) -> BTreeMap<Login, PersonEntry> {
    let mut people = BTreeMap::new();
    let keys = [&["group"], KEYS.as_slice()].concat();
    for (key, value) in item.map(|item| item.entries(problems)).unwrap_or_default() {
        let login = Login::new(key.text);
        passes(names::login(key.text), &key.place(), problems);
        let fields = value.fields(&keys, problems);
        let group = fields.get("group").filter(|item| !item.is_null());
        if let Some(item) = group
            && let Some(group) = known(item, problems)
        {
            agree(&login, &group, &item.place(), named, problems);
            named.entry(login.clone()).or_insert((group, item.place()));
        }
        people.insert(login, PersonEntry { group: None, own: layer::read(&fields, problems) });
    }
    for (login, (group, _)) in named.iter() {
        people.entry(login.clone()).or_default().group = Some(group.clone());
    }
    people
}

/// A problem if this person's group is another one elsewhere.
pub(crate) fn agree(
    login: &Login,
    group: &str,
    place: &Place,
    named: &GroupMentions,
    problems: &mut Problems,
) {
    if let Some((other, there)) = named.get(login).filter(|(other, _)| other != group) {
        let message = format!("`{login}` has the group `{group}` here, and is in `{other}` elsewhere");
        let help = format!("remove one of them; the other stands in {}", spot(there));
        problems.push(Problem::new(message).at(place).help(help));
    }
}
