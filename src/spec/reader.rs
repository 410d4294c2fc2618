//! Typed access to a YAML tree: says what was expected, reports what is wrong
//! and goes on. Knows nothing of particular sections.
//!
//! An item knows where its document's problems are collected, so nothing that
//! reads a section has to be handed the list.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::fields::{Fields, Key};
use super::grammar::GrammarError;
use super::yaml::{self, YamlNode, YamlValue, plain_type};
pub(crate) use crate::model::problem::short;
use crate::model::problem::{Place, Problem, SourceFile};

/// All that is wrong so far, shared by all that reads one spec.
#[derive(Clone, Default)]
pub(crate) struct Problems(Rc<RefCell<Vec<Problem>>>);

impl Problems {
    pub(crate) fn push(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    pub(crate) fn extend(&self, problems: Vec<Problem>) {
        self.0.borrow_mut().extend(problems);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// What was found; afterwards there is nothing.
    pub(crate) fn take(&self) -> Vec<Problem> {
        self.0.take()
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

/// A file that is YAML, and where mistakes in it are reported.
pub(crate) struct Document {
    pub(crate) file: Arc<SourceFile>,
    root: YamlNode,
    problems: Problems,
}

impl Document {
    /// `None`: the file is no YAML, which is reported.
    pub(crate) fn parse(file: Arc<SourceFile>, problems: &Problems) -> Option<Self> {
        let mut found = Vec::new();
        let root = yaml::parse(&file, &mut found);
        problems.extend(found);
        Some(Self { root: root?, file, problems: problems.clone() })
    }

    pub(crate) fn item(&self) -> Item<'_> {
        Item { node: &self.root, document: self, quiet: false }
    }

    /// The start of the file.
    pub(crate) fn start(&self) -> Place {
        Place { file: self.file.clone(), span: 0..0 }
    }
}

/// A node of a document.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    node: &'a YamlNode,
    document: &'a Document,
    /// Nothing is reported.
    quiet: bool,
}

impl<'a> Item<'a> {
    pub(crate) fn place(self) -> Place {
        Place { file: self.document.file.clone(), span: self.node.span.clone() }
    }

    fn at(self, node: &'a YamlNode) -> Self {
        Self { node, ..self }
    }

    /// The same, without a word about what is wrong in it.
    pub(crate) fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    fn push(self, problem: Problem) {
        if !self.quiet {
            self.document.problems.push(problem);
        }
    }

    /// Reports that something is wrong here, and what to do.
    pub(crate) fn report(self, message: impl Into<String>, help: impl Into<String>) {
        self.report_at(&self.place(), message, help);
    }

    /// The same elsewhere.
    pub(crate) fn report_at(self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(Problem::new(message).at(place).help(help));
    }

    /// Reports that there is nothing called `name`: what was perhaps meant among
    /// those there are, else what else helps.
    pub(crate) fn report_unknown<'n>(
        self,
        message: impl Into<String>,
        name: &str,
        among: impl IntoIterator<Item = &'n str>,
        otherwise: impl FnOnce() -> String,
    ) {
        let help = self.near(name, among).map_or_else(otherwise, |near| format!("did you mean `{near}`?"));
        self.report(message, help);
    }

    /// Looks for what was meant by `name`. Gives up once there are dozens
    /// of problems, so that a hostile spec costs no quadratic search.
    pub(crate) fn near<'n>(self, name: &str, among: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        if self.document.problems.0.borrow().len() > 50 { None } else { nearest(name, among) }
    }

    /// Reports what breaks a grammar; true: nothing does.
    pub(crate) fn check(self, result: Result<(), GrammarError>) -> bool {
        self.accept(result).is_some()
    }

    /// A result that breaks no grammar; one that does is reported.
    pub(crate) fn accept<T>(self, result: Result<T, GrammarError>) -> Option<T> {
        result.map_err(|error| self.report(error.message, error.help)).ok()
    }

    /// Text of a grammar.
    pub(crate) fn text_of(self, grammar: impl FnOnce(&str) -> Result<(), GrammarError>) -> Option<&'a str> {
        let text = self.string()?;
        self.check(grammar(text)).then_some(text)
    }

    /// What was parsed from `text`, else why it `cannot be` that.
    pub(crate) fn parsed<T>(
        self,
        result: Result<T, String>,
        text: &str,
        is_not: &str,
        help: &str,
    ) -> Option<T> {
        result.map_err(|why| self.report(format!("`{}` {is_not}: {why}", short(text)), help)).ok()
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
    pub(crate) fn string(self) -> Option<&'a str> {
        match &self.node.value {
            YamlValue::Scalar { text, plain: true } if plain_type(text) == Some("nothing") => {
                self.push(self.expected("text").help("write the text, or remove the key"));
            }
            YamlValue::Scalar { text, plain: true } if plain_type(text).is_some() => {
                let kind = plain_type(text).unwrap_or_default();
                let message = format!("`{text}` without quotes is {kind} to YAML, not text");
                self.report(message, format!("put it in quotes: \"{text}\""));
            }
            YamlValue::Scalar { text, .. } => return Some(text),
            _ => self.push(self.expected("text")),
        }
        None
    }

    /// Text, or an unquoted whole number that reads the same to everyone.
    pub(crate) fn string_or_whole(self) -> Option<&'a str> {
        match &self.node.value {
            YamlValue::Scalar { text, plain: true } if whole(text).is_some() => Some(text),
            _ => self.string(),
        }
    }

    pub(crate) fn boolean(self) -> Option<bool> {
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
                self.push(self.expected("true or false").help("write `true` or `false` without quotes"));
                None
            }
        }
    }

    /// A whole number from 0, in plain decimal.
    pub(crate) fn whole(self) -> Option<u64> {
        let number = match &self.node.value {
            YamlValue::Scalar { text, plain: true } => whole(text),
            _ => None,
        };
        if number.is_none() {
            self.push(
                self.expected("a whole number").help("write plain digits without quotes, such as 1001"),
            );
        }
        number
    }

    /// A number from 0, as `4` or `0.5`.
    pub(crate) fn number(self) -> Option<f64> {
        let number = match &self.node.value {
            YamlValue::Scalar { text, plain: true }
                if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') =>
            {
                text.parse::<f64>().ok().filter(|n| n.is_finite())
            }
            _ => None,
        };
        if number.is_none() {
            self.push(self.expected("a number").help("write it without quotes, such as 4 or 0.5"));
        }
        number
    }

    /// A list; nothing counts as an empty one.
    pub(crate) fn list(self) -> Vec<Item<'a>> {
        if self.elements().is_none() && !self.is_null() {
            self.push(self.expected("a list").help("write `[a, b]`, or one `- a` for each"));
        }
        self.elements().unwrap_or_default()
    }

    /// The entries, if it is a list.
    pub(crate) fn elements(self) -> Option<Vec<Item<'a>>> {
        match &self.node.value {
            YamlValue::List(items) => Some(items.iter().map(|node| self.at(node)).collect()),
            _ => None,
        }
    }

    /// A list of texts, each with its item.
    pub(crate) fn strings(self) -> Vec<(&'a str, Item<'a>)> {
        self.list().into_iter().filter_map(|item| Some((item.string()?, item))).collect()
    }

    /// One text or a list of them.
    pub(crate) fn one_or_more(self) -> Vec<(&'a str, Item<'a>)> {
        match self.node.value {
            YamlValue::List(_) => self.strings(),
            _ => self.string().map(|text| (text, self)).into_iter().collect(),
        }
    }

    /// A mapping with free keys; nothing counts as an empty one.
    pub(crate) fn entries(self) -> Vec<(Key<'a>, Item<'a>)> {
        let YamlValue::Map(pairs) = &self.node.value else {
            if !self.is_null() {
                self.push(self.expected("a mapping").help("write `key: value` lines, indented"));
            }
            return Vec::new();
        };
        let mut entries = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let item = self.at(key);
            if let Some(text) = item.string() {
                entries.push((Key { text, item }, self.at(value)));
            }
        }
        entries
    }

    /// A mapping whose keys must be among `known`.
    pub(crate) fn fields(self, known: &[&str]) -> Fields<'a> {
        self.fields_and(known, &[])
    }

    /// The same with keys that are taken but not offered: old ones, and those
    /// that are refused with a sentence of their own.
    pub(crate) fn fields_and(self, known: &[&str], unoffered: &[&str]) -> Fields<'a> {
        Fields::new(self, known, unoffered)
    }
}

fn whole(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with('0');
    (plain && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
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
