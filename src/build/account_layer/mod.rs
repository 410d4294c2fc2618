//! Whether an image has a person's account, and the layer that puts it there.
//!
//! For images that no project describes: shared ones, any image by reference,
//! and those that the system before us labelled. What labels say decides; the
//! layer is the same that a project's image gets, made from a recipe, so that
//! it is made once. Nothing is run in an image and nothing is committed. All
//! but [`run`] is pure. Knows nothing of specs and containers.

mod layer;
mod name;
mod run;
#[cfg(test)]
mod tests;
mod whose;

use std::fmt;

use serde::Serialize;

pub(crate) use layer::{Layer, Stand, layer};
pub(crate) use name::{derived, named};
pub(crate) use run::{Made, found, run};
pub(crate) use whose::personal;

use crate::model::account::Account;
use crate::model::labels::read;
use crate::model::labels::write::{self, Labels};

/// What is done with an image that somebody wants to run in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "setup", content = "why", rename_all = "snake_case")]
pub(crate) enum Decision {
    /// The account is in.
    Skip,
    /// The user layer goes on top.
    Lay(Why),
}

/// Why an image needs the layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// No label says anything of an account.
    Unlabelled,
    /// A label says that none is in.
    NotSetUp,
    /// Labels say a part, which describes no account.
    Incomplete,
    /// The account of this uid is in.
    OtherUid(u32),
    /// The account is in with this gid.
    OtherGid(u32),
    /// The account is in, and so are labels of a container that this image was
    /// saved from. A container would inherit them; the layer drops them.
    OfContainer(Vec<String>),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlabelled => f.write_str("its labels name no account"),
            Self::NotSetUp => f.write_str("its labels say that no account is in it"),
            Self::Incomplete => f.write_str("its labels name an account in part only"),
            Self::OtherUid(uid) => write!(f, "the account in it has uid {uid}"),
            Self::OtherGid(gid) => write!(f, "the account in it has gid {gid}"),
            Self::OfContainer(keys) => write!(f, "it carries labels of a container: {}", keys.join(", ")),
        }
    }
}

/// Decides by an image's labels, those of one generation: keys of two
/// generations together describe no image that was ever made.
pub(crate) fn decide(labels: &Labels, account: &Account) -> Decision {
    let said = read::setup_labels(labels);
    if said.is_empty() {
        return Decision::Lay(Why::Unlabelled);
    }
    if said.has.is_some_and(|has| has != "true") {
        return Decision::Lay(Why::NotSetUp);
    }
    let Some(setup) = said.account() else { return Decision::Lay(Why::Incomplete) };
    if setup.uid != account.uid {
        return Decision::Lay(Why::OtherUid(setup.uid));
    }
    if setup.gid != account.gid {
        return Decision::Lay(Why::OtherGid(setup.gid));
    }
    match write::leaked_labels(labels, &Labels::new()) {
        keys if keys.is_empty() => Decision::Skip,
        keys => Decision::Lay(Why::OfContainer(keys)),
    }
}
