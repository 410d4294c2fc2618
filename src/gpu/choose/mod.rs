//! Which GPUs somebody gets. Pure and deterministic: what is given follows
//! from the wish and from what was seen.
//!
//! Only what is free is given, and so that as little as possible is broken up:
//! an instance before a whole GPU, what is used already before what is not.

mod named;
mod part;
mod tell;
mod whole;

use std::fmt;

use super::overview::{InstanceRow, Overview, Row, Standing};
use super::request::GpuRequest;

/// A whole GPU counts 7, a MIG instance its slices.
pub(crate) const WHOLE: u32 = 7;

/// A GPU or an instance that is given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    /// `GPU-…` or `MIG-…`.
    pub(crate) uuid: String,
    /// `0`, or `0.1` for an instance.
    pub(crate) slot: String,
    /// Of [`WHOLE`].
    pub(crate) sevenths: u32,
}

/// What is given for a wish; empty for [`GpuRequest::Nothing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// In the order in which the container gets them.
    pub(crate) units: Vec<Unit>,
}

impl Choice {
    /// Whole GPUs are 7 each.
    pub(crate) fn sevenths(&self) -> u32 {
        self.units.iter().map(|unit| unit.sevenths).sum()
    }

    pub(crate) fn uuids(&self) -> Vec<String> {
        self.units.iter().map(|unit| unit.uuid.clone()).collect()
    }
}

/// Why a wish cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Unmet {
    /// Names who holds what.
    pub(crate) message: String,
    /// What would fit, and whom to ask.
    pub(crate) help: String,
}

/// Chooses among what is free.
///
/// # Errors
/// Not enough of what is asked for is free, or there is none at all.
pub(crate) fn choose(wish: &GpuRequest, seen: &Overview) -> Result<Choice, Unmet> {
    if matches!(wish, GpuRequest::Nothing | GpuRequest::Whole { count: 0, .. }) {
        return Ok(Choice::default());
    }
    tell::usable(seen)?;
    let units = match wish {
        GpuRequest::Nothing => Vec::new(),
        GpuRequest::Whole { count, memory } => whole::choose(*count as usize, *memory, seen)?,
        GpuRequest::Named(names) => named::choose(names, seen)?,
        GpuRequest::Mig { profile, count } => part::by_profile(profile, *count as usize, seen)?,
        GpuRequest::Memory(bytes) => part::by_memory(*bytes, seen)?,
    };
    Ok(Choice { units })
}

impl Row {
    /// As a whole, if it is free and says who it is.
    fn free(&self) -> Option<Unit> {
        let uuid = self.uuid.clone().filter(|_| self.usage.standing == Standing::Free)?;
        Some(Unit { uuid, slot: self.index.to_string(), sevenths: WHOLE })
    }

    /// Bytes; `None`: not known.
    fn total(&self) -> Option<u64> {
        self.memory.map(|memory| memory.total)
    }
}

impl InstanceRow {
    /// If it is free, and says who it is and what share of its GPU.
    fn free(&self) -> Option<Unit> {
        let uuid = self.uuid.clone().filter(|_| self.usage.standing == Standing::Free)?;
        Some(Unit { uuid, slot: self.slot.clone(), sevenths: self.sevenths()? })
    }

    /// Bytes; `None`: not known.
    fn total(&self) -> Option<u64> {
        self.memory.map(|memory| memory.total)
    }
}

/// Equivalents for labels and messages: 7 sevenths are `1`, one is `0.1429`.
pub(crate) struct Equivalents(pub(crate) u32);

impl fmt::Display for Equivalents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (f64::from(self.0) / f64::from(WHOLE) * 1e4).round() / 1e4)
    }
}

#[cfg(test)]
mod tests;
