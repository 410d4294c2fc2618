//! What differs between two recipes, as old value and new value.

use std::collections::BTreeMap;

use super::{Fields, Ingredient, Recipe};

/// An ingredient that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Changed {
    pub ingredient: Ingredient,
    /// Short digest, or the fields that differ: `PYTHON=3.11`; `none`: there was none.
    pub old: String,
    pub new: String,
}

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} changed: {} → {}", self.ingredient, self.old, self.new)
    }
}

/// Short digests by ingredient name, as an image carries them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded(BTreeMap<String, String>);

impl Recorded {
    pub(super) fn new(digests: BTreeMap<String, String>) -> Self {
        Self(digests)
    }

    /// Reads the value of `ds01.build.ingredients`. Names that this version
    /// does not know are kept; `None`: it is no such list.
    pub fn parse(label: &str) -> Option<Self> {
        let pair = |pair: &str| {
            let (name, digest) = pair.split_once('=')?;
            let sound =
                !name.is_empty() && !digest.is_empty() && digest.bytes().all(|b| b.is_ascii_hexdigit());
            sound.then(|| (name.to_owned(), digest.to_owned()))
        };
        label.split(',').map(pair).collect::<Option<_>>().map(Self)
    }

    /// The short digest of an ingredient.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

const NONE: &str = "none";

/// The ingredients that differ from what an image carries, in their order.
pub fn compare(old: &Recorded, new: &Recipe) -> Vec<Changed> {
    let now = new.recorded();
    let short = |recorded: &Recorded, i: Ingredient| recorded.get(i.name()).unwrap_or(NONE).to_owned();
    Ingredient::ALL
        .into_iter()
        .map(|i| Changed { ingredient: i, old: short(old, i), new: short(&now, i) })
        .filter(|c| c.old != c.new)
        .collect()
}

/// As [`compare`], where the whole old recipe is known: names the fields.
pub fn explain(old: &Recipe, new: &Recipe) -> Vec<Changed> {
    Ingredient::ALL
        .into_iter()
        .filter(|i| old.fields(*i) != new.fields(*i))
        .map(|i| Changed {
            ingredient: i,
            old: only_in(old.fields(i), new.fields(i)),
            new: only_in(new.fields(i), old.fields(i)),
        })
        .collect()
}

/// The fields of one that the other has not, or has with another value.
fn only_in(one: &Fields, other: &Fields) -> String {
    let differ = one.iter().filter(|(key, value)| other.get(*key) != Some(*value));
    let show = |(key, value): (&String, &String)| match value.as_str() {
        "" => key.clone(),
        value => format!("{key}={}", shortened(value)),
    };
    let shown: Vec<String> = differ.map(show).collect();
    if shown.is_empty() { NONE.into() } else { shown.join(", ") }
}

/// Digests are shown by their first digits.
fn shortened(value: &str) -> String {
    match value.rsplit_once(':').map_or(("", value), |(head, tail)| (head, tail)) {
        (head, digest) if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) => {
            let colon = if head.is_empty() { "" } else { ":" };
            format!("{head}{colon}{}", &digest[..super::SHORT])
        }
        _ => value.to_owned(),
    }
}
