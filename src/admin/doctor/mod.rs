//! What is wrong with a machine or an image, and what to do: findings, made
//! from what was read. Pure: asks nobody and repairs nothing.
//!
//! Each function here checks one thing and knows nothing of the others, so
//! that what is broken keeps nothing else from being reported.

pub(crate) mod image;
pub(crate) mod images;
pub(crate) mod machine;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::model::human::count;

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

/// What one check of one thing gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Which check: `engine`, `registry`, `leftovers`, …
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

/// Makes findings of one check about one subject.
struct Check {
    name: &'static str,
    subject: String,
}

impl Check {
    fn of(name: &'static str, subject: impl Into<String>) -> Self {
        Self { name, subject: subject.into() }
    }

    fn finding(&self, severity: Severity, message: impl Into<String>) -> Finding {
        Finding {
            check: self.name,
            severity,
            subject: self.subject.clone(),
            message: message.into(),
            items: Vec::new(),
            bytes: None,
            help: None,
            command: None,
        }
    }

    fn ok(&self, message: impl Into<String>) -> Finding {
        self.finding(Severity::Ok, message)
    }

    fn note(&self, message: impl Into<String>) -> Finding {
        self.finding(Severity::Note, message)
    }

    fn warning(&self, message: impl Into<String>) -> Finding {
        self.finding(Severity::Warning, message)
    }

    fn error(&self, message: impl Into<String>) -> Finding {
        self.finding(Severity::Error, message)
    }
}

/// All findings of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Diagnosis {
    pub(crate) findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether something that is needed does not work.
    pub(crate) fn is_broken(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings are as bad as this.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

impl Extend<Finding> for Diagnosis {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        self.findings.extend(findings);
    }
}
