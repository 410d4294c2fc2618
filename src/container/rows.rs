//! The lines of the list: what is told of each container. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Caller;
use super::held::{self, Held};
use super::sight::{Seen, Sight};
use super::store::Store;
use crate::engine::{Container, ContainerState, Usage};
use crate::model::labels::legacy;
use crate::model::labels::read::{self, Users};
use crate::model::labels::{INTERFACE, MANAGED, PROJECT, USER};
use crate::model::names::ImageId;

/// Who made a container, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Maker {
    /// This program, or one that writes its labels.
    Ours,
    /// The systems before it: by old labels, or by the name.
    Legacy,
    /// Something else; it holds GPUs.
    Foreign,
    /// Something else, without GPUs: a registry, an editor's container.
    Other,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) project: String,
    /// The engine's name, uid included.
    pub(crate) name: String,
    pub(crate) state: ContainerState,
    /// For people: `Up 3 minutes`.
    pub(crate) status: String,
    /// What people know it by; ids are cut to 12 digits.
    pub(crate) image: String,
    pub(crate) image_id: ImageId,
    /// Whether the engine has a newer image of that name; `None`: that cannot
    /// be told.
    #[serde(rename = "newer_image")]
    pub(crate) newer: Option<bool>,
    /// Login, or `uid 1001` where no login is known.
    pub(crate) owner: Option<String>,
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub(crate) age: Duration,
    /// The GPU request; `None`: the labels do not say.
    pub(crate) gpus: Option<String>,
    /// The GPUs themselves; `None`: nothing says so.
    #[serde(rename = "gpus_held")]
    pub(crate) held: Option<Held>,
    /// Made by us or by the system before us.
    pub(crate) managed: bool,
    pub(crate) made_by: Maker,
    pub(crate) protected: bool,
    /// What is to happen to it soon, for people.
    pub(crate) notice: Option<String>,
    /// What it takes now; `None`: it does not run, or nobody asked.
    pub(crate) usage: Option<Usage>,
    /// The command that makes one like it.
    #[serde(skip)]
    pub(crate) deploy: String,
}

impl Row {
    pub(crate) fn runs(&self) -> bool {
        self.state.is_running()
    }

    /// GPUs for people: `none`, `0,1`, `1g.10gb 0.1`, `all`, `?`.
    pub(crate) fn gpus_text(&self) -> String {
        match (&self.held, self.gpus.as_deref()) {
            (Some(held), asked) => held.text(asked),
            (None, Some(asked)) => format!("asked: {asked}"),
            (None, None) => "?".into(),
        }
    }

    /// Its project; for what nobody deployed, what it is.
    pub(crate) fn project_text(&self) -> String {
        match self.made_by {
            Maker::Ours => self.project.clone(),
            Maker::Legacy => format!("{} (legacy)", self.project),
            Maker::Foreign => "(foreign)".into(),
            Maker::Other => "(other)".into(),
        }
    }

    /// How it is, and what else there is to know of that.
    pub(crate) fn status_text(&self) -> String {
        let protected = self.protected.then(|| "protected".to_owned());
        let parts = [Some(self.status.clone()), protected, self.notice.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// What is known besides what the engine says.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    /// Seconds since 1970.
    pub(crate) now: i64,
    pub(crate) users: Users<'a>,
    /// By container id: what is to happen to it soon.
    pub(crate) notices: &'a BTreeMap<String, String>,
}

/// Whether a list shows a container: one's own, or with `all` every one.
pub(crate) fn is_shown(container: &Container, caller: &Caller, all: bool, users: Users<'_>) -> bool {
    all || caller.owns(container, users)
}

/// A line for each container that was looked at, in the order of owner and
/// name.
pub(crate) fn rows(sight: &Sight, around: &Around<'_>) -> Vec<Row> {
    let store = Store::new(&sight.images);
    let mut rows: Vec<_> = sight.containers.iter().map(|seen| row(seen, &store, around)).collect();
    rows.sort_by(|a, b| (&a.owner, &a.name).cmp(&(&b.owner, &b.name)));
    rows
}

pub(super) fn row(seen: &Seen, store: &Store<'_>, around: &Around<'_>) -> Row {
    let Seen { container, held } = seen;
    let (labels, name) = (&container.labels, container.name.as_str());
    let age = around.now.saturating_sub(container.created).try_into().unwrap_or_default();
    Row {
        id: container.id.clone(),
        project: read::project(labels, name).to_owned(),
        name: name.to_owned(),
        state: container.state,
        status: container.status.clone(),
        image: store.name_of(container),
        image_id: container.image_id.clone(),
        newer: store.newer_than(container),
        owner: read::owner(labels, name, around.users).map(|owner| owner.to_string()),
        age: Duration::from_secs(age),
        gpus: held::asked(labels).map(str::to_owned),
        held: held.clone(),
        managed: read::managed(labels),
        made_by: maker(container, held.as_ref()),
        protected: read::protected(labels),
        notice: around.notices.get(&container.id).cloned(),
        usage: None,
        deploy: match labels.get(PROJECT.name) {
            Some(project) => format!("ds01-build deploy {project}"),
            None => {
                let short = read::short_name(labels, name);
                format!("ds01-build deploy {} --name {short}", store.deployed_as(container))
            }
        },
    }
}

/// An image's labels are also those of a container that somebody made of it by
/// hand, so only labels that no image has make it ours.
fn maker(container: &Container, held: Option<&Held>) -> Maker {
    let labels = &container.labels;
    let named = read::split_name(&container.name).is_some();
    let written = [USER, INTERFACE].iter().any(|key| labels.contains_key(key.name));
    if written || named && labels.get(MANAGED.name).is_some_and(|is| is == "true") {
        Maker::Ours
    } else if named || labels.keys().any(|key| legacy::is_old(key)) {
        Maker::Legacy
    } else if held.is_some_and(|held| !held.is_empty()) {
        Maker::Foreign
    } else {
        Maker::Other
    }
}

fn seconds<S: serde::Serializer>(age: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(age.as_secs())
}
