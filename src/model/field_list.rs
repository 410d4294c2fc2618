//! One thing as people read it: its name, and below it a line for each label
//! with its value. Knows no terminal.

use std::fmt::Write;

/// The text so far.
pub(crate) struct FieldList {
    text: String,
    width: usize,
}

impl FieldList {
    /// Begins with this line; values begin after so many columns.
    pub(crate) fn new(head: &str, width: usize) -> Self {
        Self { text: format!("{head}\n"), width }
    }

    /// Nothing for an empty value.
    pub(crate) fn line(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            let _ = writeln!(self.text, "  {label:0$}{value}", self.width);
        }
    }

    /// One for each; the label is before the first.
    pub(crate) fn lines(&mut self, label: &str, values: impl IntoIterator<Item = String>) {
        for (at, value) in values.into_iter().enumerate() {
            self.line(if at == 0 { label } else { "" }, &value);
        }
    }

    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}
