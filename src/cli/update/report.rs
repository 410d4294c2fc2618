//! What an update did, in words and as JSON.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::model::names::{Login, NodeName};
use crate::model::reference::Reference;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::pins::{Pin, short};
use crate::ui::{Output, human};

/// More names than this are counted only.
const MOST_NAMES: usize = 10;

/// What came of one image.
pub(crate) struct Step {
    pub(crate) reference: Reference,
    pub(crate) old: Option<Pin>,
    /// Goes into the lock; the same digest where only a platform was added.
    pub(crate) new: Option<Pin>,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Pinned, for the first time or to another content.
    Moved,
    Unchanged,
    /// It exists in the engine only: its image ID counts.
    LocalOnly,
    /// Its registry has no such tag.
    Gone,
    /// Its registry could not be asked.
    RegistryUnavailable(String),
}

/// What a build would do now that it would not have done before.
pub(crate) struct Rebuild {
    images: Vec<NodeName>,
    /// Of these, how many are somebody's own.
    projects: usize,
    users: BTreeSet<Login>,
    /// From a plan, not from the graph alone.
    planned: bool,
}

impl Rebuild {
    pub(crate) fn of(spec: &Spec, graph: &Graph, nodes: impl Iterator<Item = NodeId>, planned: bool) -> Self {
        let mut rebuild = Self { images: Vec::new(), projects: 0, users: BTreeSet::new(), planned };
        for node in nodes {
            rebuild.images.push(graph.node(node).name.clone());
            if let Some(account) = SpecEntry::of(spec, graph, node).account() {
                rebuild.projects += 1;
                rebuild.users.insert(account.login.clone());
            }
        }
        rebuild
    }

    fn text(&self) -> String {
        let count = |number: usize, noun| human::count(number as u64, noun);
        let shown: Vec<_> = self.images.iter().take(MOST_NAMES).map(NodeName::as_str).collect();
        let more = self.images.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let own = match self.projects {
            0 => String::new(),
            n => format!("; {} of {}", count(n, "project"), count(self.users.len(), "user")),
        };
        let verb = if self.planned { "to rebuild" } else { "stand on them" };
        format!("{verb}: {} ({}{more}){own}", count(self.images.len(), "image"), shown.join(", "))
    }
}

/// All of an update.
pub(crate) struct Report {
    pub(crate) steps: Vec<Step>,
    /// Pins that nothing used any more.
    pub(crate) dropped: Vec<String>,
    pub(crate) written: bool,
    pub(crate) rebuild: Rebuild,
}

impl Report {
    /// Whether there was somebody to ask, and none of them answered.
    pub(crate) fn nobody_answered(&self) -> bool {
        let mut asked = self.steps.iter().filter(|step| step.what != What::LocalOnly).peekable();
        asked.peek().is_some() && asked.all(|step| matches!(step.what, What::RegistryUnavailable(_)))
    }

    pub(crate) fn show(&self, dry_run: bool, output: &mut Output) {
        if output.json {
            return output.value(&self.to_json());
        }
        let moved = || self.steps.iter().filter(|step| step.what == What::Moved);
        let width = moved().map(|step| step.reference.to_string().len()).max().unwrap_or(0);
        for step in moved() {
            let old = step.old.as_ref().map_or("not pinned", |pin| short(pin.digest()));
            let new = step.new.as_ref().map_or("", |pin| short(pin.digest()));
            output.line(&format!("{:width$}  {old} → {new}", step.reference.to_string()));
        }
        for name in &self.dropped {
            output.line(&format!("dropped {name}: the spec does not use it any more"));
        }
        if !self.rebuild.images.is_empty() {
            output.line(&self.rebuild.text());
        }
        self.steps.iter().filter_map(Step::remark).for_each(|remark| output.note(&remark));
        match self.steps.iter().filter(|step| step.what == What::Unchanged).count() {
            0 if self.steps.is_empty() => {
                output.note("nothing to pin: no image stands on one from elsewhere")
            }
            0 => {}
            n => output.note(&format!("{} unchanged", human::count(n as u64, "base"))),
        }
        if dry_run {
            output.note("nothing was written");
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "bases": self.steps.iter().map(Step::to_json).collect::<Vec<_>>(),
            "dropped": self.dropped,
            "written": self.written,
            "rebuild": {
                "images": self.rebuild.images,
                "projects": self.rebuild.projects,
                "users": self.rebuild.users,
                "planned": self.rebuild.planned,
            },
        })
    }
}

impl Step {
    /// For people, of a step that is no move.
    fn remark(&self) -> Option<String> {
        let (name, pin) = (&self.reference, self.old.as_ref().map(|pin| short(pin.digest())));
        Some(match (&self.what, pin) {
            (What::Moved | What::Unchanged, _) => return None,
            (What::LocalOnly, _) => {
                format!("{name} is in this engine only: it has no pin, its image ID counts")
            }
            (What::Gone, Some(pin)) => {
                format!("warning: {name} is gone from its registry; it stays pinned to {pin}")
            }
            (What::Gone, None) => {
                format!("warning: {name} is not pinned: its registry has no such image")
            }
            (What::RegistryUnavailable(why), Some(pin)) => {
                format!("warning: {name} stays pinned to {pin}: {why}")
            }
            (What::RegistryUnavailable(why), None) => format!("warning: {name} is not pinned: {why}"),
        })
    }

    fn to_json(&self) -> Value {
        let digest = |pin: &Option<Pin>| pin.as_ref().map(|pin| pin.digest().to_owned());
        let (state, cause) = match &self.what {
            What::Moved if self.old.is_none() => ("pinned", None),
            What::Moved => ("moved", None),
            What::Unchanged => ("unchanged", None),
            What::LocalOnly => ("local", None),
            What::Gone => ("gone", None),
            What::RegistryUnavailable(why) => ("unknown", Some(why)),
        };
        let new = digest(&self.new).or_else(|| digest(&self.old));
        json!({"image": self.reference, "state": state, "old": digest(&self.old), "new": new, "cause": cause})
    }
}
