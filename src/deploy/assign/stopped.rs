//! Why nothing was given away, and what to do about it.

use std::io;
use std::time::Duration;

use super::super::Refusal;
use crate::engine::Error;
use crate::gpu::DriverState;
use crate::host::lock::Holder;
use crate::model::names::Login;

/// A deploy that ended early. Nothing of it is left but where it says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Engine(#[from] Error),
    /// The engine cannot give any.
    #[error("the engine cannot give GPUs to containers")]
    NoGpus(Error),
    /// The machine's own cannot.
    #[error("the GPUs' driver does not answer")]
    Driver(DriverState),
    #[error("the engine is on another machine, whose GPUs cannot be seen from here")]
    Elsewhere,
    /// Somebody else gave away all the while.
    #[error(
        "{} is giving away what this machine has, and was not done within {} s",
        holder_words(holder.as_ref(), owner.as_ref()),
        limit.as_secs()
    )]
    Late { limit: Duration, holder: Option<Holder>, owner: Option<Login> },
    /// Somebody without our lock was quicker, again and again.
    #[error("the GPUs for `{name}` were taken by somebody else each time: {}", who.join(", "))]
    Rivals { name: String, who: Vec<String> },
    #[error("another run is making or starting container `{name}`")]
    Busy { name: String },
    #[error("the lock that keeps GPUs from being given twice cannot be taken: {0}")]
    Lock(io::Error),
    #[error("interrupted")]
    Cancelled,
    /// An end as above, whose container could not be removed.
    #[error("{first}; container `{name}` is left behind, since {second}")]
    Left { first: Box<Stopped>, name: String, second: Error },
}

impl Stopped {
    /// What to do.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            Self::Refused(refusal) => refusal.help(),
            Self::Engine(error) => return error.help(),
            Self::NoGpus(error) => format!(
                "install the NVIDIA container toolkit on its machine and restart it \
                 (`nvidia-ctk runtime configure --runtime=docker`); it says: {error}"
            ),
            Self::Driver(_) => "see what `ds01-build gpu list` says".into(),
            Self::Elsewhere => "run this on the engine's own machine, or leave GPUs out with --cpu-only".into(),
            Self::Late { holder: Some(holder), .. } => {
                format!("try again later, or with a longer --wait; see what it does with `ps -fp {}`", holder.pid)
            }
            Self::Late { .. } => "try again later, or with a longer --wait".into(),
            Self::Rivals { .. } => {
                "see who has which with `ds01-build gpu list`; containers with GPUs are made by `ds01-build deploy`".into()
            }
            Self::Busy { name } => format!("wait for its end, and see `docker ps -a --filter name={name}`"),
            Self::Lock(_) => "set DS01_LOCK_DIR to a folder that everybody on this machine can write".into(),
            Self::Cancelled => return None,
            Self::Left { name, .. } => format!("the next deploy removes it, or `docker rm {name}`"),
        })
    }

    /// What the end is for: without what was left behind.
    pub(crate) fn cause(&self) -> &Self {
        match self {
            Self::Left { first, .. } => first.cause(),
            other => other,
        }
    }

    pub(super) fn and_left(self, name: &str, second: &Error) -> Self {
        Self::Left { first: Box::new(self), name: name.to_owned(), second: second.clone() }
    }
}

fn holder_words(holder: Option<&Holder>, owner: Option<&Login>) -> String {
    let Some(holder) = holder else { return "a process that cannot be seen from here".into() };
    match (owner, holder.uid) {
        (Some(login), _) => format!("{holder} of {login}"),
        (None, Some(uid)) => format!("{holder} of uid {uid}"),
        (None, None) => holder.to_string(),
    }
}
