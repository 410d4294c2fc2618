//! Why a wish cannot be met, and what could be done instead, in sentences.
//! Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::part::instances;
use super::{Row, Unmet};
use crate::gpu::State;
use crate::gpu::overview::{Holder, Overview, Standing, Usage};
use crate::gpu::request::gib;

/// Longer lists are shortened.
const MOST: usize = 8;

const SEE: &str = "`ds01-build gpu list` shows who uses what";

/// Whether anything can be given at all.
pub(crate) fn usable(seen: &Overview) -> Result<(), Unmet> {
    let unmet = |message: String, help: &str| Err(Unmet { message, help: help.into() });
    let cpu = "without a GPU: leave out what asks for one, or say `--cpu-only`";
    match &seen.driver {
        State::Ready { gpus: 0, driver } => {
            unmet(format!("this machine's NVIDIA driver ({driver}) sees no GPU"), cpu)
        }
        State::Ready { .. } => match &seen.holders_unknown {
            Some(why) => unmet(
                format!("which containers hold GPUs is not known, so none counts as free: {why}"),
                "try again when the engine answers",
            ),
            None => Ok(()),
        },
        State::NoLibrary { cause } => {
            unmet(format!("this machine has no NVIDIA driver to be found: {cause}"), cpu)
        }
        State::NoDriver => unmet(
            "NVIDIA's driver is installed and not loaded".into(),
            "an administrator may load it (`modprobe nvidia`); `ds01-build doctor` says more",
        ),
        State::NoPermission => unmet(
            "you may not reach NVIDIA's driver".into(),
            "an administrator may let you use /dev/nvidia*, mostly by the group video",
        ),
        State::Mismatch => unmet(
            "NVIDIA's library and the loaded driver are of different versions".into(),
            "the driver was updated: an administrator may restart the machine, or reload its modules",
        ),
        State::Failed { cause } => {
            unmet(format!("NVIDIA's driver does not work: {cause}"), "`nvidia-smi` may say more")
        }
    }
}

/// So many whole GPUs are not free.
pub(crate) fn whole(count: usize, memory: Option<u64>, seen: &Overview) -> Unmet {
    let total = seen.gpus.len();
    let small = |row: &Row| row.total().is_some_and(|bytes| memory.is_some_and(|least| bytes < least));
    let large: Vec<_> = seen.gpus.iter().filter(|row| !small(row)).collect();
    let of = memory.map(|least| format!(" of at least {}", gib(least))).unwrap_or_default();
    if large.len() < count {
        let message = if large.is_empty() {
            let largest = seen.gpus.iter().filter_map(Row::total).max();
            format!("no GPU has {}; the largest has {}", gib(memory.unwrap_or_default()), size(largest))
        } else {
            format!("the machine has {}{of}, and {count} are asked for", number(large.len(), "GPU"))
        };
        // Nobody could make room for that.
        return Unmet { message, help: instead(seen, [], memory) };
    }
    let fits = |row: &Row| row.free().is_some() && (memory.is_none() || row.total().is_some());
    let free = large.iter().filter(|row| fits(row)).count();
    let why = list(seen.gpus.iter().filter_map(|row| {
        if small(row) {
            return Some(format!("{} has {}", row.index, size(row.total())));
        }
        let unsure = || format!("{} does not say how much memory it has", row.index);
        taken(row.index.to_string(), &row.usage).or_else(|| (!fits(row)).then(unsure))
    }));
    let message = if free > 0 {
        let verb = if free == 1 { "is" } else { "are" };
        format!("{count} GPUs{of} are asked for and {free} of {total} {verb} free: {why}")
    } else if memory.is_some() {
        format!("no GPU{of} is free: {why}")
    } else if total == 1 {
        format!("the machine's only GPU is not free: {why}")
    } else if seen.gpus.iter().all(|row| row.usage.standing == Standing::Held) {
        format!("all {total} GPUs are taken: {why}")
    } else {
        format!("none of the {total} GPUs is free: {why}")
    };
    Unmet { message, help: instead(seen, large.iter().map(|row| &row.usage), memory) }
}

/// So many instances of a profile are not free.
pub(crate) fn profile(profile: &str, count: usize, seen: &Overview) -> Unmet {
    let all: Vec<_> = instances(seen).map(|(.., one)| one).collect();
    let is = |own: &Option<String>| own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(profile));
    let mine: Vec<_> = all.iter().filter(|one| is(&one.profile)).collect();
    let none = |message: String| Unmet { message, help: instead(seen, [], None) };
    if all.is_empty() {
        return none("no GPU of this machine is divided into MIG instances".into());
    }
    if mine.is_empty() {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        all.iter()
            .for_each(|one| *kinds.entry(one.profile.as_deref().unwrap_or("unknown")).or_default() += 1);
        let kinds = list(kinds.iter().map(|(kind, count)| format!("{kind} ({count})")));
        return none(format!("the machine has no MIG instance of profile `{profile}`; there are {kinds}"));
    }
    let total = mine.len();
    if total < count {
        let has = number(total, "MIG instance");
        return none(format!("the machine has {has} of profile `{profile}`, and {count} are asked for"));
    }
    let free = mine.iter().filter(|one| one.free().is_some()).count();
    let why = list(mine.iter().filter(|one| one.free().is_none()).map(|one| {
        let unsure = || format!("{} does not say what share of a GPU it is", one.slot);
        taken(one.slot.clone(), &one.usage).unwrap_or_else(unsure)
    }));
    let message = match free {
        0 if total == 1 => format!("the only instance of `{profile}` is not free: {why}"),
        0 => format!("none of the {total} instances of `{profile}` is free: {why}"),
        1 => format!("{count} of `{profile}` are asked for and 1 of {total} is free: {why}"),
        _ => format!("{count} of `{profile}` are asked for and {free} of {total} are free: {why}"),
    };
    Unmet { message, help: instead(seen, mine.iter().map(|one| &one.usage), None) }
}

/// Nothing of so many bytes is free.
pub(crate) fn memory(bytes: u64, seen: &Overview) -> Unmet {
    let parts = instances(seen).map(|(.., one)| (one.slot.clone(), one.total(), &one.usage));
    // What is divided is no place of its own.
    let whole = seen.gpus.iter().filter(|row| row.instances.is_empty());
    let whole = whole.map(|row| (row.index.to_string(), row.total(), &row.usage));
    let places: Vec<_> = whole.chain(parts).collect();
    let has = |total: &Option<u64>| total.is_some_and(|total| total >= bytes);
    if !places.iter().any(|(_, total, _)| has(total)) {
        let largest = places.iter().filter_map(|(_, total, _)| *total).max();
        let message = format!("nothing here has {}; the largest has {}", gib(bytes), size(largest));
        return Unmet { message, help: instead(seen, [], Some(bytes)) };
    }
    let fits: Vec<_> = places.iter().filter(|(_, total, _)| total.is_none() || has(total)).collect();
    let why = list(fits.iter().map(|(slot, _, usage)| {
        taken(slot.clone(), usage).unwrap_or_else(|| format!("{slot} does not say how large it is"))
    }));
    let message = format!("nothing with {} is free: {why}", gib(bytes));
    Unmet { message, help: instead(seen, fits.iter().map(|(.., usage)| *usage), Some(bytes)) }
}

/// Why it is not given; `None`: it is free.
pub(crate) fn taken(slot: String, usage: &Usage) -> Option<String> {
    let why = usage.why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    Some(match usage.standing {
        Standing::Free => return None,
        Standing::Held => format!("{slot} by {}", holders(usage)),
        Standing::Busy => format!("{slot} is busy{why}"),
        Standing::Divided => format!("{slot} is divided into MIG instances"),
        Standing::NoInstances => format!("{slot} is in MIG mode and has no instances"),
        Standing::Prohibited => format!("{slot} lets nobody compute, by its compute mode"),
        Standing::Lost => format!("{slot} is lost{why}"),
        Standing::Unknown => format!("{slot} is not known to be free{why}"),
    })
}

/// Whoever holds it, by name.
pub(crate) fn holders(usage: &Usage) -> String {
    let mut holders: Vec<_> = usage.holders.iter().map(holder).collect();
    holders.sort();
    holders.join(" and ")
}

/// As `gpu list` has it: who stopped still holds.
fn holder(holder: &Holder) -> String {
    let state = Some(&holder.state).filter(|state| *state != "running");
    let more: Vec<_> = holder.owner.iter().chain(state).map(String::as_str).collect();
    if more.is_empty() {
        holder.container.clone()
    } else {
        format!("{} ({})", holder.container, more.join(", "))
    }
}

/// What is free in other sizes, and who holds what is in the way. `memory`: at
/// least so much was wanted.
pub(crate) fn instead<'a>(
    seen: &Overview,
    in_the_way: impl IntoIterator<Item = &'a Usage>,
    memory: Option<u64>,
) -> String {
    let mut free = Vec::new();
    let whole: Vec<_> = seen.gpus.iter().filter(|row| row.free().is_some()).collect();
    if !whole.is_empty() {
        free.push(format!("`--gpus {}`", whole.len()));
    }
    let mut profiles: BTreeMap<&str, usize> = BTreeMap::new();
    let parts: Vec<_> = instances(seen).map(|(.., one)| one).filter(|one| one.free().is_some()).collect();
    parts
        .iter()
        .filter_map(|one| one.profile.as_deref())
        .for_each(|own| *profiles.entry(own).or_default() += 1);
    free.extend(profiles.iter().map(|(profile, count)| format!("`--mig {profile}` ({count} free)")));
    let sizes = whole.iter().filter_map(|row| row.total()).chain(parts.iter().filter_map(|one| one.total()));
    let largest = sizes.max().filter(|largest| memory.is_some_and(|wanted| *largest < wanted));
    free.extend(largest.map(|bytes| format!("`--gpu-memory {}GiB` or less", bytes >> 30)));
    let holders = in_the_way.into_iter().flat_map(|usage| &usage.holders);
    let owners: BTreeSet<_> = holders.filter_map(|holder| holder.owner.clone()).collect();
    let mut help = Vec::new();
    if !free.is_empty() {
        help.push(format!("free now: {}", free.join(", ")));
    }
    if !owners.is_empty() {
        let who = list(owners.into_iter());
        help.push(format!("ask {who} to remove what is done with (`ds01-build container retire NAME`)"));
    }
    help.push(SEE.into());
    help.join("; ")
}

/// Not more than can be read.
pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = items.collect();
    if all.len() <= MOST {
        return all.join(", ");
    }
    format!("{}, and {} more", all[..MOST].join(", "), all.len() - MOST)
}

fn number(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "an unknown size".into(), gib)
}
