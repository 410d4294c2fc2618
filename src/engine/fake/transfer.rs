//! Pushes and pulls of the engine in memory: which there were, and which fail.

use super::{FakeEngine, State};
use crate::engine::Error;

impl FakeEngine {
    /// The next pushes and pulls fail with these words.
    pub(crate) fn fail_transfers(&self, times: usize, words: &str) {
        self.state().failing = (times, words.to_owned());
    }

    /// Everything that was pushed or was to be, in order.
    pub(crate) fn pushes(&self) -> Vec<String> {
        self.state().pushes.clone()
    }

    /// Everything that was pulled or was to be, in order.
    pub(crate) fn pulls(&self) -> Vec<String> {
        self.state().pulls.clone()
    }

    /// Counts a transfer in, unless it is one that fails.
    pub(super) fn transfer(&self, action: &str, note: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = self.reached()?;
        note(&mut state);
        if state.failing.0 == 0 {
            return Ok(());
        }
        state.failing.0 -= 1;
        Err(Error::Refused { action: action.to_owned(), message: state.failing.1.clone() })
    }
}
