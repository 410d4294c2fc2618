//! Reads `limits:`: groups and their members, people with limits of their own,
//! and `exempt:`, what is spared the rules of how long containers may be.
//!
//! Whether a time has passed is not known here: there is no clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::table::{self, KEYS, Layer};
use super::{DEFAULT_GROUP, GroupLimits, Limits, PersonEntry, built_in_groups};
use crate::model::names::Login;
use crate::model::problem::Place;
use crate::spec::fields::{Fields, Key};
use crate::spec::load::SpecReader;
use crate::spec::parents::spot;
use crate::spec::reader::{Document, Item, short};
use crate::spec::{grammar, paths};

const TOP: [&str; 5] = ["default_group", "defaults", "groups", "users", "exempt"];

/// Where somebody's group is written.
type GroupMentions = BTreeMap<Login, (String, Place)>;

/// Limits that were read, and what only reading needs of them.
#[derive(Default)]
pub(crate) struct LimitsDraft {
    pub(crate) limits: Limits,
    /// Where people's groups are written.
    mentions: GroupMentions,
    /// The file could not be read: which groups there are is not known.
    broken: bool,
}

impl LimitsDraft {
    /// The group that an entry of this person names; it must exist, and be the
    /// same wherever it is written.
    pub(crate) fn group_of(&self, login: &Login, item: Item) -> Option<String> {
        let name = item.string().filter(|_| !self.broken)?;
        let groups = &self.limits.groups;
        if !groups.contains_key(name) {
            unknown_group(name, item, groups.keys().map(String::as_str));
            return None;
        }
        if let Some((other, there)) = self.mentions.get(login).filter(|(other, _)| other != name) {
            let message = format!("`{login}` has the group `{name}` here, and is in `{other}` elsewhere");
            item.report(message, format!("remove one of them; the other stands in {}", spot(there)));
        }
        Some(name.to_owned())
    }

    /// Notes the members of a group; each person is in one.
    fn members(&mut self, fields: &Fields, group: &str) {
        for (text, item) in fields.strings("members") {
            let login = Login::new(text);
            if !item.check(grammar::login(text)) {
                continue;
            }
            if let Some((other, there)) = self.mentions.get(&login).filter(|(other, _)| other != group) {
                let message = format!("`{login}` is a member of both `{other}` and `{group}`");
                item.report(message, format!("remove one of them; the other stands in {}", spot(there)));
            } else {
                self.mentions.insert(login, (group.to_owned(), item.place()));
            }
        }
    }

    /// `users: {LOGIN: {group, ...}}` within limits.
    fn people(&mut self, fields: &Fields) {
        let keys = [&["group"], KEYS.as_slice()].concat();
        for (key, value) in fields.entries("users") {
            let login = Login::new(key.text);
            key.item.check(grammar::login(key.text));
            let fields = value.fields(&keys);
            if let Some(item) = fields.get_some("group")
                && let Some(group) = self.group_of(&login, item)
            {
                self.mentions.entry(login.clone()).or_insert((group, item.place()));
            }
            self.limits.people.insert(login, PersonEntry { group: None, own: table::read(&fields) });
        }
        for (login, (group, _)) in &self.mentions {
            self.limits.people.entry(login.clone()).or_default().group = Some(group.clone());
        }
    }
}

/// Reads limits, from the spec or from the file that it names.
pub(crate) fn read(item: Option<Item>, rd: &mut SpecReader) -> LimitsDraft {
    let Some(item) = item else { return LimitsDraft::default() };
    let Some(named) = file(item) else { return section(item) };
    let path = paths::anywhere(named, &rd.root, rd.context.files);
    match path.and_then(|path| rd.load(&path, named)) {
        Some(document) if !says_nothing(&document, named) => section(document.item()),
        _ => LimitsDraft { broken: true, ..LimitsDraft::default() },
    }
}

/// The file that `limits: FILE` or `limits: {file: FILE}` names. `None`: the
/// limits stand in the spec.
fn file(item: Item) -> Option<Item> {
    if !item.is_mapping() {
        return item.scalar().filter(|_| !item.is_null()).map(|_| item);
    }
    item.quiet().entries().into_iter().find(|(key, _)| key.text == "file")?;
    let fields = item.fields_and(&["file"], &TOP);
    if let Some(key) = TOP.iter().find_map(|key| fields.key(key)) {
        let help = "write all of them into the file, or remove `file`";
        key.report("limits stand here and in a file of their own", help);
    }
    fields.get("file")
}

/// A copy that broke off may have left nothing.
fn says_nothing(document: &Document, named: Item) -> bool {
    let nothing = document.item().is_null();
    if nothing {
        let help = "write the limits into it, or remove `limits` from the spec for the built-in ones";
        named.report(format!("`{}` says nothing", document.file.path.display()), help);
    }
    nothing
}

/// Reads limits over the built-in ones. A limit that is not said is that of
/// `defaults`, else the group's built-in one, or for a new group the default
/// group's; `null` is unlimited.
fn section(item: Item) -> LimitsDraft {
    let fields = item.fields(&TOP);
    let entries = fields.entries("groups");
    let default_group = default_group(fields.get("default_group"), &entries);
    let defaults = fields.get("defaults").map(|item| table::read(&item.fields(&KEYS))).unwrap_or_default();
    let mut draft = LimitsDraft::default();
    let mut written = BTreeMap::new();
    for (key, value) in &entries {
        key.item.check(grammar::group_name(key.text));
        let fields = value.fields(&[&["members"], KEYS.as_slice()].concat());
        draft.members(&fields, key.text);
        written.insert(key.text.to_owned(), table::read(&fields));
    }
    draft.limits = Limits {
        groups: groups(&default_group, &defaults, &written),
        default_group,
        exemptions: fields.get("exempt").map(exemptions).unwrap_or_default(),
        defaults,
        written,
        people: BTreeMap::new(),
    };
    draft.people(&fields);
    draft
}

fn default_group(item: Option<Item>, entries: &[(Key, Item)]) -> String {
    if let Some(item) = item
        && let Some(name) = item.string()
    {
        let built_in = built_in_groups();
        let all: BTreeSet<&str> =
            built_in.keys().map(String::as_str).chain(entries.iter().map(|(key, _)| key.text)).collect();
        if all.contains(name) {
            return name.to_owned();
        }
        unknown_group(name, item, all);
    }
    DEFAULT_GROUP.to_owned()
}

fn unknown_group<'n>(name: &str, item: Item, all: impl IntoIterator<Item = &'n str>) {
    let all: Vec<_> = all.into_iter().collect();
    item.report_unknown(format!("no group `{}`", short(name)), name, all.iter().copied(), || {
        format!("declare it under `groups` of `limits`; there are: {}", all.join(", "))
    });
}

/// Every group with what it inherits.
fn groups(
    default_group: &str,
    defaults: &Layer,
    written: &BTreeMap<String, Layer>,
) -> BTreeMap<String, GroupLimits> {
    let built_in = built_in_groups();
    let over = |below: &GroupLimits, name: &str| {
        let mut limits = below.clone();
        let own = written.get(name).map(Vec::as_slice).unwrap_or_default();
        defaults.iter().chain(own).for_each(|limit| limit.apply(&mut limits));
        limits
    };
    let fallback = built_in.get(default_group).unwrap_or(&built_in[DEFAULT_GROUP]);
    let default = over(fallback, default_group);
    let names: BTreeSet<&String> = built_in.keys().chain(written.keys()).collect();
    let group = |name: &String| (name.clone(), over(built_in.get(name).unwrap_or(&default), name));
    names.into_iter().map(group).collect()
}

/// A person or a container that some rules do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exemption {
    pub(crate) whom: Whom,
    /// Never empty.
    pub(crate) from: BTreeSet<Rule>,
    /// Seconds since 1970, from which on it does not hold any more; `None`: for ever.
    pub(crate) until: Option<i64>,
    /// For people.
    pub(crate) why: Option<String>,
}

/// Who is spared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// All containers of a person.
    User(Login),
    /// One container by its name, with the owner's uid or without it.
    Container(String),
}

/// A rule of how long containers may be what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    LongestRun,
    Idle,
    Stopped,
    NeverStarted,
}

impl Rule {
    /// Every rule.
    pub(crate) const ALL: [Self; 4] = [Self::LongestRun, Self::Idle, Self::Stopped, Self::NeverStarted];

    /// The key in the spec.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::LongestRun => "longest_run",
            Self::Idle => "idle",
            Self::Stopped => "stopped",
            Self::NeverStarted => "never_started",
        }
    }
}

/// `exempt:`, a list of `{user | container, from, until, why}`.
fn exemptions(item: Item) -> Vec<Exemption> {
    item.list().into_iter().filter_map(exemption).collect()
}

fn exemption(item: Item) -> Option<Exemption> {
    let fields = item.fields(&["user", "container", "from", "until", "why"]);
    let whom = whom(item, &fields);
    let from = fields.get_some("from").map_or(Some(Rule::ALL.into()), rules);
    let until = fields.get("until").map_or(Some(None), until);
    let why = fields.get_some("why").and_then(Item::string).map(str::to_owned);
    Some(Exemption { whom: whom?, from: from?, until: until?, why })
}

fn whom(item: Item, fields: &Fields) -> Option<Whom> {
    match (fields.get("user"), fields.get("container")) {
        (Some(user), None) => user.text_of(grammar::login).map(|login| Whom::User(Login::new(login))),
        (None, Some(container)) => {
            let name = container.string()?;
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if !name.is_empty() && name.chars().all(legal) {
                return Some(Whom::Container(name.to_owned()));
            }
            let message = format!("`{}` cannot be a container's name", short(name));
            container.report(message, "write it as `ds01-build container list` shows it");
            None
        }
        (both, _) => {
            let what = if both.is_some() { "both a user and a container are" } else { "nobody is" };
            let help = "write `user: LOGIN` or `container: NAME`, an entry for each";
            item.report(format!("{what} exempted"), help);
            None
        }
    }
}

fn rules(item: Item) -> Option<BTreeSet<Rule>> {
    let keys = Rule::ALL.map(Rule::key);
    let mut rules = BTreeSet::new();
    for (text, item) in item.one_or_more() {
        if let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.key() == text) {
            rules.insert(rule);
            continue;
        }
        let all = || format!("there are: {}", keys.join(", "));
        item.report_unknown(format!("no rule `{}`", short(text)), text, keys, all);
    }
    if rules.is_empty() && item.elements().is_some_and(|list| list.is_empty()) {
        item.report("exempted from nothing", "name rules, or leave `from` out for all of them");
    }
    (!rules.is_empty()).then_some(rules)
}

/// A date holds to its end, in UTC.
fn until(item: Item) -> Option<Option<i64>> {
    let text = item.scalar().unwrap_or_default();
    if item.is_null() || text == "never" {
        return Some(None);
    }
    let date = || {
        let next = text.parse::<Date>().ok().filter(|_| text.len() == 10)?.checked_add(1.day()).ok()?;
        TimeZone::UTC.to_timestamp(next.at(0, 0, 0, 0)).ok()
    };
    let time = date().or_else(|| text.parse::<Timestamp>().ok());
    if time.is_none() {
        let help = "write 2026-12-31, a time such as 2026-12-31T18:00:00Z, or never";
        item.report(format!("`{}` is no date", short(text)), help);
    }
    time.map(|time| Some(time.as_second()))
}
