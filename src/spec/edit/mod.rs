//! Changes to the text of a project file that keep its comments and layout.
//!
//! Pure: text in, text out; whoever writes the file does so atomically. Every
//! result is read again by the reader of specs and must mean what was asked,
//! so that a text the editing library does not understand is refused and
//! never spoilt. Knows the layout of a project's entry, not its rules.

mod change;
mod text;
mod tree;
mod write;

#[cfg(test)]
mod tests;

use super::names;
use super::reader::GrammarError;
use crate::model::problem::Problem;
pub(crate) use change::{EntryEdit, ProjectChanges, change};
pub(crate) use tree::{EntryTree, NewValue};
pub(crate) use write::{ProjectEntry, entry};

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
    names::name("project", text).map_err(problem)?;
    if write::is_yaml_value(text) {
        let rule = format!("`{text}` is no project name: YAML reads it as a number, as truth or as nothing");
        return Err(Problem::new(rule).help("choose a word, such as thesis"));
    }
    Ok(())
}

/// Whether a text can be a login.
///
/// # Errors
/// The rule it breaks, and what to write.
pub(crate) fn check_login(text: &str) -> Result<(), Problem> {
    names::login(text).map_err(problem)
}

fn problem(broken: GrammarError) -> Problem {
    Problem::new(broken.message).help(broken.help)
}
