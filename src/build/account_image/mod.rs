//! Whether an image has a person's account, and the layer that puts it there.
//!
//! For images that no project describes: shared ones, any image by reference,
//! and those that the system before us labelled. What labels say decides; the
//! layer is the same that a project's image gets, made from a recipe, so that
//! it is made once. Nothing is run in an image and nothing is committed. All
//! but [`run`] is pure. Knows nothing of specs and containers.

mod image;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

pub(crate) use image::{AccountImage, AccountImageInput, found, layer, run};

use crate::model::account::Account;
use crate::model::labels::PROJECT;
use crate::model::labels::read::{self, split_name};
use crate::model::labels::write::{self, Labels};
use crate::model::reference::Reference;

/// Longest name; a container's name also holds the owner's uid.
const LONGEST: usize = 63;

/// Before the uid in the repository of a person's images.
const PERSONAL: &str = "ds01-";

/// What is done with an image that somebody wants to run in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "setup", content = "why", rename_all = "snake_case")]
pub(crate) enum Decision {
    /// The account is in.
    Skip,
    /// The user layer goes on top.
    #[serde(rename = "lay")]
    Apply(LayerReason),
}

/// Why an image needs the layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LayerReason {
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

impl fmt::Display for LayerReason {
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
        return Decision::Apply(LayerReason::Unlabelled);
    }
    if said.has.is_some_and(|has| has != "true") {
        return Decision::Apply(LayerReason::NotSetUp);
    }
    let Some(setup) = said.account() else { return Decision::Apply(LayerReason::Incomplete) };
    if setup.uid != account.uid {
        return Decision::Apply(LayerReason::OtherUid(setup.uid));
    }
    if setup.gid != account.gid {
        return Decision::Apply(LayerReason::OtherGid(setup.gid));
    }
    match write::leaked_labels(labels, &Labels::new()) {
        keys if keys.is_empty() => Decision::Skip,
        keys => Decision::Apply(LayerReason::OfContainer(keys)),
    }
}

/// The uid of the person whose own image this is. `None`: it is shared.
///
/// Labels go before names: what we built for a person says so, and so do
/// project images of the system before us. An account alone does not make an
/// old image personal, since that system left one person's account in images
/// that all share. `names`: those that it was asked by, or all it has if it
/// was asked by id; it is personal if each of them is.
pub(crate) fn personal(labels: &Labels, names: &[Reference]) -> Option<u32> {
    let said = read::setup_labels(labels);
    let project = read::text(labels, &PROJECT).is_some();
    if let Some(setup) = said.account().filter(|_| !said.legacy || project) {
        return Some(setup.uid);
    }
    let mut owners = names.iter().map(owner);
    let first = owners.next()??;
    owners.all(|owner| owner.is_some()).then_some(first)
}

/// `ds01-1001/thesis:latest`, or `pytorch:thesis._.1001` as containers were
/// saved before.
fn owner(name: &Reference) -> Option<u32> {
    let repository = name.repository();
    let person = repository.as_str().strip_prefix(PERSONAL).and_then(|rest| rest.split_once('/'));
    let uid = person.and_then(|(uid, _)| uid.parse().ok());
    uid.or_else(|| Some(split_name(name.tag()?)?.1))
}

fn is_mark(c: char) -> bool {
    matches!(c, '.' | '_' | '-')
}

/// What a text comes to as a name: small letters, digits, and single `.`, `_`
/// or `-` between them. `None`: nothing is left.
///
/// Every such name can also be a repository's, which is why marks never stand
/// side by side.
pub(crate) fn named(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.trim().chars() {
        let c = if c.is_whitespace() { '-' } else { c.to_ascii_lowercase() };
        let usable = c.is_ascii_lowercase() || c.is_ascii_digit() || is_mark(c);
        if usable && !(is_mark(c) && name.ends_with(is_mark)) && name.len() < LONGEST {
            name.push(c);
        }
    }
    let name = name.trim_matches(is_mark);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The name that an image's repository or its key in a spec gives: of
/// `aimehub/pytorch-2.8.0` the last part, of `vision@py312` `vision-py312`.
pub(crate) fn derived(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    named(&last.replace('@', "-")).unwrap_or_else(|| "image".to_owned())
}
