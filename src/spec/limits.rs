//! `limits:` — what a group's containers may use.
//!
//! The default groups are the ones DS01 had. A container is only made with
//! every limit known.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{self, passes};
use super::reader::{Fields, Item, Problems, short};
use crate::problem::Problem;

/// `limits:` as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Group of a user whose entry names none.
    pub default_group: String,
    /// By group name.
    pub groups: BTreeMap<String, GroupLimits>,
}

/// One group's limits. `None` means unlimited.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupLimits {
    /// CPUs of one container.
    pub cpus: Option<f64>,
    /// Bytes of one container.
    pub memory: Option<u64>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Containers at once.
    pub containers: Option<u32>,
    /// Full GPUs at once, a MIG slice counting its share of 7.
    pub gpu_equivalents: Option<f64>,
}

const GIB: u64 = 1 << 30;
/// Below it the engine refuses to start a container.
const LEAST_MEMORY: u64 = 6 << 20;

impl Default for Limits {
    /// DS01's groups.
    fn default() -> Self {
        let group = |gpus: Option<f64>, cpus: f64, memory: u64, shm: u64, containers: u32| GroupLimits {
            cpus: Some(cpus),
            memory: Some(memory * GIB),
            shm_size: Some(shm * GIB),
            pids: Some(4096),
            containers: Some(containers),
            gpu_equivalents: gpus,
        };
        let groups = [
            ("student", group(Some(2.0), 32.0, 32, 16, 3)),
            ("researcher", group(Some(4.0), 48.0, 64, 32, 5)),
            ("faculty", group(Some(4.0), 64.0, 128, 64, 5)),
            ("admin", group(None, 64.0, 128, 64, 10)),
        ];
        let groups = groups.map(|(name, limits)| (name.to_owned(), limits));
        Self { default_group: "student".into(), groups: groups.into() }
    }
}

/// Reads `limits: {default_group, groups: {NAME: {...}}}` over the defaults.
/// A limit that is not said is the group's built-in one, or for a new group
/// the default group's; `null` is unlimited.
pub fn read(item: Option<Item>, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let Some(item) = item else { return limits };
    let fields = item.fields(&["default_group", "groups"], problems);
    let entries = fields.get("groups").map(|item| item.entries(problems)).unwrap_or_default();
    let named = fields.get("default_group").and_then(|item| Some((item.string(problems)?, item)));
    if let Some((name, item)) = named {
        if limits.groups.contains_key(name) || entries.iter().any(|(key, _)| key.text == name) {
            limits.default_group = name.to_owned();
        } else {
            let all: BTreeSet<&str> = limits
                .groups
                .keys()
                .map(String::as_str)
                .chain(entries.iter().map(|(key, _)| key.text))
                .collect();
            let all = Vec::from_iter(all).join(", ");
            let problem = Problem::new(format!("no group `{}`", short(name))).at(&item.place());
            problems.push(problem.help(format!("declare it under `groups`; there are: {all}")));
        }
    }
    // The default group comes first: new groups inherit from it.
    let default = limits.default_group.clone();
    let (first, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key.text == default);
    let student = limits.groups["student"].clone();
    for (key, value) in first.into_iter().chain(others) {
        passes(names::group_name(key.text), &key.place(), problems);
        let inherited =
            limits.groups.get(key.text).or_else(|| limits.groups.get(&default)).unwrap_or(&student);
        let group = group(value, inherited.clone(), problems);
        limits.groups.insert(key.text.to_owned(), group);
    }
    limits
}

/// The groups, for messages.
pub fn names(limits: &Limits) -> String {
    limits.groups.keys().cloned().collect::<Vec<_>>().join(", ")
}

const KEYS: &[&str] = &["cpus", "memory", "shm_size", "pids", "containers", "gpu_equivalents"];

fn group(item: Item, inherited: GroupLimits, problems: &mut Problems) -> GroupLimits {
    let fields = item.fields(KEYS, problems);
    let from = inherited;
    GroupLimits {
        cpus: limit(&fields, "cpus", from.cpus, cpus, problems),
        memory: limit(&fields, "memory", from.memory, memory, problems),
        shm_size: limit(&fields, "shm_size", from.shm_size, size, problems),
        pids: limit(&fields, "pids", from.pids, |i, p| count(i, 1, p), problems),
        containers: limit(&fields, "containers", from.containers, |i, p| count(i, 0, p), problems),
        gpu_equivalents: limit(
            &fields,
            "gpu_equivalents",
            from.gpu_equivalents,
            |i, p| i.number(p),
            problems,
        ),
    }
}

fn limit<T>(
    fields: &Fields,
    key: &str,
    inherited: Option<T>,
    read: impl Fn(Item, &mut Problems) -> Option<T>,
    problems: &mut Problems,
) -> Option<T> {
    match fields.get(key) {
        None => inherited,
        Some(item) if item.is_null() => None,
        Some(item) => read(item, problems),
    }
}

fn cpus(item: Item, problems: &mut Problems) -> Option<f64> {
    let cpus = item.number(problems)?;
    // Docker takes hundredths and no less.
    if cpus >= 0.01 {
        return Some(cpus);
    }
    problems.push(
        Problem::new("no CPU at all").at(&item.place()).help("write 0.01 or more, or null for no limit"),
    );
    None
}

fn count(item: Item, least: u32, problems: &mut Problems) -> Option<u32> {
    let number = item.whole(problems)?;
    match u32::try_from(number) {
        Ok(count) if count >= least => Some(count),
        _ => {
            let problem = Problem::new(format!("{number} is out of range")).at(&item.place());
            problems.push(problem.help(format!("write a number from {least} on, or null for no limit")));
            None
        }
    }
}

fn memory(item: Item, problems: &mut Problems) -> Option<u64> {
    let bytes = size(item, problems)?;
    if bytes >= LEAST_MEMORY {
        return Some(bytes);
    }
    let problem = Problem::new(format!("{bytes} bytes are too few for a container")).at(&item.place());
    problems.push(problem.help("write at least 6m; units are k, m, g and t"));
    None
}

/// `32g`, `512m`: units of 1024; a number alone would leave the unit open.
fn size(item: Item, problems: &mut Problems) -> Option<u64> {
    let text = item.string_or_whole(problems)?;
    let lower = text.to_ascii_lowercase();
    let shift = [("k", 10), ("m", 20), ("g", 30), ("t", 40)];
    let bytes = shift.iter().find_map(|(unit, shift)| {
        let number = lower.strip_suffix(unit)?;
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| number.parse::<u64>().ok()?.checked_mul(1 << shift)).flatten()
    });
    // Docker counts bytes in a signed number.
    let bytes = bytes.filter(|bytes| *bytes > 0 && i64::try_from(*bytes).is_ok());
    if bytes.is_none() {
        let problem = Problem::new(format!("`{}` is no size", short(text))).at(&item.place());
        problems.push(problem.help("write a whole number and k, m, g or t, such as 32g"));
    }
    bytes
}
