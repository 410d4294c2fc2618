//! Who else has what one container was given. Pure.

use super::Given;
use crate::gpu::overview::{Availability, Overview, Unit};

/// All but the container `mine` that hold one of these or compute on it, and
/// whatever else makes it useless; for people. Empty: it is this one's alone.
pub(crate) fn rivals(seen: &Overview, given: &[Given], mine: &str) -> Vec<String> {
    let mut who: Vec<String> = given.iter().flat_map(|unit| on(seen, unit, mine)).collect();
    who.dedup();
    who
}

fn on(seen: &Overview, unit: &Given, mine: &str) -> Vec<String> {
    // Those of other makers are not seen one by one.
    let Some(uuid) = &unit.uuid else { return Vec::new() };
    let what = || format!("GPU {}", if unit.slot.is_empty() { uuid } else { &unit.slot });
    let Some(usage) = seen.units().find(|unit| unit.uuid() == Some(uuid)).map(Unit::usage) else {
        return vec![format!("{} is no longer there", what())];
    };
    let holders = usage.holders.iter().filter(|holder| holder.container != mine).map(|holder| {
        let of = holder.owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default();
        format!("container `{}`{of} has {}", holder.container, what())
    });
    let foreign = usage.processes.iter().flatten().filter(|one| one.is_foreign());
    let foreign = foreign.map(|one| {
        let of = one.user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
        format!("process {}{of} computes on {}", one.process.pid, what())
    });
    let who: Vec<_> = holders.chain(foreign).collect();
    if who.is_empty() && !matches!(usage.availability, Availability::Held | Availability::Free) {
        let why = usage.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return vec![format!("{} cannot be used any more{why}", what())];
    }
    who
}
