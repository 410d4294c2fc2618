//! Typed access to a YAML tree: says what was expected, pushes what is wrong
//! and goes on. Knows nothing of particular sections.

use std::sync::Arc;

use super::yaml::{YamlNode, YamlValue};
use crate::model::problem::{Place, Problem, SourceFile};

/// All that is wrong so far.
#[derive(Default)]
pub(crate) struct Problems {
    pub(crate) list: Vec<Problem>,
}

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Looks for what was meant by `name`. Gives up once there are dozens
    /// of problems, so that a hostile spec costs no quadratic search.
    pub(crate) fn near<'n>(&self, name: &str, among: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        if self.list.len() > 50 { None } else { nearest(name, among) }
    }
}

/// The most similar of some names, if one is similar enough to be meant.
pub(crate) fn nearest<'n>(name: &str, among: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = 1 + name.len() / 4;
    among
        .into_iter()
        .filter(|other| other.len().abs_diff(name.len()) <= allowed)
        .map(|other| (strsim::osa_distance(name, other), other))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// A grammar that a text broke.
#[derive(Debug)]
pub(crate) struct GrammarError {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl GrammarError {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    pub(crate) fn at(self, place: &Place) -> Problem {
        Problem::new(self.message).at(place).help(self.help)
    }
}

/// A node with the file it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) node: &'a YamlNode,
    pub(crate) file: &'a Arc<SourceFile>,
}

/// A key of a mapping.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) text: &'a str,
    item: Item<'a>,
}

impl Key<'_> {
    pub(crate) fn place(&self) -> Place {
        self.item.place()
    }
}

/// A mapping with known keys.
pub(crate) struct Fields<'a> {
    pub(crate) owner: Item<'a>,
    entries: Vec<(Key<'a>, Item<'a>)>,
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<Item<'a>> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, item)| *item)
    }

    /// Place of the key itself.
    pub(crate) fn key(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(k, _)| k.place())
    }

    /// The value, or a problem at `place` that it is missing.
    pub(crate) fn require(
        &self,
        key: &str,
        place: &Place,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Item<'a>> {
        let found = self.get(key);
        if found.is_none() {
            problems.push(
                Problem::new(format!("the key `{key}` is missing"))
                    .at(place)
                    .help(format!("write `{example}`")),
            );
        }
        found
    }
}

/// What YAML's core schema (and older readers) make of an unquoted text.
pub(super) fn plain_type(text: &str) -> Option<&'static str> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some("nothing"),
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Some("a truth value"),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    let looks = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let bare = digits.replace('_', "");
    let number = looks
        && (bare.parse::<f64>().is_ok()
            || [("0x", 16), ("0o", 8), ("0b", 2)].iter().any(|(prefix, base)| {
                bare.strip_prefix(prefix).is_some_and(|n| u64::from_str_radix(n, *base).is_ok())
            })
            || matches!(bare.to_ascii_lowercase().as_str(), ".inf" | ".nan")
            || sexagesimal(&bare));
    number.then_some("a number")
}

/// YAML 1.1 reads `1:30` as 90.
fn sexagesimal(text: &str) -> bool {
    text.contains(':') && text.split(':').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

impl<'a> Item<'a> {
    pub(crate) fn place(self) -> Place {
        Place { file: self.file.clone(), span: self.node.span.clone() }
    }

    fn at(self, node: &'a YamlNode) -> Self {
        Self { node, ..self }
    }

    /// True for `key:` without a value, and for `null`.
    pub(crate) fn is_null(self) -> bool {
        matches!(&self.node.value, YamlValue::Scalar { text, plain: true } if plain_type(text) == Some("nothing"))
    }

    /// What stands there, in quotes or not, whatever YAML takes it for.
    pub(crate) fn scalar(self) -> Option<&'a str> {
        match &self.node.value {
            YamlValue::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_mapping(self) -> bool {
        matches!(self.node.value, YamlValue::Map(_))
    }

    fn found(self) -> String {
        match &self.node.value {
            YamlValue::List(_) => "a list".into(),
            YamlValue::Map(_) => "a mapping".into(),
            YamlValue::Scalar { text, plain: true } => match plain_type(text) {
                Some("nothing") => "nothing".into(),
                Some(kind) => format!("{kind}: `{text}`"),
                None => format!("text: `{}`", short(text)),
            },
            YamlValue::Scalar { text, plain: false } => format!("text in quotes: \"{}\"", short(text)),
        }
    }

    fn expected(self, what: &str) -> Problem {
        Problem::new(format!("expected {what}, found {}", self.found())).at(&self.place())
    }

    /// Text that every reader of YAML takes for text.
    pub(crate) fn string(self, problems: &mut Problems) -> Option<&'a str> {
        match &self.node.value {
            YamlValue::Scalar { text, plain: true } if plain_type(text) == Some("nothing") => {
                problems.push(self.expected("text").help("write the text, or remove the key"));
            }
            YamlValue::Scalar { text, plain: true } if plain_type(text).is_some() => {
                let kind = plain_type(text).unwrap_or_default();
                problems.push(
                    Problem::new(format!("`{text}` without quotes is {kind} to YAML, not text"))
                        .at(&self.place())
                        .help(format!("put it in quotes: \"{text}\"")),
                );
            }
            YamlValue::Scalar { text, .. } => return Some(text),
            _ => problems.push(self.expected("text")),
        }
        None
    }

    /// Text, or an unquoted whole number that reads the same to everyone.
    pub(crate) fn string_or_whole(self, problems: &mut Problems) -> Option<&'a str> {
        match &self.node.value {
            YamlValue::Scalar { text, plain: true } if whole(text).is_some() => Some(text),
            _ => self.string(problems),
        }
    }

    pub(crate) fn boolean(self, problems: &mut Problems) -> Option<bool> {
        match &self.node.value {
            YamlValue::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "True" | "TRUE") => {
                Some(true)
            }
            YamlValue::Scalar { text, plain: true }
                if matches!(text.as_str(), "false" | "False" | "FALSE") =>
            {
                Some(false)
            }
            _ => {
                problems.push(self.expected("true or false").help("write `true` or `false` without quotes"));
                None
            }
        }
    }

    /// A whole number from 0, in plain decimal.
    pub(crate) fn whole(self, problems: &mut Problems) -> Option<u64> {
        let number = match &self.node.value {
            YamlValue::Scalar { text, plain: true } => whole(text),
            _ => None,
        };
        if number.is_none() {
            problems.push(
                self.expected("a whole number").help("write plain digits without quotes, such as 1001"),
            );
        }
        number
    }

    /// A number from 0, as `4` or `0.5`.
    pub(crate) fn number(self, problems: &mut Problems) -> Option<f64> {
        let number = match &self.node.value {
            YamlValue::Scalar { text, plain: true }
                if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') =>
            {
                text.parse::<f64>().ok().filter(|n| n.is_finite())
            }
            _ => None,
        };
        if number.is_none() {
            problems.push(self.expected("a number").help("write it without quotes, such as 4 or 0.5"));
        }
        number
    }

    /// A list; nothing counts as an empty one.
    pub(crate) fn list(self, problems: &mut Problems) -> Vec<Item<'a>> {
        if self.quiet_list().is_none() && !self.is_null() {
            problems.push(self.expected("a list").help("write `[a, b]`, or one `- a` for each"));
        }
        self.quiet_list().unwrap_or_default()
    }

    /// The entries, if it is a list.
    pub(crate) fn quiet_list(self) -> Option<Vec<Item<'a>>> {
        match &self.node.value {
            YamlValue::List(items) => Some(items.iter().map(|node| self.at(node)).collect()),
            _ => None,
        }
    }

    /// A list of texts, each with its item.
    pub(crate) fn strings(self, problems: &mut Problems) -> Vec<(&'a str, Item<'a>)> {
        self.list(problems).into_iter().filter_map(|item| Some((item.string(problems)?, item))).collect()
    }

    /// One text or a list of them.
    pub(crate) fn one_or_more(self, problems: &mut Problems) -> Vec<(&'a str, Item<'a>)> {
        match self.node.value {
            YamlValue::List(_) => self.strings(problems),
            _ => self.string(problems).map(|text| (text, self)).into_iter().collect(),
        }
    }

    /// A mapping with free keys; nothing counts as an empty one.
    pub(crate) fn entries(self, problems: &mut Problems) -> Vec<(Key<'a>, Item<'a>)> {
        let YamlValue::Map(pairs) = &self.node.value else {
            if !self.is_null() {
                problems.push(self.expected("a mapping").help("write `key: value` lines, indented"));
            }
            return Vec::new();
        };
        let mut entries = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let item = self.at(key);
            if let Some(text) = item.string(problems) {
                entries.push((Key { text, item }, self.at(value)));
            }
        }
        entries
    }

    /// The keys of a mapping that are text, without a word about the others.
    pub(crate) fn keys(self) -> Vec<Key<'a>> {
        self.entries(&mut Problems::default()).into_iter().map(|(key, _)| key).collect()
    }

    /// The entries of a mapping, without a word about what is wrong.
    pub(crate) fn quiet_entries(self) -> Vec<(Key<'a>, Item<'a>)> {
        self.entries(&mut Problems::default())
    }

    /// The values of a mapping, without a word about its keys.
    pub(crate) fn children(self) -> Vec<Item<'a>> {
        self.quiet_entries().into_iter().map(|(_, item)| item).collect()
    }

    /// A mapping whose keys must be among `known`.
    pub(crate) fn fields(self, known: &[&str], problems: &mut Problems) -> Fields<'a> {
        self.fields_and(known, &[], problems)
    }

    /// The same with keys that are taken but not offered: old ones, and those
    /// that are refused with a sentence of their own.
    pub(crate) fn fields_and(
        self,
        known: &[&str],
        unoffered: &[&str],
        problems: &mut Problems,
    ) -> Fields<'a> {
        let entries = self.entries(problems);
        for (key, _) in &entries {
            if !known.contains(&key.text) && !unoffered.contains(&key.text) {
                problems.push(unknown_key(key, known));
            }
        }
        Fields { owner: self, entries }
    }
}

fn unknown_key(key: &Key, known: &[&str]) -> Problem {
    let problem = Problem::new(format!("unknown key `{}`", short(key.text))).at(&key.place());
    match nearest(key.text, known.iter().copied()) {
        _ if key.text == "<<" => problem.help("merge keys are not read; write the values out"),
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("the keys here are: {}", known.join(", "))),
    }
}

fn whole(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with('0');
    (plain && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Text for messages: long ones are cut.
pub(crate) fn short(text: &str) -> String {
    if text.chars().count() <= 60 {
        return text.escape_debug().to_string();
    }
    let cut: String = text.chars().take(57).collect();
    format!("{}…", cut.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_texts_are_typed_as_yaml_readers_do() {
        for text in ["2026.10", "1", "-3", "1e5", "0x1f", "0o17", "1_000", ".5", ".inf", "1:30", "007"] {
            assert_eq!(plain_type(text), Some("a number"), "{text}");
        }
        for text in
            ["2026.4.1", "2026-04", "v1", "yes", "inf", "nan", "python-3.11", "1.2.3", "3.x", "-", "."]
        {
            assert_eq!(plain_type(text), None, "{text}");
        }
        assert_eq!(plain_type("~"), Some("nothing"));
        assert_eq!(plain_type("True"), Some("a truth value"));
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = ["datascience", "vision", "rstudio"];
        assert_eq!(nearest("datascienc", names), Some("datascience"));
        assert_eq!(nearest("visoin", names), Some("vision"));
        assert_eq!(nearest("torch", names), None);
    }
}
