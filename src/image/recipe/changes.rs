//! What differs between two recipes, as old value and new value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::record::{RecipeRecord, masked_by_form, shown_fields};
use super::{Fields, Ingredient, Recipe, STAMP};
use crate::dockerfile::context::Listing;

/// Details that one line names; the rest is counted.
const SHOWN: usize = 2;
/// Characters of a value that one line shows.
const WIDE: usize = 60;

/// An ingredient that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct IngredientChange {
    pub(crate) ingredient: Ingredient,
    /// Short digests of the whole ingredient; `none`: it was not there.
    pub(crate) old: String,
    pub(crate) new: String,
    /// The files, lines and fields that differ, as far as they are known.
    pub(crate) details: Vec<Detail>,
}

/// One thing of an ingredient, before and now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Detail {
    /// A path, `line 7`, the name of an arg, `pip`, …
    pub(crate) what: String,
    /// `None`: it was not there.
    pub(crate) old: Option<String>,
    /// `None`: it is there no more.
    pub(crate) new: Option<String>,
}

impl IngredientChange {
    /// What comes before the details.
    pub(crate) fn head(&self) -> String {
        match self.ingredient {
            // Nobody changed anything: this was asked for.
            Ingredient::Refreshed => self.ingredient.to_string(),
            ingredient => format!("{ingredient} changed:"),
        }
    }

    /// One of the details.
    pub(crate) fn words(&self, detail: &Detail) -> String {
        if self.ingredient != Ingredient::Refreshed {
            return detail.to_string();
        }
        let by = if detail.what == STAMP { "" } else { "by tag.prefix " };
        match (&detail.old, &detail.new) {
            (None, Some(new)) => format!("{by}{new}"),
            _ => format!("{by}{}", detail.values()),
        }
    }
}

impl fmt::Display for IngredientChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.head())?;
        if self.details.is_empty() {
            return write!(f, "{} → {}", self.old, self.new);
        }
        let shown: Vec<_> = self.details.iter().take(SHOWN).map(|detail| self.words(detail)).collect();
        write!(f, "{}", shown.join(", "))?;
        match self.details.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a line of a file holds is no value of it.
        let colon = if self.what.contains("line ") { ":" } else { "" };
        write!(f, "{}{colon} {}", self.what, self.values())
    }
}

impl Detail {
    /// What it was and is.
    fn values(&self) -> String {
        match (self.old.as_deref().map(one_line), self.new.as_deref().map(one_line)) {
            (Some(old), Some(new)) => format!("{old} → {new}"),
            (None, Some(new)) if new.is_empty() => "added".into(),
            (None, Some(new)) => format!("{new} added"),
            (Some(old), None) if old.is_empty() => "removed".into(),
            (Some(old), None) => format!("{old} removed"),
            (None, None) => String::new(),
        }
    }
}

/// A value on one line: cut where it is long, without control characters.
fn one_line(value: &str) -> String {
    let mut line = String::new();
    for (at, c) in value.chars().enumerate() {
        match c {
            _ if at == WIDE => return line + "…",
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

/// Short digests by ingredient name, as an image carries them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IngredientDigests(BTreeMap<String, String>);

impl IngredientDigests {
    pub(super) fn new(digests: BTreeMap<String, String>) -> Self {
        Self(digests)
    }

    /// Reads the value of `ds01.build.ingredients`. Names that this version
    /// does not know are kept; `None`: it is no such list.
    pub(crate) fn parse(label: &str) -> Option<Self> {
        let pair = |pair: &str| {
            let (name, digest) = pair.split_once('=')?;
            let sound =
                !name.is_empty() && !digest.is_empty() && digest.bytes().all(|b| b.is_ascii_hexdigit());
            sound.then(|| (name.to_owned(), digest.to_owned()))
        };
        label.split(',').map(pair).collect::<Option<_>>().map(Self)
    }

    /// The short digest of an ingredient.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// What is known of an earlier build.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PreviousBuild<'a> {
    pub(crate) digests: Option<&'a IngredientDigests>,
    pub(crate) fields: Option<&'a RecipeRecord>,
    pub(crate) files: Option<&'a Listing>,
    /// The Dockerfile's text, masked.
    pub(crate) dockerfile: Option<&'a str>,
}

/// What would be built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NextBuild<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) files: Option<&'a Listing>,
    /// The Dockerfile's text, masked.
    pub(crate) dockerfile: Option<&'a str>,
}

const NONE: &str = "none";

/// The ingredients that differ, in their order, each with what is known of
/// how. Digests decide; what else is written only explains.
pub(crate) fn compare(before: PreviousBuild<'_>, now: NextBuild<'_>) -> Vec<IngredientChange> {
    let digests = now.recipe.ingredient_digests();
    let short = |ingredient_digests: Option<&IngredientDigests>, i: Ingredient| {
        ingredient_digests.and_then(|r| r.get(i.name())).unwrap_or(NONE).to_owned()
    };
    Ingredient::ALL
        .into_iter()
        .map(|i| (i, short(before.digests, i), short(Some(&digests), i)))
        .filter(|(_, old, new)| old != new)
        .map(|(ingredient, old, new)| IngredientChange {
            ingredient,
            old,
            new,
            details: details(ingredient, before, now),
        })
        .collect()
}

fn details(ingredient: Ingredient, before: PreviousBuild<'_>, now: NextBuild<'_>) -> Vec<Detail> {
    let known = before.fields.and_then(|written| written.fields(ingredient));
    let new = shown_fields(now.recipe, ingredient);
    match ingredient {
        Ingredient::Context => {
            if let (Some(old), Some(new)) = (before.files, now.files) {
                let details = files(old, new);
                if !details.is_empty() {
                    return details;
                }
            }
        }
        Ingredient::Dockerfile => {
            if let (Some(old), Some(text)) = (before.dockerfile, now.dockerfile)
                && let Some(mut details) = changed_lines(old, text)
            {
                let rest = known.map(|old| fields(old, &new)).unwrap_or_default();
                details.extend(rest.into_iter().filter(|detail| detail.what != "content"));
                return details;
            }
        }
        Ingredient::Args => {
            return known.map(|old| fields(&masked_by_form(old), &new)).unwrap_or_default();
        }
        Ingredient::Packages => return known.map(|old| packages(old, &new)).unwrap_or_default(),
        _ => {}
    }
    known.map(|old| fields(old, &new)).unwrap_or_default()
}

/// Keys that one has and the other has not, or with another value.
fn fields(old: &Fields, new: &Fields) -> Vec<Detail> {
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differ = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    let detail =
        |key: &String| Detail { what: key.clone(), old: old.get(key).cloned(), new: new.get(key).cloned() };
    differ.map(detail).collect()
}

/// A folder is only listed where it is empty: its files say the rest.
fn files(old: &Listing, new: &Listing) -> Vec<Detail> {
    let holds = |files: &Listing, folder: &str| {
        let below = format!("{folder}/");
        files.range(below.clone()..).next().is_some_and(|(path, _)| path.starts_with(&below))
    };
    let shown_fields = |detail: &Detail| match (detail.old.as_deref(), detail.new.as_deref()) {
        (Some("dir"), None) => !holds(new, &detail.what),
        (None, Some("dir")) => !holds(old, &detail.what),
        _ => true,
    };
    fields(old, new).into_iter().filter(shown_fields).collect()
}

/// `pip timm>=1` and `pip timm>=1.2` are one package with two versions.
fn packages(old: &Fields, new: &Fields) -> Vec<Detail> {
    let (mut gone, mut rest) = (Vec::new(), Vec::new());
    for detail in fields(old, new) {
        match detail.what.split_once(' ') {
            // The rule comes and goes with the first and the last package.
            None if detail.old.is_none() || detail.new.is_none() => {}
            None => rest.push(detail),
            Some((kind, wanted)) if detail.new.is_none() => gone.push((kind.to_owned(), wanted.to_owned())),
            Some((kind, wanted)) => {
                let (what, new) = (kind.to_owned(), Some(wanted.to_owned()));
                rest.push(Detail { what, old: None, new });
            }
        }
    }
    for (kind, wanted) in gone {
        let same = |d: &&mut Detail| {
            let new = d.new.as_deref().unwrap_or_default();
            d.what == kind && d.old.is_none() && distribution(new) == distribution(&wanted)
        };
        match rest.iter_mut().find(same) {
            Some(detail) => detail.old = Some(wanted),
            None => rest.push(Detail { what: kind, old: Some(wanted), new: None }),
        }
    }
    rest
}

/// The name that a requirement begins with.
fn distribution(requirement: &str) -> String {
    let name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    requirement.chars().take_while(name).collect::<String>().to_ascii_lowercase().replace(['_', '.'], "-")
}

// Lines of a text, side by side.

/// Longer middles are not compared line by line.
const MOST_LINES: usize = 400;

/// What differs, in the order of the text; `None`: too much to list, or
/// nothing but line ends. Lines are counted in the new text, removed ones in
/// the old.
fn changed_lines(old: &str, new: &str) -> Option<Vec<Detail>> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(&new).take_while(same).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    if old.len().max(new.len()) > MOST_LINES || (old.is_empty() && new.is_empty()) {
        return None;
    }
    let mut details = Vec::new();
    for operation in similar::capture_diff_slices(similar::Algorithm::Lcs, old, new) {
        let (tag, a, b) = operation.as_tag_tuple();
        if tag == similar::DiffTag::Equal {
            continue;
        }
        let (gone, come) = (&old[a.clone()], &new[b.clone()]);
        for at in 0..gone.len().max(come.len()) {
            let what = match come.get(at) {
                Some(_) => format!("line {}", head + b.start + at + 1),
                None => format!("old line {}", head + a.start + at + 1),
            };
            let line = |lines: &[&str]| lines.get(at).map(|line| line.trim().to_owned());
            details.push(Detail { what, old: line(gone), new: line(come) });
        }
    }
    Some(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> Vec<String> {
        let show = |d: Detail| format!("{}: {:?} {:?}", d.what, d.old, d.new);
        changed_lines(old, new).unwrap_or_default().into_iter().map(show).collect()
    }

    #[test]
    fn a_changed_line_is_shown_with_both_its_sides() {
        assert_eq!(shown("a\nb\nc\n", "a\nB\nc\n"), [r#"line 2: Some("b") Some("B")"#]);
    }

    #[test]
    fn added_and_removed_lines_have_one_side() {
        assert_eq!(shown("a\nc\n", "a\nb\nc\n"), [r#"line 2: None Some("b")"#]);
        assert_eq!(shown("a\nb\nc\n", "a\nc\n"), [r#"old line 2: Some("b") None"#]);
        let both = ["line 2: Some(\"x\") Some(\"y\")", "old line 4: Some(\"z\") None"];
        assert_eq!(shown("a\nx\nb\nz\nc", "a\ny\nb\nc"), both);
    }

    #[test]
    fn what_is_too_long_or_no_line_is_not_told() {
        assert!(changed_lines("a\n", "a").is_none());
        let long = |word: &str| (0..=MOST_LINES).map(|n| format!("{word}{n}\n")).collect::<String>();
        assert!(changed_lines(&long("a"), &long("b")).is_none());
    }
}
