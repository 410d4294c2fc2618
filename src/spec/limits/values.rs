//! What is written for a limit: numbers, sizes, durations, and what containers
//! may reach besides figures (limits of the kernel, networks, capabilities,
//! folders of the machine); and what an engine takes for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::{MountFolder, Network};
use crate::spec::fields::Key;
use crate::spec::reader::{Item, short};

/// Below it the engine refuses to start a container.
const LEAST_MEMORY: u64 = 6 << 20;

/// Suffix, and the shift that it stands for.
const SIZES: [(&str, u32); 4] = [("t", 40), ("g", 30), ("m", 20), ("k", 10)];

/// Suffix, and its seconds.
const DURATIONS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// A hundred years: more is a slip of the pen.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The kernel's capabilities, without `CAP_`.
const CAPABILITIES: &str = "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE \
    DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN \
    MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID \
    SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE \
    SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM";

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

pub(crate) fn cpus(item: Item) -> Option<f64> {
    let cpus = item.number()?;
    // Docker takes hundredths and no less.
    if cpus >= 0.01 {
        return Some(cpus);
    }
    item.report("no CPU at all", "write 0.01 or more, or null for no limit");
    None
}

pub(crate) fn count(item: Item, least: u32) -> Option<u32> {
    let number = item.whole()?;
    let count = u32::try_from(number).ok().filter(|count| *count >= least);
    if count.is_none() {
        let help = format!("write a number from {least} on, or null for no limit");
        item.report(format!("{number} is out of range"), help);
    }
    count
}

pub(crate) fn percent(item: Item) -> Option<u32> {
    let number = item.whole()?;
    let percent = u32::try_from(number).ok().filter(|percent| *percent <= 100);
    if percent.is_none() {
        let help = "write a number from 0 to 100; with 0 nothing counts as idle";
        item.report(format!("{number} percent is out of range"), help);
    }
    percent
}

pub(crate) fn memory(item: Item) -> Option<u64> {
    let bytes = size(item)?;
    if bytes >= LEAST_MEMORY {
        return Some(bytes);
    }
    let message = format!("{bytes} bytes are too few for a container");
    item.report(message, "write at least 6m; units are k, m, g and t");
    None
}

/// A size, where none is `0`.
pub(crate) fn swap(item: Item) -> Option<u64> {
    if item.scalar() == Some("0") { Some(0) } else { size(item) }
}

/// `32g`, `512m`: units of 1024; a number alone would leave the unit open.
pub(crate) fn size(item: Item) -> Option<u64> {
    let written = item.string_or_whole()?;
    let bytes = parse_size(written);
    if bytes.is_none() {
        let help = "write a whole number and k, m, g or t, such as 32g";
        item.report(format!("`{}` is no size", short(written)), help);
    }
    bytes
}

/// The bytes of a size, if it is one.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (number, shift) = SIZES.iter().find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, shift)))?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let bytes = digits.then(|| number.parse::<u64>().ok()?.checked_mul(1 << shift)).flatten();
    // Docker counts bytes in a signed number.
    bytes.filter(|bytes| *bytes > 0 && i64::try_from(*bytes).is_ok())
}

/// Bytes as one would write them.
pub(crate) fn size_text(bytes: u64) -> String {
    let fits = |(_, shift): &&(&str, u32)| bytes > 0 && bytes.is_multiple_of(1 << shift);
    match SIZES.iter().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// A duration of a second at least; `never`, and nothing, is `None` within.
pub(crate) fn duration_or_never(item: Item) -> Option<Option<Duration>> {
    if is_never(item) {
        return Some(None);
    }
    let duration = duration(item)?;
    if duration.is_zero() {
        report_duration(item, "no time at all");
        return None;
    }
    Some(Some(duration))
}

/// A duration; `never`, and nothing, is zero.
pub(crate) fn duration_or_zero(item: Item) -> Option<Duration> {
    if is_never(item) { Some(Duration::ZERO) } else { duration(item) }
}

fn is_never(item: Item) -> bool {
    item.is_null() || item.scalar() == Some("never")
}

fn duration(item: Item) -> Option<Duration> {
    let duration = item.scalar().and_then(parse_duration);
    if duration.is_none() {
        report_duration(item, "no duration");
    }
    duration
}

fn report_duration(item: Item, what: &str) {
    let written = item.scalar().map_or_else(|| "this".into(), |text| format!("`{}`", short(text)));
    let help = "write a number and s, m, h, d or w, such as 30m, 1.5h or 2d, or never";
    item.report(format!("{written} is {what}"), help);
}

/// `0.25h` is 900 s. Parts of a second are rounded.
fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) =
        DURATIONS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let plain = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = plain.then(|| number.parse().ok()).flatten()?;
    let duration = Duration::try_from_secs_f64((number * *unit as f64).round()).ok()?;
    (duration <= LONGEST).then_some(duration)
}

/// A duration as one would write it.
pub(crate) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    // A day is `24h` to people who wait for its end; two are `2d`.
    let fits =
        |(_, unit): &&(&str, u64)| seconds.is_multiple_of(*unit) && (*unit <= 3600 || seconds >= 2 * 86_400);
    match DURATIONS.iter().find(fits) {
        Some((unit, length)) if seconds > 0 => format!("{}{unit}", seconds / length),
        _ => "0s".into(),
    }
}

/// `{nofile: 65536, memlock: unlimited, stack: [8m, 64m]}`.
pub(crate) fn ulimits(item: Item) -> Option<BTreeMap<String, (i64, i64)>> {
    if item.is_null() {
        let help = "write each one, such as {memlock: unlimited}";
        item.report("`null` does not say which limit it lifts", help);
        return None;
    }
    let read = |(key, value): (Key, Item)| Some((key.text.to_owned(), ulimit(&key, value)?));
    Some(item.entries().into_iter().filter_map(read).collect())
}

fn ulimit(key: &Key, item: Item) -> Option<(i64, i64)> {
    let Some((name, bytes)) = ULIMITS.iter().find(|(name, _)| *name == key.text) else {
        let names = ULIMITS.map(|(name, _)| name);
        let message = format!("no limit of the kernel's is called `{}`", short(key.text));
        key.item.report_unknown(message, key.text, names, || format!("there are: {}", names.join(", ")));
        return None;
    };
    let (soft, hard) = match item.elements().as_deref() {
        None => amount(name, *bytes, item).map(|amount| (amount, amount))?,
        Some([soft, hard]) => (amount(name, *bytes, *soft)?, amount(name, *bytes, *hard)?),
        Some(others) => {
            item.report(format!("`{name}` has {} amounts", others.len()), "write one, or [soft, hard]");
            return None;
        }
    };
    if hard == UNLIMITED || (soft != UNLIMITED && soft <= hard) {
        return Some((soft, hard));
    }
    let message = format!("the soft limit of `{name}` is above the hard one");
    item.report(message, "write [soft, hard], the smaller first");
    None
}

/// A number, `unlimited`, or a size where bytes are counted.
fn amount(name: &str, bytes: bool, item: Item) -> Option<i64> {
    let text = item.scalar().unwrap_or_default();
    if item.is_null() || text == "unlimited" {
        if name != "nofile" {
            return Some(UNLIMITED);
        }
        let help = "write a number, such as 1048576";
        item.report("the kernel has no unlimited number of open files", help);
        return None;
    }
    let size = if bytes { parse_size(text) } else { None };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = size.or_else(|| digits.then(|| text.parse().ok()).flatten());
    let number = number.and_then(|number| i64::try_from(number).ok());
    if number.is_none() {
        let example = if bytes { "such as 64m" } else { "such as 65536" };
        let help = format!("write a whole number, {example}, or unlimited");
        item.report(format!("no amount for `{name}`"), help);
    }
    number
}

/// `bridge`, `host`, `none`, or a network of the engine.
pub(crate) fn network(item: Item) -> Option<Network> {
    let text = item.string()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    match text {
        "bridge" | "default" => Some(Network::Bridge),
        "host" => Some(Network::Host),
        "none" => Some(Network::None),
        _ if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal) => {
            Some(Network::Named(text.to_owned()))
        }
        _ => {
            let help = "write bridge, host, none, or a name that `docker network ls` shows";
            item.report(format!("`{}` cannot be a network", short(text)), help);
            None
        }
    }
}

/// Names without `CAP_`, however they are written.
pub(crate) fn capabilities(item: Item) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for item in listed(item, "capabilities")? {
        let Some(text) = item.string() else { continue };
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if CAPABILITIES.split(' ').any(|known| known == name) {
            found.insert(name.to_owned());
        } else if name == "ALL" {
            let help = "whoever has all of them is root on the machine; name those that are needed";
            item.report("all capabilities are not given", help);
        } else {
            let message = format!("the kernel has no capability `{}`", short(text));
            let man = || "`man 7 capabilities` lists them".to_owned();
            item.report_unknown(message, name, CAPABILITIES.split(' '), man);
        }
    }
    Some(found)
}

/// Paths, or `{path, read_only}`.
pub(crate) fn mounts(item: Item) -> Option<Vec<MountFolder>> {
    Some(listed(item, "mounts")?.into_iter().filter_map(mount).collect())
}

fn mount(item: Item) -> Option<MountFolder> {
    if !item.is_mapping() {
        return Some(MountFolder { path: folder(item)?, read_only: false });
    }
    let fields = item.fields(&["path", "read_only"]);
    let path = fields.require("path", &item.place(), "path: /data").and_then(folder);
    let read_only = fields.flag("read_only", false);
    Some(MountFolder { path: path?, read_only: read_only? })
}

/// An absolute folder that is not the whole machine.
fn folder(item: Item) -> Option<PathBuf> {
    let text = item.string()?;
    let path: PathBuf = Path::new(text).components().collect();
    let (why, help) = if !path.is_absolute() {
        ("is not absolute", "write it from / on, such as /data")
    } else if text.chars().any(char::is_control) || text.contains(':') {
        ("has a character that mounts cannot have", "name another folder")
    } else if path.components().any(|part| part == Component::ParentDir) {
        ("goes up", "write where it leads to")
    } else if path.parent().is_none() {
        ("is the whole machine", "whoever mounts it is root; name the folders that are needed")
    } else {
        return Some(path);
    };
    item.report(format!("the folder `{}` {why}", short(text)), help);
    None
}

/// The entries of a list. Nothing is refused: elsewhere it means no limit, and
/// here that would be everything.
fn listed<'a>(item: Item<'a>, key: &str) -> Option<Vec<Item<'a>>> {
    if item.is_null() {
        item.report(format!("`{key}` cannot be unlimited"), "write [] for none, or name each");
        return None;
    }
    Some(item.list())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_as_one_would_write_it() {
        for text_of in ["32g", "512m", "1536m", "2t", "5k"] {
            assert_eq!(parse_size(text_of).map(size_text).as_deref(), Some(text_of));
        }
        assert_eq!((size_text(0), size_text(1000)), ("0".into(), "1000".into()));
        for text in ["", "g", "32", "32gb", "1.5g", "-1g", "0g", "99999999999t"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("0.25h", 900),
            ("30m", 1800),
            ("1.5h", 5400),
            ("2d", 172_800),
            ("1w", 604_800),
            ("90s", 90),
            ("0h", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "30", "-1h", "1.h", ".5h", "1e3h", "1h30m", "1 h", "1H", "1.2.3h", "9999999w"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_can_be_written(seconds in 0u64..1_000_000_000) {
            let duration = Duration::from_secs(seconds);
            proptest::prop_assert_eq!(parse_duration(&duration_text(duration)), Some(duration));
        }
    }
}
