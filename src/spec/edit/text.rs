//! The same changes on the text, by a library that keeps all it does not
//! touch. Only here its types are known. What it makes is checked elsewhere.

use std::str::FromStr;

use yaml_edit::{Document, Mapping, Sequence};

use super::{EntryChange, KeyPath, NewValue, flow_list, quoted};

const ODD: &str = "it is written in a way that can only be changed by hand";

/// Makes the changes in their order.
///
/// # Errors
/// The library does not find what is to be changed.
pub(crate) fn apply(text: &str, project: &str, steps: &[EntryChange]) -> Result<String, String> {
    let document = parsed(text)?;
    for step in steps {
        make(&document, project, step)?;
    }
    Ok(with_line_ends_of(text, document.to_string()))
}

/// Takes an entry out.
///
/// # Errors
/// The library does not find it.
pub(crate) fn remove(text: &str, project: &str) -> Result<String, String> {
    let document = parsed(text)?;
    document.as_mapping().and_then(|top| top.remove(project)).ok_or(ODD)?;
    Ok(with_line_ends_of(text, document.to_string()))
}

fn parsed(text: &str) -> Result<Document, String> {
    Document::from_str(text).map_err(|_| ODD.into())
}

fn make(document: &Document, project: &str, step: &EntryChange) -> Result<(), String> {
    let top = document.as_mapping().ok_or(ODD)?;
    let entry = top.get_mapping(project).ok_or(ODD)?;
    match step {
        EntryChange::Set(path, value) => set(&entry, path, &flow(value))?,
        EntryChange::Unset(path) => {
            if let (Some(above), Some(key)) = (above(&entry, path), path.last()) {
                above.remove(*key);
            }
        }
        EntryChange::Push(path, text) => match list(&entry, path) {
            Some(list) => list.push(text.as_str()),
            None => set(&entry, path, &flow(&NewValue::Texts(vec![text.clone()])))?,
        },
        EntryChange::Replace(path, at, text) => {
            list(&entry, path).filter(|list| list.set(*at, text.as_str())).ok_or(ODD)?;
        }
        EntryChange::Drop(path, at) => {
            list(&entry, path).and_then(|list| list.remove(*at)).ok_or(ODD)?;
        }
    }
    Ok(())
}

/// The mapping that the last key of a path stands in.
fn above(entry: &Mapping, path: KeyPath) -> Option<Mapping> {
    let (_, above) = path.split_last()?;
    above.iter().try_fold(entry.clone(), |mapping, key| mapping.get_mapping(*key))
}

fn list(entry: &Mapping, path: KeyPath) -> Option<Sequence> {
    above(entry, path)?.get_sequence(*path.last()?)
}

/// Gives a key a value in flow style; mappings that are missing are made
/// around it.
fn set(entry: &Mapping, path: KeyPath, value: &str) -> Result<(), String> {
    let (mut mapping, mut rest) = (entry.clone(), path);
    while let [key, deeper @ ..] = rest
        && !deeper.is_empty()
        && let Some(next) = mapping.get_mapping(*key)
    {
        (mapping, rest) = (next, deeper);
    }
    let [key, deeper @ ..] = rest else { return Err(ODD.into()) };
    let made = deeper.iter().rev().fold(value.to_owned(), |value, key| format!("{{{key}: {value}}}"));
    // The only way to hand the library a value in a style of our choice.
    let made = parsed(&format!("value: {made}\n"))?;
    let made = made.as_mapping().and_then(|top| top.get("value")).ok_or(ODD)?;
    mapping.set(*key, made);
    Ok(())
}

fn flow(value: &NewValue) -> String {
    match value {
        NewValue::Text(text) => quoted(text),
        NewValue::Texts(texts) => flow_list(texts),
        NewValue::True => "true".into(),
    }
}

/// New lines end as the others do.
fn with_line_ends_of(old: &str, new: String) -> String {
    let all = |text: &str| text.matches('\n').count();
    let dos = old.matches("\r\n").count();
    if dos == 0 || dos < all(old) || new.matches("\r\n").count() == all(&new) {
        return new;
    }
    new.replace("\r\n", "\n").replace('\n', "\r\n")
}
