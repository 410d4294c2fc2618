//! What an update did, as data and in words.

use serde_json::{Value, json};

use super::{ChangeKind, PinChange, PinUpdate, Rebuild};
use crate::model::digest::short;
use crate::model::human::{count, listed};
use crate::model::names::NodeName;
use crate::spec::lock_file::Pin;

/// More names than this are counted only.
const MOST_NAMES: usize = 10;

/// All of an update.
pub(crate) struct UpdateReport {
    pub(crate) update: PinUpdate,
    /// Whether spec.lock is another now.
    pub(crate) written: bool,
    pub(crate) rebuild: Rebuild,
}

impl UpdateReport {
    /// Whether there was somebody to ask, and none of them answered.
    pub(crate) fn nobody_answered(&self) -> bool {
        let is_local = |change: &&PinChange| change.kind == ChangeKind::LocalOnly;
        let mut asked = self.update.changes.iter().filter(|change| !is_local(change)).peekable();
        asked.peek().is_some()
            && asked.all(|change| matches!(change.kind, ChangeKind::RegistryUnavailable(_)))
    }

    /// What moved and what that rebuilds, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let moved = || self.update.changes.iter().filter(|change| change.kind == ChangeKind::Moved);
        let width = moved().map(|change| change.reference.to_string().len()).max().unwrap_or(0);
        let line = |change: &PinChange| {
            let old = change.old.as_ref().map_or("not pinned", |pin| short(pin.digest()));
            let new = change.new.as_ref().map_or("", |pin| short(pin.digest()));
            format!("{:width$}  {old} → {new}", change.reference.to_string())
        };
        let dropped = |name| format!("dropped {name}: the spec does not use it any more");
        let dropped = self.update.dropped.iter().map(dropped);
        moved().map(line).chain(dropped).chain(self.rebuild.line()).collect()
    }

    /// Remarks on all else.
    pub(crate) fn notes(&self) -> Vec<String> {
        let changes = &self.update.changes;
        let unchanged = changes.iter().filter(|change| change.kind == ChangeKind::Unchanged).count();
        let last = match unchanged {
            0 if changes.is_empty() => Some("nothing to pin: no image is based on one from elsewhere".into()),
            0 => None,
            n => Some(format!("{} unchanged", count(n, "base"))),
        };
        changes.iter().filter_map(PinChange::note).chain(last).collect()
    }

    /// `{bases: [{image, state, old, new, cause}], dropped, written, rebuild}`.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "bases": self.update.changes.iter().map(PinChange::to_json).collect::<Vec<_>>(),
            "dropped": self.update.dropped,
            "written": self.written,
            "rebuild": self.rebuild,
        })
    }
}

impl PinChange {
    /// For people, of a change that is no move.
    fn note(&self) -> Option<String> {
        let (name, pin) = (&self.reference, self.old.as_ref().map(|pin| short(pin.digest())));
        Some(match (&self.kind, pin) {
            (ChangeKind::Moved | ChangeKind::Unchanged, _) => return None,
            (ChangeKind::LocalOnly, _) => {
                format!("{name} is in this engine only: it has no pin, its image ID counts")
            }
            (ChangeKind::Gone, Some(pin)) => {
                format!("warning: {name} is gone from its registry; it stays pinned to {pin}")
            }
            (ChangeKind::Gone, None) => {
                format!("warning: {name} is not pinned: its registry has no such image")
            }
            (ChangeKind::RegistryUnavailable(why), Some(pin)) => {
                format!("warning: {name} stays pinned to {pin}: {why}")
            }
            (ChangeKind::RegistryUnavailable(why), None) => format!("warning: {name} is not pinned: {why}"),
        })
    }

    fn to_json(&self) -> Value {
        let (state, cause) = match &self.kind {
            ChangeKind::Moved if self.old.is_none() => ("pinned", None),
            ChangeKind::Moved => ("moved", None),
            ChangeKind::Unchanged => ("unchanged", None),
            ChangeKind::LocalOnly => ("local", None),
            ChangeKind::Gone => ("gone", None),
            ChangeKind::RegistryUnavailable(why) => ("unknown", Some(why)),
        };
        let old = self.old.as_ref().map(Pin::digest);
        let new = self.new.as_ref().map(Pin::digest).or(old);
        json!({"image": self.reference, "state": state, "old": old, "new": new, "cause": cause})
    }
}

impl Rebuild {
    /// For people; `None`: it is nothing.
    pub(super) fn line(&self) -> Option<String> {
        let names: Vec<_> = self.images.iter().map(NodeName::as_str).collect();
        let own = match self.projects {
            0 => String::new(),
            n => format!("; {} of {}", count(n, "project"), count(self.users.len(), "user")),
        };
        let verb = if self.planned { "to rebuild" } else { "affected" };
        let (images, names) = (count(names.len(), "image"), listed(&names, MOST_NAMES));
        (!self.images.is_empty()).then(|| format!("{verb}: {images} ({names}){own}"))
    }
}
