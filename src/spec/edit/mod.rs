//! Changes to the text of a project file that keep its comments and layout.
//!
//! Pure: text in, text out; whoever writes the file does so atomically. Every
//! result is read again by the reader of specs and must mean what was asked,
//! so that a text the editing library does not understand is refused and
//! never spoilt. `request` has the rules of what may be asked for, `draft` the
//! spec as it would be; the rest knows the layout of an entry, not its rules.

mod change;
mod draft;
mod request;
mod text;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt::Write;

use super::grammar::{self, GrammarError};
use super::yaml::plain_type;
use crate::model::problem::Problem;
pub(crate) use change::{EntryEdit, ProjectChanges, change};
pub(crate) use draft::Draft;
pub(crate) use request::{EditContext, EditError, of_flag};
pub(crate) use tree::{EntryTree, NewValue};

/// Where something stands in a project's entry: `["packages", "pip"]`.
pub(crate) type KeyPath = &'static [&'static str];

/// One small change of a project's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryChange {
    /// Gives a key this value, whatever it had.
    Set(KeyPath, NewValue),
    /// Takes a key away; one that is not there stays away.
    Unset(KeyPath),
    /// Puts a text at the end of a list, which is made if it is not there.
    Push(KeyPath, String),
    /// Puts a text in the place of the one at this position.
    Replace(KeyPath, usize, String),
    /// Takes away the text at this position. The list stays, even if empty.
    Drop(KeyPath, usize),
}

/// The entry of one project; `Null` where it has nothing.
///
/// # Errors
/// The text is not the YAML it should be, or has no such project.
pub(crate) fn read(text: &str, project: &str) -> Result<EntryTree, String> {
    let whole = tree::read(text)?;
    whole.get(&[project]).cloned().ok_or_else(|| format!("there is no project `{project}` in it"))
}

/// The text with the changes made to one project's entry, in their order.
///
/// # Errors
/// The text has no such project, or is written in a way that cannot be
/// changed without changing more than was asked for.
pub(crate) fn apply(text: &str, project: &str, steps: &[EntryChange]) -> Result<String, String> {
    let mut wanted = tree::read(text)?;
    let entry = wanted.get_mut(project).ok_or_else(|| format!("there is no project `{project}` in it"))?;
    for step in steps {
        entry.apply(step)?;
    }
    let (mark, plain) = byte_order_mark(text);
    let edited = format!("{mark}{}", text::apply(plain, project, steps)?);
    same(&edited, &wanted).map(|()| edited)
}

/// The text without the entry of one project; `None`: nothing else is left.
///
/// # Errors
/// The text is not the YAML it should be, or has no such project.
pub(crate) fn remove(text: &str, project: &str) -> Result<Option<String>, String> {
    let mut wanted = tree::read(text)?;
    if !wanted.remove(project) {
        return Err(format!("there is no project `{project}` in it"));
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let (mark, plain) = byte_order_mark(text);
    let edited = format!("{mark}{}", text::remove(plain, project)?);
    same(&edited, &wanted).map(|()| Some(edited))
}

/// Refuses a text that does not mean what it should.
fn same(edited: &str, wanted: &EntryTree) -> Result<(), String> {
    match tree::read(edited) {
        Ok(found) if found == *wanted => Ok(()),
        _ => Err("it is written in a way that can only be changed by hand".into()),
    }
}

/// What some editors put before UTF-8, and the rest.
fn byte_order_mark(text: &str) -> (&str, &str) {
    text.split_at(if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 })
}

/// Whether a text can be the name of a new project: of the grammar, and
/// nothing that some reader of YAML takes for a number, truth or nothing.
///
/// # Errors
/// The rule it breaks, and what to write.
pub(crate) fn check_name(text: &str) -> Result<(), Problem> {
    grammar::name("project", text).map_err(problem)?;
    if is_yaml_value(text) {
        let rule = format!("`{text}` is no project name: YAML reads it as a number, as truth or as nothing");
        return Err(Problem::new(rule).help("choose a word, such as thesis"));
    }
    Ok(())
}

fn problem(error: GrammarError) -> Problem {
    Problem::new(error.message).help(error.help)
}

/// A project that somebody asks for; as it was typed, until
/// [`EditContext::check`] has seen it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProjectEntry {
    pub(crate) name: String,
    /// The login.
    pub(crate) user: String,
    /// What it is based on: `vision`, `vision@py312`, or a base.
    pub(crate) image: String,
    pub(crate) use_case: Vec<String>,
    pub(crate) apt: Vec<String>,
    pub(crate) pip: Vec<String>,
    /// Relative to the folder of the spec, as the next one.
    pub(crate) requirements: Option<String>,
    pub(crate) dockerfile: Option<String>,
    pub(crate) jupyter: bool,
}

/// The text of a file that has this project alone.
pub(crate) fn entry(entry: &ProjectEntry) -> String {
    let mut text =
        format!("# Change it by hand, or with `ds01-build image update`.\n{}:\n", quoted(&entry.name));
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "  {key}: {value}");
    };
    line("user", quoted(&entry.user));
    line("image", quoted(&entry.image));
    match entry.use_case.as_slice() {
        [] => {}
        [one] => line("use_case", quoted(one)),
        several => line("use_case", flow_list(several)),
    }
    if let Some(dockerfile) = &entry.dockerfile {
        line("dockerfile", quoted(dockerfile));
    }
    let lists = [("apt", &entry.apt), ("pip", &entry.pip)];
    let lists = lists.iter().filter(|(_, texts)| !texts.is_empty());
    let mut packages: Vec<String> =
        lists.map(|(key, texts)| format!("{key}: {}", flow_list(texts))).collect();
    packages.extend(entry.requirements.iter().map(|file| format!("requirements: {}", quoted(file))));
    if !packages.is_empty() {
        line("packages", format!("{{{}}}", packages.join(", ")));
    }
    if entry.jupyter {
        line("jupyter", "true".into());
    }
    text
}

/// Texts as a YAML list in one line.
fn flow_list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// A text as YAML: without quotes where every reader takes it for text.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/@+-".contains(&b));
    if plain && !is_yaml_value(text) {
        return text.to_owned();
    }
    // A JSON string is a YAML string.
    serde_json::to_string(text).unwrap_or_default()
}

/// Whether some reader of YAML takes an unquoted text for something else:
/// besides numbers, truth and nothing, the older ones have `yes` and `off`.
fn is_yaml_value(text: &str) -> bool {
    let older = ["y", "n", "yes", "no", "on", "off"];
    plain_type(text).is_some() || older.contains(&text.to_ascii_lowercase().as_str())
}
