//! `limits:` — what people's containers may use, in the spec or in a file of
//! its own.
//!
//! What is written for a person comes before what is written for their group,
//! that over `defaults`, and that over the built-in group of the name. A
//! container is only made with every limit known.

mod read;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub(crate) use read::{Exemption, LimitsDraft, Rule, Whom, read};
use table::{Layer, Limit};
pub(crate) use values::{parse_size, size_text};

use super::Spec;
use crate::model::names::Login;

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

/// What is known of a person from `limits:` alone.
#[derive(Clone, Debug, Default, PartialEq)]
struct PersonEntry {
    group: Option<String>,
    /// For this person alone.
    own: Layer,
}

/// What holds for one person.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PersonLimits {
    pub(crate) group: String,
    /// The group's, with what is written for this person alone applied over them.
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
            own: own.iter().map(Limit::key).collect(),
            by_default: said.is_none(),
        })
    }

    /// Each limit of what [`Limits::of`] gave, in the order of their keys.
    pub(crate) fn effective(&self, applied: &PersonLimits) -> Vec<EffectiveLimit> {
        let effective = |limit: &Limit| {
            let (value, unit) = limit.value();
            let from = self.origin(limit.key(), applied);
            EffectiveLimit { limit: limit.key(), value, unit, text: limit.text(), from }
        };
        Limit::all(&applied.limits).iter().map(effective).collect()
    }

    fn origin(&self, key: &str, applied: &PersonLimits) -> Origin {
        let has = |layer: &Layer| layer.iter().any(|limit| limit.key() == key);
        let group_has = |group: &str| self.written.get(group).is_some_and(has);
        if applied.own.contains(key) {
            Origin::Own
        } else if group_has(&applied.group) {
            Origin::Group
        } else if has(&self.defaults) {
            Origin::Defaults
        } else if !built_in_groups().contains_key(&applied.group) && group_has(&self.default_group) {
            Origin::DefaultGroup
        } else {
            Origin::BuiltIn
        }
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

impl Default for Limits {
    /// DS01's groups.
    fn default() -> Self {
        Self {
            default_group: DEFAULT_GROUP.into(),
            groups: built_in_groups(),
            exemptions: Vec::new(),
            defaults: Layer::new(),
            written: BTreeMap::new(),
            people: BTreeMap::new(),
        }
    }
}

/// One limit that holds for a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EffectiveLimit {
    /// Its key in the spec.
    pub(crate) limit: &'static str,
    /// In bytes and seconds; `null`: there is none.
    pub(crate) value: Value,
    /// What the value is counted in; `None`: things.
    pub(crate) unit: Option<&'static str>,
    /// As one would write it.
    pub(crate) text: String,
    pub(crate) from: Origin,
}

/// Where a limit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// Nowhere: the program's own.
    BuiltIn,
    /// Under `defaults:`.
    Defaults,
    /// With the default group, from which groups of the site inherit.
    DefaultGroup,
    /// With the person's group.
    Group,
    /// For this person alone.
    Own,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BuiltIn => "built in",
            Self::Defaults => "defaults",
            Self::DefaultGroup => "default group",
            Self::Group => "group",
            Self::Own => "own",
        })
    }
}

/// Group of people of whom nothing is said.
const DEFAULT_GROUP: &str = "student";

const GIB: u64 = 1 << 30;
const HOUR: u64 = 3600;

/// The groups that there are without a word, by name: those DS01 had.
fn built_in_groups() -> BTreeMap<String, GroupLimits> {
    let student = GroupLimits {
        cpus: Some(32.0),
        memory: Some(32 * GIB),
        swap: Some(0),
        shm_size: Some(16 * GIB),
        pids: Some(4096),
        containers: Some(3),
        gpu_equivalents: Some(2.0),
        gpus_per_container: Some(2),
        lifetime: lifetime(24, 0.5),
        ..GroupLimits::default()
    };
    let researcher = GroupLimits {
        cpus: Some(48.0),
        memory: Some(64 * GIB),
        shm_size: Some(32 * GIB),
        containers: Some(5),
        gpu_equivalents: Some(4.0),
        gpus_per_container: Some(3),
        lifetime: lifetime(48, 1.0),
        ..student.clone()
    };
    let faculty = GroupLimits {
        cpus: Some(64.0),
        memory: Some(128 * GIB),
        shm_size: Some(64 * GIB),
        gpus_per_container: Some(4),
        lifetime: lifetime(72, 2.0),
        ..researcher.clone()
    };
    let admin = GroupLimits {
        containers: Some(10),
        gpu_equivalents: None,
        gpus_per_container: None,
        lifetime: lifetime(24, 1.0),
        ..faculty.clone()
    };
    let groups =
        [(DEFAULT_GROUP, student), ("researcher", researcher), ("faculty", faculty), ("admin", admin)];
    groups.map(|(name, limits)| (name.to_owned(), limits)).into()
}

fn lifetime(longest_run_hours: u64, idle_hours: f64) -> Lifetime {
    Lifetime {
        longest_run: Some(Duration::from_secs(longest_run_hours * HOUR)),
        idle: Some(Duration::from_secs(HOUR).mul_f64(idle_hours)),
        ..Lifetime::default()
    }
}
