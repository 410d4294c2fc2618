//! MIG instances, and whatever is the smallest that fits: on the GPU that is
//! used most already, so that others stay whole or empty.

use std::cmp::Reverse;

use super::{Row, Unit, Unmet, tell, whole};
use crate::gpu::overview::{InstanceRow, Overview, Standing};

/// So many instances of exactly this profile.
pub(crate) fn by_profile(profile: &str, count: usize, seen: &Overview) -> Result<Vec<Unit>, Unmet> {
    let is = |one: &InstanceRow| one.profile.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(profile));
    let mut free: Vec<_> = instances(seen).filter(|(.., one)| is(one)).collect();
    free.sort_by_key(|(row, at, _)| (fullest_first(row), *at));
    let units: Vec<_> = free.iter().filter_map(|(.., one)| one.free()).take(count).collect();
    if units.len() < count { Err(tell::profile(profile, count, seen)) } else { Ok(units) }
}

/// The smallest instance or GPU of at least so many bytes.
pub(crate) fn by_memory(bytes: u64, seen: &Overview) -> Result<Vec<Unit>, Unmet> {
    let least = |total: Option<u64>| total.filter(|total| *total >= bytes);
    let fits = |(_, _, one): &(_, _, &InstanceRow)| one.free().is_some() && least(one.total()).is_some();
    let instance =
        instances(seen).filter(fits).min_by_key(|(row, at, one)| (one.total(), fullest_first(row), *at));
    let gpus = seen.gpus.iter().filter(|row| row.free().is_some());
    let smallest = gpus.filter_map(|row| least(row.total())).min();
    let instance = instance.filter(|(.., one)| smallest.is_none_or(|whole| one.total() <= Some(whole)));
    let unit = match instance {
        Some((.., one)) => one.free(),
        None => smallest.and_then(|size| {
            let chosen = whole::pick(1, seen, |row| row.total() == Some(size))?;
            chosen.first().and_then(|row| row.free())
        }),
    };
    unit.map(|unit| vec![unit]).ok_or_else(|| tell::memory(bytes, seen))
}

/// Each with its GPU and its place there.
pub(crate) fn instances(seen: &Overview) -> impl Iterator<Item = (&Row, usize, &InstanceRow)> {
    seen.gpus.iter().flat_map(|row| row.instances.iter().enumerate().map(move |(at, one)| (row, at, one)))
}

/// By what of it is in use.
fn fullest_first(row: &Row) -> (Reverse<u32>, u32) {
    let used = row.instances.iter().filter(|one| one.usage.standing != Standing::Free);
    (Reverse(used.filter_map(InstanceRow::sevenths).sum()), row.index)
}
