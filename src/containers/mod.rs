//! Listing and retiring containers, new and legacy ones alike.
//!
//! Whose a container is follows from its labels and its name (see
//! [`crate::labels::read`]); what may be done with it is decided here, before
//! anything is done. Never touches volumes or images.

mod lookup;
mod retire;

use std::time::Duration;

use serde::Serialize;

use crate::engine::Container;
use crate::labels::read::{self, Owner, Users};
use crate::labels::{GPUS, IMAGE, PROTECTED};
pub use crate::people::{Caller, may_act_for};
pub use lookup::look_up;
pub use retire::{Asked, Refusal, Retirement, decide, resolve, retire};

/// Hex digits of an id that are shown.
const SHORT_ID: usize = 12;

impl Caller {
    /// Whether this is the caller's own container. Uids are compared before
    /// logins, since the system may know a person by another name than the
    /// spec does; and whole: 1001 does not own what is 10012's.
    pub fn owns(&self, container: &Container, users: Users<'_>) -> bool {
        if let Some((_, uid)) = read::split_name(&container.name) {
            return uid == self.uid;
        }
        match read::owner(&container.labels, &container.name, users) {
            Some(Owner::Login(login)) => login == self.login,
            Some(Owner::Uid(uid)) => uid == self.uid,
            None => false,
        }
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub project: String,
    /// The engine's name, uid included.
    pub name: String,
    /// `running`, `exited`, `created`, …
    pub state: String,
    /// For people: `Up 3 minutes`.
    pub status: String,
    /// What it was created from; ids are cut to 12 digits.
    pub image: String,
    /// Login, or `uid 1001` where no login is known.
    pub owner: Option<String>,
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Duration,
    /// The GPU request; `None`: the labels do not say.
    pub gpus: Option<String>,
    /// Made by us or by the system before us.
    pub managed: bool,
    pub protected: bool,
}

/// The caller's containers, or with `all` every container, in the order of
/// owner and name. `now` in seconds since 1970.
pub fn rows(containers: &[Container], caller: &Caller, all: bool, now: i64, users: Users<'_>) -> Vec<Row> {
    let shown = containers.iter().filter(|container| all || caller.owns(container, users));
    let mut rows: Vec<_> = shown.map(|container| row(container, now, users)).collect();
    rows.sort_by(|a, b| (&a.owner, &a.name).cmp(&(&b.owner, &b.name)));
    rows
}

fn row(container: &Container, now: i64, users: Users<'_>) -> Row {
    let (labels, name) = (&container.labels, container.name.as_str());
    let age = now.saturating_sub(container.created).try_into().unwrap_or_default();
    Row {
        project: read::project(labels, name).to_owned(),
        name: name.to_owned(),
        state: container.state.clone(),
        status: container.status.clone(),
        image: short_image(read::text(labels, &IMAGE).unwrap_or(&container.image)),
        owner: read::owner(labels, name, users).map(|owner| owner.to_string()),
        age: Duration::from_secs(age),
        gpus: read::text(labels, &GPUS).map(str::to_owned),
        managed: read::managed(labels),
        protected: read::flag(labels, &PROTECTED),
    }
}

/// `sha256:<64 hex>` is cut; a reference stays as it is.
fn short_image(image: &str) -> String {
    let id = image.strip_prefix("sha256:");
    id.and_then(|hex| hex.get(..SHORT_ID)).unwrap_or(image).to_owned()
}

fn seconds<S: serde::Serializer>(age: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(age.as_secs())
}

#[cfg(test)]
mod tests;
