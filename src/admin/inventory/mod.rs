//! Images as people have them: a list of them, one in full, and what may be
//! removed.
//!
//! An engine has tags and labels; here they are brought together with what
//! the spec says. Whose an image is follows from its name before its labels:
//! anybody who builds on an image inherits what it is labelled with. Images
//! of the systems before this one are known by their labels and by names that
//! end in `._.<uid>`. Pure but for [`retire`], which decides nothing.

mod find;
mod groups;
mod retire;
pub(crate) mod rows;
mod show;
mod uses;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::Serialize;

use crate::container::Caller;
use crate::engine::{Container, Footprint, Image};
use crate::model::labels::read::{Owner, Users};
use crate::model::names::ImageId;
use crate::plan::{Action, Planned, Reason, Where};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
pub(crate) use find::find;
pub(crate) use groups::{Group, Key, groups, told_owner};
pub(crate) use retire::{Asked, Entry, Gone, Refusal, Retirement, decide, retire};
pub(crate) use rows::{Row, known_as, row};
pub(crate) use show::show;
pub(crate) use uses::{User, stand_on, users_of};

/// Everything that answers are made from.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) images: &'a [Image],
    pub(crate) containers: &'a [Container],
    /// `None`: there is no spec, or it cannot be read.
    pub(crate) stack: Option<Stack<'a>>,
    pub(crate) caller: &'a Caller,
    pub(crate) users: Users<'a>,
}

/// A spec with its graph.
#[derive(Clone, Copy)]
pub(crate) struct Stack<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
}

impl<'a> Stack<'a> {
    fn subject(&self, node: NodeId) -> SpecEntry<'a> {
        SpecEntry::of(self.spec, self.graph, node)
    }
}

/// What is measured and looked up for images that are shown.
#[derive(Clone, Copy)]
pub(crate) struct Looked<'a> {
    pub(crate) footprints: &'a HashMap<ImageId, Footprint>,
    /// When an image was built, by what this user's runs wrote down.
    pub(crate) built: &'a HashMap<ImageId, i64>,
    pub(crate) verdicts: &'a Verdicts,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

/// What a plan says of the images of the spec.
#[derive(Clone, Debug)]
pub(crate) enum Verdicts {
    Known(HashMap<NodeId, State>),
    /// Why there is no plan.
    Unknown(String),
}

/// How an image stands to the spec as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum State {
    UpToDate,
    /// Up to date, in its registry alone.
    InRegistry,
    /// It would be built again.
    Outdated {
        reasons: Vec<Reason>,
    },
    NotBuilt,
    /// A container that was saved: nothing could build it again.
    Saved,
    /// The spec has no such image.
    NotInSpec,
    Unknown {
        cause: String,
    },
}

impl State {
    /// Of a planned image.
    pub(crate) fn of(planned: &Planned) -> Self {
        match &planned.action {
            Action::Keep(Where::Engine(_)) => Self::UpToDate,
            Action::Keep(Where::Registry(_)) | Action::Fetch { .. } => Self::InRegistry,
            Action::Build(reasons) => Self::Outdated { reasons: reasons.clone() },
        }
    }

    /// In two or three words.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::UpToDate => "up to date",
            Self::InRegistry => "in the registry",
            Self::Outdated { .. } => "outdated",
            Self::NotBuilt => "not built",
            Self::Saved => "saved",
            Self::NotInSpec => "not in spec",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Why, in one phrase.
    pub(crate) fn because(&self) -> Option<String> {
        match self {
            Self::Outdated { reasons } => {
                let first = reasons.first()?.to_string();
                let more = reasons.len() - 1;
                Some(if more == 0 { first } else { format!("{first}, and {more} more") })
            }
            _ => None,
        }
    }
}

/// The owner as text: a login, or `uid 1001`.
fn owner_of(uid: u32, users: Users<'_>) -> Owner {
    users(uid).map_or(Owner::Uid(uid), Owner::Login)
}
