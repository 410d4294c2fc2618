//! Which containers have been here long enough, and what is done about them:
//! people are told, and at a later sweep the container is stopped or removed.
//!
//! Decides from what one look showed and what earlier sweeps kept. Reads no
//! clock; `file` keeps the state, `act` does what was decided, the rest is
//! pure. What is not known spares a container, never condemns it.

pub(crate) mod act;
pub(crate) mod activity;
mod decide;
pub(crate) mod file;
mod rules;
mod state;
pub(crate) mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use activity::Activity;
pub(crate) use decide::{decide, is_worth_asking};
pub(crate) use rules::{Rules, subject};
pub(crate) use state::{Kept, State};

use crate::engine::{Container, ContainerDetail, ContainerState};
use crate::model::names::Login;
pub(crate) use crate::spec::limits::{Exemption, Lifetime, Rule, Whom};

/// A container as one look showed it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watched {
    pub(crate) container: Container,
    pub(crate) times: Asked,
    pub(crate) activity: Activity,
}

/// Whether the engine was asked about a container by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It was not: nothing can be due.
    No,
    /// It was, and could not say.
    InVain,
    Answered(Times),
}

/// When a container began to be what it is. Seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) state: ContainerState,
    pub(crate) started: Option<i64>,
    pub(crate) finished: Option<i64>,
}

impl From<&ContainerDetail> for Times {
    fn from(detail: &ContainerDetail) -> Self {
        Self { state: detail.state, started: detail.started, finished: detail.finished }
    }
}

/// What a sweep does about one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Tell people; it happens at [`Due::at`], if nothing changes.
    Warn(Due),
    Stop(Due),
    Remove(Due),
    /// Leave it alone.
    Spare {
        id: String,
        name: String,
        why: Why,
    },
}

/// A rule that a container is about to break, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: Login,
    pub(crate) group: String,
    pub(crate) rule: Rule,
    /// Since when the rule counts; seconds since 1970.
    pub(crate) since: i64,
    /// What the rule allows.
    pub(crate) limit: Duration,
    /// When it is stopped or removed; seconds since 1970.
    pub(crate) at: i64,
    /// As it was seen: it is only touched if it still is so.
    pub(crate) times: Times,
}

/// Why a container is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Neither we nor the system before us made it.
    NotOurs,
    Protected,
    /// Nothing says whose it is.
    NoOwner,
    /// Its label's group is none of the spec's; `None`: nothing says a group.
    UnknownGroup(Option<String>),
    /// A rule would apply, and somebody decided that it does not.
    Exempt {
        rule: Rule,
        until: Option<i64>,
    },
    /// The engine does not say since when it is what it is.
    NoTimes,
}
