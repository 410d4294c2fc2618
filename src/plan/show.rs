//! A plan and its reasons in words and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::{Action, Plan, Planned, Reason};

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(changed) => changed.fmt(f),
            Self::ParentRebuilt { parent } => write!(f, "{parent} is rebuilt"),
            Self::NeverBuilt => f.write_str("never built"),
            Self::Evicted => f.write_str("was built, and is gone from the engine"),
            Self::Forced => f.write_str("asked for"),
        }
    }
}

impl fmt::Display for Plan {
    /// One line an image: what is done, its name, why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.images.iter().map(|i| i.name.as_str().len()).max().unwrap_or(0);
        for image in &self.images {
            match &image.action {
                Action::Keep(_) => writeln!(f, "keep   {:width$}  up to date", image.name)?,
                Action::Build(reasons) => {
                    for (at, reason) in reasons.iter().enumerate() {
                        let (verb, name) = if at == 0 { ("build", image.name.as_str()) } else { ("", "") };
                        writeln!(f, "{verb:5}  {name:width$}  {reason}")?;
                    }
                }
            }
        }
        for tag in &self.tags {
            writeln!(f, "tag    {:width$}  {}", self.images[tag.image].name, tag.tag)?;
        }
        Ok(())
    }
}

impl Plan {
    /// The plan as data: `{images: […], tags: […]}`.
    pub fn to_json(&self) -> Value {
        json!({
            "images": self.images.iter().map(Planned::to_json).collect::<Vec<_>>(),
            "tags": self.tags.iter().map(|t| json!({
                "image": self.images[t.image].name,
                "tag": t.tag,
            })).collect::<Vec<_>>(),
        })
    }
}

impl Planned {
    fn to_json(&self) -> Value {
        let (action, reasons) = match &self.action {
            Action::Keep(_) => ("keep", &[][..]),
            Action::Build(reasons) => ("build", reasons.as_slice()),
        };
        json!({
            "name": self.name,
            "action": action,
            "reasons": reasons,
            "recipe": self.recipe.digest().to_string(),
            "content_tag": self.content,
            "image_id": self.present,
        })
    }
}
