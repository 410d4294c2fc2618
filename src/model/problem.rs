//! What is wrong with something a person wrote, and where.
//!
//! Pure data: `ui` draws it. A problem never stops reading; readers push
//! it onto a list so that all of a spec's problems are shown at once.

use std::error::Error;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A text that problems point into.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// The path as shown to people: relative to where they stand if possible.
    pub(crate) path: PathBuf,
    /// The whole text.
    pub(crate) text: String,
    /// Where each line begins, once somebody asks: a text may have as many
    /// problems as lines.
    lines: OnceLock<Vec<usize>>,
}

impl SourceFile {
    pub(crate) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), lines: OnceLock::new() }
    }

    fn lines(&self) -> &[usize] {
        let begin = || std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1));
        self.lines.get_or_init(|| begin().collect())
    }
}

impl PartialEq for SourceFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.text == other.text
    }
}

impl Eq for SourceFile {}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The text.
    pub(crate) file: Arc<SourceFile>,
    /// Bytes of the text; may be empty.
    pub(crate) span: Range<usize>,
}

impl Place {
    /// Line and column, both from 1; the column counts characters.
    pub(crate) fn line_column(&self) -> (usize, usize) {
        let text = &self.file.text;
        let at = text.floor_char_boundary(self.span.start.min(text.len()));
        let lines = self.file.lines();
        let line = lines.partition_point(|begin| *begin <= at);
        (line, text[lines[line - 1]..at].chars().count() + 1)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong: a lowercase fragment without a full stop.
    pub(crate) message: String,
    /// Where.
    pub(crate) place: Option<Place>,
    /// What stands under the marked part of the excerpt.
    pub(crate) label: Option<String>,
    /// What to do or write instead.
    pub(crate) help: Option<String>,
}

impl Problem {
    /// A problem without a place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, label: None, help: None }
    }

    /// Says where.
    pub(crate) fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// Writes under the excerpt.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// In one line: `FILE:LINE: message; help`.
    pub(crate) fn sentence(&self) -> String {
        let place = self.place.as_ref();
        let place = place.map(|place| format!("{}:{}: ", place.file.path.display(), place.line_column().0));
        let help = self.help.as_ref().map(|help| format!("; {help}"));
        format!("{}{}{}", place.unwrap_or_default(), self.message, help.unwrap_or_default())
    }
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for Problem {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

/// An error, what caused it, what caused that, …
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error and its causes in one line. A cause that its effect already names is
/// left out, and what only says that a client failed (hyper's word).
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let texts = causes(error).map(ToString::to_string).filter(|text| !text.starts_with("client error"));
    texts.fold(String::new(), |all, text| match all.as_str() {
        "" => text,
        before if before.contains(&text) => all,
        before => format!("{before}: {text}"),
    })
}

/// A text as messages quote it: escaped, and only the beginning of a long one.
pub(crate) fn short(text: &str) -> String {
    if text.chars().count() <= 60 {
        return text.escape_debug().to_string();
    }
    let cut: String = text.chars().take(57).collect();
    format!("{}…", cut.escape_debug())
}
