//! What a group's containers may reach besides figures: the kernel's limits,
//! networks, capabilities, folders of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::sizes;
use super::{MountFolder, Network};
use crate::model::problem::Problem;
use crate::spec::reader::{Item, Key, Problems, short};

/// The kernel's capabilities, without `CAP_`.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// The kernel's limits by the names that engines take, and whether they count
/// bytes.
const ULIMITS: [(&str, bool); 15] = [
    ("core", true),
    ("cpu", false),
    ("data", true),
    ("fsize", true),
    ("locks", false),
    ("memlock", true),
    ("msgqueue", true),
    ("nice", false),
    ("nofile", false),
    ("nproc", false),
    ("rss", true),
    ("rtprio", false),
    ("rttime", false),
    ("sigpending", false),
    ("stack", true),
];

const UNLIMITED: i64 = -1;

/// `{nofile: 65536, memlock: unlimited, stack: [8m, 64m]}`.
pub(crate) fn ulimits(item: Item, problems: &mut Problems) -> Option<BTreeMap<String, (i64, i64)>> {
    if item.is_null() {
        let problem = Problem::new("`null` does not say which limit it lifts").at(&item.place());
        problems.push(problem.help("write each one, such as {memlock: unlimited}"));
        return None;
    }
    let entries = item.entries(problems);
    let read = |(key, value): (Key, Item)| Some((key.text.to_owned(), ulimit(&key, value, problems)?));
    Some(entries.into_iter().filter_map(read).collect())
}

fn ulimit(key: &Key, item: Item, problems: &mut Problems) -> Option<(i64, i64)> {
    let Some((name, bytes)) = ULIMITS.iter().find(|(name, _)| *name == key.text) else {
        let names = ULIMITS.map(|(name, _)| name);
        let near = problems.near(key.text, names);
        let help = near.map_or_else(
            || format!("there are: {}", names.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let problem = Problem::new(format!("no limit of the kernel's is called `{}`", short(key.text)));
        problems.push(problem.at(&key.place()).help(help));
        return None;
    };
    let mut one = |item: Item| amount(name, *bytes, item, problems);
    let (soft, hard) = match item.quiet_list() {
        Some(both) => match both.as_slice() {
            [soft, hard] => (one(*soft)?, one(*hard)?),
            _ => {
                let problem = Problem::new(format!("`{name}` has {} amounts", both.len())).at(&item.place());
                problems.push(problem.help("write one, or [soft, hard]"));
                return None;
            }
        },
        None => one(item).map(|amount| (amount, amount))?,
    };
    if hard == UNLIMITED || (soft != UNLIMITED && soft <= hard) {
        return Some((soft, hard));
    }
    let problem = Problem::new(format!("the soft limit of `{name}` is above the hard one")).at(&item.place());
    problems.push(problem.help("write [soft, hard], the smaller first"));
    None
}

/// A number, `unlimited`, or a size where bytes are counted.
fn amount(name: &str, bytes: bool, item: Item, problems: &mut Problems) -> Option<i64> {
    let text = item.scalar().unwrap_or_default();
    if item.is_null() || text == "unlimited" {
        if name != "nofile" {
            return Some(UNLIMITED);
        }
        let problem = Problem::new("the kernel has no unlimited number of open files").at(&item.place());
        problems.push(problem.help("write a number, such as 1048576"));
        return None;
    }
    let size = if bytes { sizes::bytes(text) } else { None };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = size.or_else(|| digits.then(|| text.parse().ok()).flatten());
    let number = number.and_then(|number| i64::try_from(number).ok());
    if number.is_none() {
        let example = if bytes { "such as 64m" } else { "such as 65536" };
        let problem = Problem::new(format!("no amount for `{name}`")).at(&item.place());
        problems.push(problem.help(format!("write a whole number, {example}, or unlimited")));
    }
    number
}

/// `bridge`, `host`, `none`, or a network of the engine.
pub(crate) fn network(item: Item, problems: &mut Problems) -> Option<Network> {
    let text = item.string(problems)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    match text {
        "bridge" | "default" => Some(Network::Bridge),
        "host" => Some(Network::Host),
        "none" => Some(Network::None),
        _ if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal) => {
            Some(Network::Named(text.to_owned()))
        }
        _ => {
            let problem = Problem::new(format!("`{}` cannot be a network", short(text))).at(&item.place());
            problems.push(problem.help("write bridge, host, none, or a name that `docker network ls` shows"));
            None
        }
    }
}

/// Names without `CAP_`, however they are written.
pub(crate) fn capabilities(item: Item, problems: &mut Problems) -> Option<BTreeSet<String>> {
    let items = listed(item, "capabilities", problems)?;
    let mut found = BTreeSet::new();
    for item in items {
        let Some(text) = item.string(problems) else { continue };
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let help = match name {
            _ if CAPABILITIES.contains(&name) => {
                found.insert(name.to_owned());
                continue;
            }
            "ALL" => "whoever has all of them is root on the machine; name those that are needed".into(),
            _ => match problems.near(name, CAPABILITIES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`man 7 capabilities` lists them".to_owned(),
            },
        };
        let message = match name {
            "ALL" => "all capabilities are not given".to_owned(),
            _ => format!("the kernel has no capability `{}`", short(text)),
        };
        problems.push(Problem::new(message).at(&item.place()).help(help));
    }
    Some(found)
}

/// Paths, or `{path, read_only}`.
pub(crate) fn mounts(item: Item, problems: &mut Problems) -> Option<Vec<MountFolder>> {
    let items = listed(item, "mounts", problems)?;
    Some(items.into_iter().filter_map(|item| allowed(item, problems)).collect())
}

fn allowed(item: Item, problems: &mut Problems) -> Option<MountFolder> {
    if !item.is_mapping() {
        return Some(MountFolder { path: folder(item, problems)?, read_only: false });
    }
    let fields = item.fields(&["path", "read_only"], problems);
    let path = fields.require("path", &item.place(), "path: /data", problems);
    let path = path.and_then(|item| folder(item, problems));
    let read_only = fields.get("read_only").map_or(Some(false), |item| item.boolean(problems));
    Some(MountFolder { path: path?, read_only: read_only? })
}

/// An absolute folder that is not the whole machine.
fn folder(item: Item, problems: &mut Problems) -> Option<PathBuf> {
    let text = item.string(problems)?;
    let path: PathBuf = Path::new(text).components().collect();
    let (why, help) = match () {
        () if !path.is_absolute() => ("is not absolute", "write it from / on, such as /data"),
        () if text.chars().any(char::is_control) || text.contains(':') => {
            ("has a character that mounts cannot have", "name another folder")
        }
        () if path.components().any(|part| part == Component::ParentDir) => {
            ("goes up", "write where it leads to")
        }
        () if path.parent().is_none() => {
            ("is the whole machine", "whoever mounts it is root; name the folders that are needed")
        }
        () => return Some(path),
    };
    let problem = Problem::new(format!("the folder `{}` {why}", short(text))).at(&item.place());
    problems.push(problem.help(help));
    None
}

/// The entries of a list. Nothing is refused: elsewhere it means no limit, and
/// here that would be everything.
fn listed<'a>(item: Item<'a>, key: &str, problems: &mut Problems) -> Option<Vec<Item<'a>>> {
    if item.is_null() {
        let problem = Problem::new(format!("`{key}` cannot be unlimited")).at(&item.place());
        problems.push(problem.help("write [] for none, or name each"));
        return None;
    }
    Some(item.list(problems))
}
