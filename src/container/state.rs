//! What an engine's word for a container's state means for what is done with it.

use crate::engine::Container;

/// How a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its program runs, or is about to again.
    Up,
    /// Its program is held still.
    Paused,
    /// It ended, or never began.
    Down,
}

impl State {
    pub(crate) fn of(container: &Container) -> Self {
        match container.state.as_str() {
            "running" | "restarting" => Self::Up,
            "paused" => Self::Paused,
            _ => Self::Down,
        }
    }
}
