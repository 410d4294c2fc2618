//! A plan and its reasons in words and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::{Action, Location, Plan, Planned, Reason, TagMove};
use crate::model::names::NodeName;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(changed) => changed.fmt(f),
            Self::ParentRebuilt { parent } => write!(f, "{parent} is rebuilt"),
            Self::RulesChanged { old, new } => {
                write!(f, "built by the rules of version {old}, which are now {new}")
            }
            Self::NeverBuilt => f.write_str("never built"),
            Self::Evicted => f.write_str("was built, and is gone from the engine"),
            Self::TestsFailed { test } => write!(f, "the last build did not pass: {test}"),
            Self::Forced => f.write_str("asked for"),
        }
    }
}

impl fmt::Display for Plan {
    /// One line an image: what is done, its name, why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.images.iter().map(|i| i.name.as_str().len()).max().unwrap_or(0);
        for image in &self.images {
            let mut line =
                |verb: &str, what: &dyn fmt::Display| writeln!(f, "{verb:5}  {:width$}  {what}", image.name);
            match &image.action {
                Action::Keep(Location::Engine(_)) => line("keep", &"up to date")?,
                Action::Keep(Location::Registry(_)) => line("keep", &"in the registry")?,
                Action::Fetch { needed_by, .. } => line("pull", &format!("needed by {}", listed(needed_by)))?,
                Action::Build(reasons) => {
                    for (at, reason) in reasons.iter().enumerate() {
                        let (verb, name) = if at == 0 { ("build", image.name.as_str()) } else { ("", "") };
                        writeln!(f, "{verb:5}  {name:width$}  {reason}")?;
                    }
                    if let Some(failure) = &image.last_failure {
                        writeln!(f, "{:5}  {:width$}  the last try failed: {failure}", "", "")?;
                    }
                }
            }
        }
        for at in self.pushes() {
            writeln!(f, "push   {:width$}  {}", self.images[at].name, self.images[at].content)?;
        }
        for tag in &self.tags {
            writeln!(f, "tag    {:width$}  {}", self.images[tag.image].name, tag.tag)?;
        }
        for tag in &self.registry_tags {
            writeln!(f, "tag    {:width$}  {} in the registry", self.images[tag.image].name, tag.tag)?;
        }
        Ok(())
    }
}

impl Plan {
    /// The plan as data: `{images: […], tags: […]}`.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "images": self.images.iter().map(Planned::to_json).collect::<Vec<_>>(),
            "tags": self.moves(&self.tags),
            "registry_tags": self.moves(&self.registry_tags),
        })
    }

    fn moves(&self, tags: &[TagMove]) -> Vec<Value> {
        let image = |t: &TagMove| &self.images[t.image].name;
        tags.iter().map(|t| json!({ "image": image(t), "tag": t.tag })).collect()
    }
}

fn listed(names: &[NodeName]) -> String {
    names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

impl Planned {
    fn to_json(&self) -> Value {
        let (action, reasons) = match &self.action {
            Action::Keep(_) => ("keep", &[][..]),
            Action::Fetch { .. } => ("fetch", &[][..]),
            Action::Build(reasons) => ("build", reasons.as_slice()),
        };
        let needed_by = match &self.action {
            Action::Fetch { needed_by, .. } => needed_by.as_slice(),
            _ => &[],
        };
        json!({
            "name": self.name,
            "action": action,
            "reasons": reasons,
            "last_failure": self.last_failure,
            "recipe": self.recipe.digest().to_string(),
            "content_tag": self.content,
            "image_id": self.present,
            "registry_digest": self.remote,
            "needed_by": needed_by,
            "push": self.push,
            "cache_from": self.cache_from,
        })
    }
}
