//! Saves that were not made: why, and how the container is left.

use crate::engine::Error;

/// Bytes that a save may add to the engine's disk.
pub(super) const MOST: u64 = 100 << 30;

/// Why a container was not saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    #[error("the image that it was made from is gone from the engine")]
    BaseGone,
    #[error("its files would take {} GiB of the engine's disk, at most {} GiB are saved{}", bytes >> 30, MOST >> 30, largest(path))]
    TooLarge { bytes: u64, path: Option<(String, u64)> },
    #[error(transparent)]
    Engine(#[from] Error),
    #[error("the image could not be made: {0}")]
    Unsound(String),
    #[error("interrupted")]
    Cancelled,
}

fn largest(path: &Option<(String, u64)>) -> String {
    match path {
        Some((path, bytes)) => format!("; {} alone has {} GiB", path.escape_debug(), bytes >> 30),
        None => String::new(),
    }
}

impl Failed {
    /// What to do.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::BaseGone => Some("copy what you need with `docker cp`, then retire it without --save".into()),
            Self::TooLarge { .. } => {
                Some("remove what need not be saved, or move it to /workspace; a file with holes counts whole, since saving fills them".into())
            }
            Self::Engine(error) => error.help(),
            Self::Unsound(_) | Self::Cancelled => None,
        }
    }
}

/// A save that failed, and how the container was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) failed: Failed,
    pub(crate) left: Left,
    /// What could not be cleared away, for people.
    pub(crate) notes: Vec<String>,
}

/// How a container is after a save that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It was not stopped.
    AsItWas,
    /// It was stopped and runs again; or why it does not.
    Restarted(Result<(), Error>),
    /// It was stopped, and its GPUs may be somebody else's by now.
    Stopped,
}
