//! Every limit once: its key, where it stands among a group's limits, and how
//! it is read. How it is shown and applied over others follows from its type.
//!
//! A limit that is not written is the one below. `null` lifts it. Lists stand
//! whole; limits of the kernel are applied one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::values::{self, capabilities, count, cpus, memory, mounts, network, percent, size, swap, ulimits};
use super::{GroupLimits, MountFolder, Network};
use crate::spec::fields::Fields;
use crate::spec::reader::Item;

type Ulimits = BTreeMap<String, (i64, i64)>;

macro_rules! limits {
    ($($key:literal $name:ident($type:ty) = $($field:ident).+, $read:expr;)+) => {
        /// Every limit's key, in the order in which they are shown.
        pub(crate) const KEYS: [&str; [$($key),+].len()] = [$($key),+];

        /// One limit. `None`: there is none.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Limit {
            $($name($type),)+
        }

        impl Limit {
            /// The one of a key; `None`: it is wrong, which is reported.
            fn read(key: &str, item: Item) -> Option<Self> {
                match key {
                    $($key => ($read)(item).map(Self::$name),)+
                    _ => None,
                }
            }

            /// Its key in the spec.
            pub(crate) fn key(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $key,)+
                }
            }

            /// Every limit of a group, in the order of [`KEYS`].
            pub(crate) fn all(group: &GroupLimits) -> [Self; KEYS.len()] {
                [$(Self::$name(group.$($field).+.clone())),+]
            }

            /// Makes it hold.
            pub(crate) fn apply(&self, group: &mut GroupLimits) {
                match self {
                    $(Self::$name(value) => value.apply_to(&mut group.$($field).+),)+
                }
            }

            /// As one would write it; several are set apart by commas.
            pub(crate) fn text(&self) -> String {
                match self {
                    $(Self::$name(value) => value.text(),)+
                }
            }

            /// In bytes and seconds, `null`: there is none; and what it is
            /// counted in, `None`: things.
            pub(crate) fn value(&self) -> (Value, Option<&'static str>) {
                match self {
                    $(Self::$name(value) => (value.json(), <$type>::UNIT),)+
                }
            }
        }
    };
}

limits! {
    "gpu_equivalents" GpuEquivalents(Option<f64>) = gpu_equivalents, |item| or_null(item, Item::number);
    "gpus_per_container" GpusPerContainer(Option<u32>) = gpus_per_container, |item| or_null(item, |item| count(item, 0));
    "containers" Containers(Option<u32>) = containers, |item| or_null(item, |item| count(item, 0));
    "cpus" Cpus(Option<f64>) = cpus, |item| or_null(item, cpus);
    "memory" Memory(Option<u64>) = memory, |item| or_null(item, memory);
    "swap" Swap(Option<u64>) = swap, |item| or_null(item, swap);
    "shm_size" ShmSize(Option<u64>) = shm_size, |item| or_null(item, size);
    "pids" Pids(Option<u32>) = pids, |item| or_null(item, |item| count(item, 1));
    "ulimits" Ulimits(Ulimits) = ulimits, ulimits;
    "network" Network(Network) = network, network;
    "capabilities" Capabilities(BTreeSet<String>) = capabilities, capabilities;
    "mounts" Mounts(Vec<MountFolder>) = mounts, mounts;
    "longest_run" LongestRun(Option<Duration>) = lifetime.longest_run, values::duration_or_never;
    "idle" Idle(Option<Duration>) = lifetime.idle, values::duration_or_never;
    "idle_below" IdleBelow(u32) = lifetime.idle_below, percent;
    "stopped" Stopped(Option<Duration>) = lifetime.stopped, values::duration_or_never;
    "never_started" NeverStarted(Option<Duration>) = lifetime.never_started, values::duration_or_never;
    "warning" Warning(Duration) = lifetime.warning, values::duration_or_zero;
}

/// Limits that are written in one place, each at most once.
pub(crate) type Layer = Vec<Limit>;

/// Those of some fields.
pub(crate) fn read(fields: &Fields) -> Layer {
    KEYS.iter().filter_map(|key| Limit::read(key, fields.get(key)?)).collect()
}

fn or_null<'a, T>(item: Item<'a>, read: impl Fn(Item<'a>) -> Option<T>) -> Option<Option<T>> {
    if item.is_null() { Some(None) } else { read(item).map(Some) }
}

/// What the limits of one type have in common.
trait LimitValue: Clone {
    const UNIT: Option<&'static str> = None;

    fn text(&self) -> String;

    fn json(&self) -> Value;

    fn apply_to(&self, below: &mut Self) {
        below.clone_from(self);
    }
}

/// CPUs and GPUs.
impl LimitValue for Option<f64> {
    fn text(&self) -> String {
        plain(*self)
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

impl LimitValue for Option<u32> {
    fn text(&self) -> String {
        plain(*self)
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

impl LimitValue for Option<u64> {
    const UNIT: Option<&'static str> = Some("bytes");

    fn text(&self) -> String {
        plain(self.map(values::size_text))
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

impl LimitValue for Ulimits {
    fn text(&self) -> String {
        let amount = |amount: i64| if amount < 0 { "unlimited".to_owned() } else { amount.to_string() };
        let ulimit = |(name, (soft, hard)): (&String, &(i64, i64))| {
            let both = if soft == hard { String::new() } else { format!(":{}", amount(*hard)) };
            format!("{name} {}{both}", amount(*soft))
        };
        listed(self.iter().map(ulimit))
    }

    fn json(&self) -> Value {
        json!(self)
    }

    fn apply_to(&self, below: &mut Self) {
        below.extend(self.clone());
    }
}

impl LimitValue for Network {
    fn text(&self) -> String {
        self.name().to_owned()
    }

    fn json(&self) -> Value {
        json!(self.name())
    }
}

impl LimitValue for BTreeSet<String> {
    fn text(&self) -> String {
        listed(self.iter().cloned())
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

impl LimitValue for Vec<MountFolder> {
    fn text(&self) -> String {
        listed(self.iter().map(|folder| {
            format!("{}{}", folder.path.display(), if folder.read_only { " (read-only)" } else { "" })
        }))
    }

    fn json(&self) -> Value {
        let json = |folder: &MountFolder| json!({"path": folder.path.display().to_string(), "read_only": folder.read_only});
        self.iter().map(json).collect()
    }
}

/// `None`: for ever.
impl LimitValue for Option<Duration> {
    const UNIT: Option<&'static str> = Some("seconds");

    fn text(&self) -> String {
        self.map_or_else(|| "never".to_owned(), values::duration_text)
    }

    fn json(&self) -> Value {
        json!(self.map(|limit| limit.as_secs()))
    }
}

/// How long before.
impl LimitValue for Duration {
    const UNIT: Option<&'static str> = Some("seconds");

    fn text(&self) -> String {
        if self.is_zero() { "never".into() } else { values::duration_text(*self) }
    }

    fn json(&self) -> Value {
        json!(self.as_secs())
    }
}

/// Parts of hundred.
impl LimitValue for u32 {
    const UNIT: Option<&'static str> = Some("percent");

    fn text(&self) -> String {
        format!("{self} %")
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

fn plain<T: ToString>(limit: Option<T>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}
