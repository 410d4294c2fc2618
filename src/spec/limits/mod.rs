//! `limits:` — what people's containers may use, in the spec or in a file of
//! its own.
//!
//! What is written for a person lies over what is written for their group,
//! that over `defaults`, and that over the built-in group of the name. A
//! container is only made with every limit known.

mod builtin;
mod durations;
mod exempt;
mod layer;
mod people;
mod rights;
pub(crate) mod sizes;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use exempt::{Exemption, Rule, Whom};
use layer::{KEYS, Layer};
use people::PersonEntry;
pub(crate) use people::{GroupMentions, agree};

use super::Spec;
use super::files::Files;
use super::names::{self, passes};
use super::paths;
use super::reader::{Item, Key, Problems, short};
use crate::model::names::Login;
use crate::model::problem::Problem;

/// `limits:` as a whole.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Group of a person of whom nothing says which.
    pub(crate) default_group: String,
    /// By group name, with all that they inherit.
    pub(crate) groups: BTreeMap<String, GroupLimits>,
    /// `exempt:`.
    pub(crate) exemptions: Vec<Exemption>,
    /// `defaults:` as written.
    defaults: Layer,
    /// Groups as written.
    written: BTreeMap<String, Layer>,
    /// Members of groups, and who has limits of their own.
    people: BTreeMap<Login, PersonEntry>,
}

/// What holds for one person.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PersonLimits {
    pub(crate) group: String,
    /// The group's, with what is written for this person alone laid over them.
    pub(crate) limits: GroupLimits,
    /// Keys that are written for this person alone.
    pub(crate) own: BTreeSet<&'static str>,
    /// Nothing says which group, so it is the default one.
    pub(crate) by_default: bool,
}

impl Limits {
    /// What holds for a person; `group` is the one that their entry under
    /// `users:` of the spec names. `None`: there is no such group, and so no
    /// limit is known.
    pub(crate) fn of(&self, login: &Login, group: Option<&str>) -> Option<PersonLimits> {
        let person = self.people.get(login);
        let said = group.or_else(|| person?.group.as_deref());
        let name = said.unwrap_or(&self.default_group);
        let mut limits = self.groups.get(name)?.clone();
        let own = person.map(|person| person.own.as_slice()).unwrap_or_default();
        own.iter().for_each(|limit| limit.apply(&mut limits));
        Some(PersonLimits {
            group: name.to_owned(),
            limits,
            own: own.iter().map(layer::Limit::key).collect(),
            by_default: said.is_none(),
        })
    }

    /// Something is written of this person, be it as a member of a group.
    pub(crate) fn knows(&self, login: &Login) -> bool {
        self.people.contains_key(login)
    }
}

impl Spec {
    /// What holds for a person, by `users:` and `limits:`. `None`: their group
    /// is none of `limits:`, and so no limit is known.
    pub(crate) fn limits_of(&self, login: &Login) -> Option<PersonLimits> {
        let user = self.users.get(login);
        self.limits.of(login, user.and_then(|user| user.group.as_deref()))
    }
}

/// One group's limits. `None` means unlimited.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GroupLimits {
    /// CPUs of one container.
    pub(crate) cpus: Option<f64>,
    /// Bytes of one container.
    pub(crate) memory: Option<u64>,
    /// Bytes of swap of one container, besides memory; the default is none.
    pub(crate) swap: Option<u64>,
    /// Bytes of `/dev/shm`.
    pub(crate) shm_size: Option<u64>,
    /// Processes and threads.
    pub(crate) pids: Option<u32>,
    /// Containers at once.
    pub(crate) containers: Option<u32>,
    /// Full GPUs at once in all containers of a person, a MIG slice counting
    /// its share of 7.
    pub(crate) gpu_equivalents: Option<f64>,
    /// GPUs and MIG slices in one container.
    pub(crate) gpus_per_container: Option<u32>,
    /// Name → (soft, hard); -1 is unlimited. Over the built-in ones.
    pub(crate) ulimits: BTreeMap<String, (i64, i64)>,
    pub(crate) network: Network,
    /// Capabilities that containers get, without `CAP_`.
    pub(crate) capabilities: BTreeSet<String>,
    /// Folders of the machine that may be mounted, themselves and what is in them.
    pub(crate) mounts: Vec<MountFolder>,
    pub(crate) lifetime: Lifetime,
}

/// How a group's containers reach others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Network {
    #[default]
    Bridge,
    Host,
    None,
    /// A network of the engine.
    Named(String),
}

/// A folder whose contents may be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountFolder {
    /// Absolute.
    pub(crate) path: PathBuf,
    /// Not for writing.
    pub(crate) read_only: bool,
}

/// How long a group's containers may be what they are. `None`: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// Since its last start; then it is stopped.
    pub(crate) longest_run: Option<Duration>,
    /// With GPUs that nothing computes on; then it is stopped.
    pub(crate) idle: Option<Duration>,
    /// A GPU below so many percent is idle.
    pub(crate) idle_below: u32,
    /// Stopped; then it is removed.
    pub(crate) stopped: Option<Duration>,
    /// Created and never started; then it is removed.
    pub(crate) never_started: Option<Duration>,
    /// So long before, people are told.
    pub(crate) warning: Duration,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self {
            longest_run: None,
            idle: None,
            idle_below: 5,
            stopped: None,
            never_started: None,
            warning: Duration::from_secs(30 * 60),
        }
    }
}

impl Network {
    /// As it is written.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
            Self::Named(name) => name,
        }
    }
}

impl MountFolder {
    fn text(&self) -> String {
        let path = self.path.display();
        if self.read_only { format!("{path} (read-only)") } else { path.to_string() }
    }
}

impl Default for Limits {
    /// DS01's groups.
    fn default() -> Self {
        Self {
            default_group: builtin::DEFAULT_GROUP.into(),
            groups: builtin::groups(),
            exemptions: Vec::new(),
            defaults: Layer::new(),
            written: BTreeMap::new(),
            people: BTreeMap::new(),
        }
    }
}

/// Limits that were read, and what only reading needs of them.
#[derive(Default)]
pub(crate) struct LimitsDraft {
    pub(crate) limits: Limits,
    /// Where people's groups are written.
    pub(crate) named: GroupMentions,
    /// The file could not be read: which groups there are is not known.
    pub(crate) broken: bool,
}

impl LimitsDraft {
    /// The name of a group that there is.
    pub(crate) fn group(&self, item: Item, problems: &mut Problems) -> Option<String> {
        let name = item.string(problems)?;
        if self.broken {
            return None;
        }
        let groups = &self.limits.groups;
        if !groups.contains_key(name) {
            unknown_group(name, item, groups.keys().map(String::as_str), problems);
            return None;
        }
        Some(name.to_owned())
    }
}

/// The file that `limits: FILE` or `limits: {file: FILE}` names. `None`: the
/// limits stand in the spec; `Some(None)`: what is named is no file.
pub(crate) fn file<'a>(
    item: Item<'a>,
    root: &Path,
    files: &dyn Files,
    problems: &mut Problems,
) -> Option<Option<(Item<'a>, PathBuf)>> {
    let named = if item.is_mapping() {
        item.quiet_entries().into_iter().find(|(key, _)| key.text == "file")?;
        let fields = item.fields_and(&["file"], &TOP, problems);
        if let Some(key) = TOP.iter().find_map(|key| fields.key(key)) {
            let problem = Problem::new("limits stand here and in a file of their own").at(&key);
            problems.push(problem.help("write all of them into the file, or remove `file`"));
        }
        fields.get("file")?
    } else {
        item.scalar().filter(|_| !item.is_null()).map(|_| item)?
    };
    Some(paths::anywhere(named, root, files, problems).map(|path| (named, path)))
}

const TOP: [&str; 5] = ["default_group", "defaults", "groups", "users", "exempt"];

/// Reads limits over the built-in ones. A limit that is not said is that of
/// `defaults`, else the group's built-in one, or for a new group the default
/// group's; `null` is unlimited.
pub(crate) fn read(item: Option<Item>, problems: &mut Problems) -> LimitsDraft {
    let Some(item) = item else { return LimitsDraft::default() };
    let fields = item.fields(&TOP, problems);
    let entries = fields.get("groups").map(|item| item.entries(problems)).unwrap_or_default();
    let default_group = default_group(fields.get("default_group"), &entries, problems);
    let defaults = fields.get("defaults").map(|item| layer::read(&item.fields(&KEYS, problems), problems));
    let mut named = GroupMentions::new();
    let mut written = BTreeMap::new();
    for (key, value) in &entries {
        passes(names::group_name(key.text), &key.place(), problems);
        let fields = value.fields(&[&["members"], KEYS.as_slice()].concat(), problems);
        people::members(fields.get("members"), key.text, &mut named, problems);
        written.insert(key.text.to_owned(), layer::read(&fields, problems));
    }
    let defaults = defaults.unwrap_or_default();
    let limits = Limits {
        groups: groups(&default_group, &defaults, &written),
        default_group,
        exemptions: exempt::read(fields.get("exempt"), problems),
        defaults,
        written,
        people: BTreeMap::new(),
    };
    let mut reading = LimitsDraft { limits, named: GroupMentions::new(), broken: false };
    let known = |item: Item, problems: &mut Problems| reading.group(item, problems);
    let people = people::users(fields.get("users"), known, &mut named, problems);
    reading.limits.people = people;
    reading.named = named;
    reading
}

fn default_group(item: Option<Item>, entries: &[(Key, Item)], problems: &mut Problems) -> String {
    let named = item.and_then(|item| Some((item.string(problems)?, item)));
    if let Some((name, item)) = named {
        let built_in = builtin::groups();
        let all: BTreeSet<&str> =
            built_in.keys().map(String::as_str).chain(entries.iter().map(|(key, _)| key.text)).collect();
        if all.contains(name) {
            return name.to_owned();
        }
        unknown_group(name, item, all, problems);
    }
    builtin::DEFAULT_GROUP.to_owned()
}

fn unknown_group<'n>(
    name: &str,
    item: Item,
    all: impl IntoIterator<Item = &'n str>,
    problems: &mut Problems,
) {
    let all: Vec<_> = all.into_iter().collect();
    let help = match problems.near(name, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("declare it under `groups` of `limits`; there are: {}", all.join(", ")),
    };
    problems.push(Problem::new(format!("no group `{}`", short(name))).at(&item.place()).help(help));
}

/// Every group with what it inherits.
fn groups(
    default_group: &str,
    defaults: &Layer,
    written: &BTreeMap<String, Layer>,
) -> BTreeMap<String, GroupLimits> {
    let built_in = builtin::groups();
    let laid = |below: &GroupLimits, name: &str| {
        let mut limits = below.clone();
        let own = written.get(name).map(Vec::as_slice).unwrap_or_default();
        defaults.iter().chain(own).for_each(|limit| limit.apply(&mut limits));
        limits
    };
    let fallback = built_in.get(default_group).unwrap_or(&built_in[builtin::DEFAULT_GROUP]);
    let default = laid(fallback, default_group);
    let names: BTreeSet<&String> = built_in.keys().chain(written.keys()).collect();
    let group = |name: &String| (name.clone(), laid(built_in.get(name).unwrap_or(&default), name));
    names.into_iter().map(group).collect()
}
