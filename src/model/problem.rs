//! What is wrong with something a person wrote, and where.
//!
//! Pure data: `report` draws it. A problem never stops reading; readers push
//! it onto a list so that all of a spec's problems are shown at once.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A text that problems point into.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as shown to people: relative to where they stand if possible.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub file: Arc<SourceFile>,
    /// Bytes of the text; may be empty.
    pub span: Range<usize>,
}

impl Place {
    /// Line and column, both from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let at = self.span.start.min(self.file.text.len());
        let before = &self.file.text[..self.file.text.floor_char_boundary(at)];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        (line, before[start..].chars().count() + 1)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong: a lowercase fragment without a full stop.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What stands under the marked part of the excerpt.
    pub label: Option<String>,
    /// What to do or write instead.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, label: None, help: None }
    }

    /// Says where.
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// Writes under the excerpt.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
