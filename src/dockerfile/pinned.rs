//! The text that is sent to the front end: as it is on disk, with the digest
//! behind each image that has one.
//!
//! Line numbers stay as they are, so that what the front end says of a line is
//! true of the file.

use std::ops::Range;

use super::lines::Flag;
use super::{EngineInfo, Inputs};
use crate::model::problem::Problem;
use crate::model::reference::Reference;

/// Where an instruction names an image, and what else stands in that word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Bytes of the text that write the word, line ends within it included.
    span: Range<usize>,
    /// `--from=`, or what a `--mount` says before the name.
    before: String,
    after: String,
}

impl Token {
    /// A word of its own.
    pub(super) fn word(span: Range<usize>) -> Self {
        Self { span, before: String::new(), after: String::new() }
    }

    /// The last `from=name` of a flag.
    pub(super) fn of(flag: &Flag, name: &str) -> Self {
        let Flag { word, span } = flag;
        let key = "from=";
        let at = |i: &usize| {
            let ends = |c: char| matches!(c, ',' | '"');
            let begins = word[..*i].ends_with(['-', ',', '=', '"']);
            begins
                && word[i + key.len()..]
                    .strip_prefix(name)
                    .is_some_and(|r| r.is_empty() || r.starts_with(ends))
        };
        let places = word.to_ascii_lowercase();
        let found = places.match_indices(key).map(|(i, _)| i).filter(at).last();
        // A name broken up by quotes: the rest of the flag is said anew.
        let start = found.map_or(word.len(), |i| i + key.len());
        let end = found.map_or(word.len(), |_| start + name.len());
        let comma = if found.is_some() { "" } else { ",from=" };
        Self {
            span: span.clone(),
            before: format!("{}{comma}", &word[..start]),
            after: word[end..].to_owned(),
        }
    }

    /// The word with another image in it. Lines stay: what the word is
    /// written on is continued before it.
    fn write(&self, image: &Reference, text: &str, escape: char) -> String {
        let lines = text[self.span.clone()].matches('\n').count();
        let continued = format!("{escape}\n").repeat(lines);
        format!("{continued}{}{image}{}", quoted(&self.before, escape), quoted(&self.after, escape))
    }
}

/// What the reader of flags takes for this very text.
fn quoted(text: &str, escape: char) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || matches!(c, '"' | '\'') || c == escape {
            quoted.push(escape);
        }
        quoted.push(c);
    }
    quoted
}

impl EngineInfo {
    /// The text with `pin(image)` in place of every image that counts and has
    /// a pin, whether it is written out or put together of variables.
    ///
    /// # Errors
    /// As [`EngineInfo::evaluate`].
    pub(crate) fn pinned(
        &self,
        inputs: &Inputs<'_>,
        pin: &dyn Fn(&Reference) -> Option<Reference>,
    ) -> Result<String, Vec<Problem>> {
        let text = self.stages[0].place.file.text.as_str();
        let images = self.evaluate(inputs)?.images;
        let pinned = images.iter().filter_map(|image| Some((&image.token, pin(&image.reference)?)));
        let mut pinned: Vec<_> = pinned.collect();
        // From the end, so that places before it stay true. What a base leaves
        // for several stages (ONBUILD) is written once.
        pinned.sort_by_key(|(token, _)| std::cmp::Reverse(token.span.start));
        pinned.dedup_by_key(|(token, _)| token.span.start);
        let mut new = text.to_owned();
        for (token, image) in pinned {
            new.replace_range(token.span.clone(), &token.write(&image, text, self.escape));
        }
        Ok(new)
    }
}
