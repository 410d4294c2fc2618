//! What a project file says, without how it is written, and what a change
//! means for that. The measure by which changed texts are judged.

use std::sync::Arc;

use super::{EntryChange, KeyPath};
use crate::model::problem::SourceFile;
use crate::spec::yaml::{self, YamlNode, plain_type};

/// Part of a project file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryTree {
    /// Nothing, or `null`.
    Null,
    Text(String),
    /// Unquoted, and to YAML no text: `true`, `1.5`.
    Other(String),
    List(Vec<EntryTree>),
    /// In the order of the file.
    Map(Vec<(String, EntryTree)>),
}

/// What a key can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NewValue {
    Text(String),
    Texts(Vec<String>),
    True,
}

impl From<&NewValue> for EntryTree {
    fn from(value: &NewValue) -> Self {
        match value {
            NewValue::Text(text) => Self::Text(text.clone()),
            NewValue::Texts(texts) => Self::List(texts.iter().cloned().map(Self::Text).collect()),
            NewValue::True => Self::Other("true".into()),
        }
    }
}

/// Reads a text that the reader of specs takes.
///
/// # Errors
/// What is wrong first, with its line.
pub(crate) fn read(text: &str) -> Result<EntryTree, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = Arc::new(SourceFile::new("project", text));
    let mut problems = Vec::new();
    let node = yaml::parse(&file, &mut problems);
    if let Some(problem) = problems.first() {
        let line = problem.place.as_ref().map_or(1, |place| place.line_column().0);
        return Err(format!("line {line}: {}", problem.message));
    }
    node.as_ref().and_then(tree).ok_or_else(|| "a key in it is no text".into())
}

/// `None`: a key is a list or a mapping.
fn tree(node: &YamlNode) -> Option<EntryTree> {
    Some(match &node.value {
        yaml::YamlValue::Scalar { text, plain } => match plain_type(text).filter(|_| *plain) {
            Some("nothing") => EntryTree::Null,
            Some(_) => EntryTree::Other(text.clone()),
            None => EntryTree::Text(text.clone()),
        },
        yaml::YamlValue::List(items) => EntryTree::List(items.iter().map(tree).collect::<Option<_>>()?),
        yaml::YamlValue::Map(pairs) => {
            let pair = |(key, value): &(YamlNode, YamlNode)| match tree(key)? {
                EntryTree::Text(key) | EntryTree::Other(key) => Some((key, tree(value)?)),
                _ => None,
            };
            EntryTree::Map(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
    })
}

impl EntryTree {
    /// What stands there; `None`: a key of the path is missing.
    pub(crate) fn get(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, key| match tree {
            Self::Map(pairs) => pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value),
            _ => None,
        })
    }

    /// A text alone, or the texts of a list in their positions; what is no text is empty.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Null => Vec::new(),
            Self::List(items) => items.iter().map(Self::scalar).collect(),
            one => vec![one.scalar()],
        }
    }

    fn scalar(&self) -> &str {
        match self {
            Self::Text(text) | Self::Other(text) => text,
            Self::Null | Self::List(_) | Self::Map(_) => "",
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Map(pairs) if pairs.is_empty())
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// True: the key was there.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let Self::Map(pairs) = self else { return false };
        let before = pairs.len();
        pairs.retain(|(known, _)| known != key);
        pairs.len() < before
    }

    /// What a change means.
    ///
    /// # Errors
    /// What stands there is of another kind.
    pub(crate) fn apply(&mut self, step: &EntryChange) -> Result<(), String> {
        match step {
            EntryChange::Set(path, value) => *self.made(path)? = value.into(),
            EntryChange::Unset(path) => {
                let (key, above) = path.split_last().expect("a path has a key");
                let mut at = Some(self);
                for part in above {
                    at = at.and_then(|tree| tree.get_mut(part));
                }
                at.map(|tree| tree.remove(key));
            }
            EntryChange::Push(path, text) => {
                let at = self.made(path)?;
                match at {
                    Self::Null => *at = Self::List(vec![Self::Text(text.clone())]),
                    Self::List(items) => items.push(Self::Text(text.clone())),
                    _ => return Err(no_list(path)),
                }
            }
            EntryChange::Replace(path, at, text) => *self.item(path, *at)? = Self::Text(text.clone()),
            EntryChange::Drop(path, at) => {
                self.item(path, *at)?;
                let Self::List(items) = self.made(path)? else { return Err(no_list(path)) };
                items.remove(*at);
            }
        }
        Ok(())
    }

    fn item(&mut self, path: KeyPath, at: usize) -> Result<&mut Self, String> {
        match self.made(path)? {
            Self::List(items) => items.get_mut(at).ok_or_else(|| no_list(path)),
            _ => Err(no_list(path)),
        }
    }

    /// What stands there, made if it is missing.
    fn made(&mut self, path: KeyPath) -> Result<&mut Self, String> {
        let mut at = self;
        for key in path {
            if *at == Self::Null {
                *at = Self::Map(Vec::new());
            }
            let Self::Map(pairs) = at else { return Err(format!("what `{key}` stands in is no mapping")) };
            let found = pairs.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
                pairs.push(((*key).to_owned(), Self::Null));
                pairs.len() - 1
            });
            at = &mut pairs[found].1;
        }
        Ok(at)
    }
}

fn no_list(path: KeyPath) -> String {
    format!("`{}` is no list", path.join("."))
}
