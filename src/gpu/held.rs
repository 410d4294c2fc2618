//! What somebody holds already, in the units in which GPUs are given. Pure.

use std::collections::BTreeSet;

use super::choose::{Unit, WHOLE};
use super::overview::{Holder, InstanceRow, Overview, Row};

/// A unit and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// A unit that does not say who it is has its slot for a UUID.
    pub(crate) unit: Unit,
    /// The container's name.
    pub(crate) container: String,
}

/// What containers hold of which `mine` is true: one entry for each container
/// and unit, in the order of the machine. Of a divided GPU the instances are
/// what is held. A claim on what the machine does not show counts nothing.
pub(crate) fn held_by(seen: &Overview, mine: impl Fn(&Holder) -> bool) -> Vec<Allocation> {
    let mut held = Vec::new();
    let mut add = |unit: &dyn Fn() -> Unit, holders: &[Holder]| {
        let of = holders.iter().filter(|holder| mine(holder));
        held.extend(of.map(|holder| Allocation { unit: unit(), container: holder.container.clone() }));
    };
    for row in &seen.gpus {
        if row.instances.is_empty() {
            add(&|| whole(row), &row.usage.holders);
        }
        for instance in &row.instances {
            add(&|| part(instance), &instance.usage.holders);
        }
    }
    held
}

/// All of it in sevenths; a unit that several containers share counts once.
pub(crate) fn sevenths(held: &[Allocation]) -> u32 {
    let mut seen = BTreeSet::new();
    held.iter().filter(|one| seen.insert(&one.unit.slot)).map(|one| one.unit.sevenths).sum()
}

fn whole(row: &Row) -> Unit {
    let slot = row.index.to_string();
    Unit { uuid: row.uuid.clone().unwrap_or_else(|| slot.clone()), slot, sevenths: WHOLE }
}

/// An instance of unknown size may be as large as its GPU.
fn part(row: &InstanceRow) -> Unit {
    let uuid = row.uuid.clone().unwrap_or_else(|| row.slot.clone());
    Unit { uuid, slot: row.slot.clone(), sevenths: row.sevenths().unwrap_or(WHOLE) }
}
