//! What is wrong with a machine or an image, and what to do: findings, made
//! from what was seen. Pure: asks nobody and repairs nothing.
//!
//! Each function here looks at one thing and knows nothing of the others, so
//! that what is broken keeps nothing else from being told.

pub(crate) mod accounts;
pub(crate) mod engine;
pub(crate) mod folders;
pub(crate) mod gpu;
pub(crate) mod image;
pub(crate) mod leftovers;
pub(crate) mod legacy;
pub(crate) mod registry;
pub(crate) mod spec;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::engine::Image;
use crate::model::reference::Reference;
use crate::model::tags::is_content_tag;

/// How bad it is, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing suffers.
    Note,
    /// Something is worse than it need be, or will be.
    Warning,
    /// Something that is needed does not work.
    Error,
}

/// What one look at one thing gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Which look: `engine`, `registry`, `leftovers`, …
    pub(crate) check: &'static str,
    pub(crate) severity: Severity,
    /// What it is about: a host, a folder, an image.
    pub(crate) subject: String,
    /// A lowercase fragment.
    pub(crate) message: String,
    /// Things that the message counts.
    pub(crate) items: Vec<String>,
    /// Bytes, where it is about room.
    pub(crate) bytes: Option<u64>,
    /// What to do.
    pub(crate) help: Option<String>,
    /// What to type for it.
    pub(crate) command: Option<String>,
}

impl Finding {
    fn new(
        check: &'static str,
        severity: Severity,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let (subject, message) = (subject.into(), message.into());
        Self { check, severity, subject, message, items: Vec::new(), bytes: None, help: None, command: None }
    }

    fn items(self, items: impl IntoIterator<Item = String>) -> Self {
        Self { items: items.into_iter().collect(), ..self }
    }

    fn bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn command(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// Whether something that is needed does not work.
    pub(crate) fn is_broken(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings are as bad as this.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

impl Extend<Finding> for Report {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        self.findings.extend(findings);
    }
}

/// The name people know an image by: a tag that moves rather than its content
/// tag, else its id.
fn known_as(image: &Image) -> String {
    let is_content = |tag: &Reference| tag.tag().is_some_and(is_content_tag);
    let moving = image.tags.iter().find(|tag| !is_content(tag));
    moving.or(image.tags.first()).map_or_else(|| short(image), ToString::to_string)
}

/// An id as the engine's own client cuts it.
fn short(image: &Image) -> String {
    let id = image.id.as_str();
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

/// `1 image`, `2 images`.
fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
