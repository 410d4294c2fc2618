//! What a sweep keeps for the next one. Pure; `file` reads and writes it.
//!
//! Losing it only postpones: nothing is stopped or removed unless an earlier
//! sweep said so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Rule;

const VERSION: u32 = 1;

/// All of it. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    version: u32,
    /// When the last sweep looked; `None`: there was none.
    pub(crate) looked: Option<i64>,
    /// By id.
    pub(crate) containers: BTreeMap<String, Kept>,
}

/// About one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// For people who read the file.
    pub(crate) name: String,
    /// When its GPUs were last seen busy; `None`: it had none, or did not run.
    pub(crate) busy: Option<i64>,
    /// What its owner was told, by the rule's key.
    pub(crate) told: BTreeMap<String, Told>,
}

/// One warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) at: i64,
    /// Since when the rule counted then: another start, and the warning is void.
    pub(crate) since: i64,
    /// When it happens, as it was told.
    pub(crate) due: i64,
}

impl Default for State {
    fn default() -> Self {
        Self { version: VERSION, looked: None, containers: BTreeMap::new() }
    }
}

impl State {
    /// Nothing but the time of a look.
    pub(crate) fn looked_at(now: i64) -> Self {
        Self { looked: Some(now), ..Self::default() }
    }

    /// Whether the last look is so near that nothing happened in between that
    /// the sweeps would not have seen.
    pub(crate) fn is_fresh(&self, every: i64, now: i64) -> bool {
        self.looked.is_some_and(|looked| looked <= now && now - looked <= every.saturating_mul(2))
    }

    /// Reads it from the text of a file.
    ///
    /// # Errors
    /// It is not such a text; a sentence's end.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match state.version {
            VERSION => Ok(state),
            other => Err(format!("it is of version {other}, and this program knows {VERSION}")),
        }
    }

    /// As it stands in a file.
    ///
    /// # Errors
    /// Never, as long as keys are texts.
    pub(crate) fn write(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl Kept {
    /// What was told about a rule.
    pub(crate) fn told(&self, rule: Rule) -> Option<Told> {
        self.told.get(rule.key()).copied()
    }
}
