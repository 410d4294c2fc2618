//! A recipe as it is written down beside an image: what a later run explains
//! its changes by.
//!
//! Digests are cut to what is shown and values of secrets are masked, so a
//! recipe cannot be had back from it, nor its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};

use super::credential::{self, has_credential};
use super::{Digest, Fields, Ingredient, Recipe};
use crate::dockerfile::context::Listing;
use crate::model::digest::short;

/// The fields of a recipe. An ingredient without fields is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecipeRecord {
    fields: BTreeMap<String, Fields>,
    /// Ingredients that were too large to be written.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    left_out: BTreeSet<String>,
}

/// The label's JSON.
#[derive(Serialize, Deserialize)]
struct Label {
    recipe: RecipeRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Listing>,
}

impl RecipeRecord {
    /// Longest value of `ds01.build.record`, in bytes. An engine's list of
    /// images carries the labels of all of them.
    pub(crate) const MOST: usize = 4096;

    /// All that may be written of a recipe.
    pub(crate) fn of(recipe: &Recipe) -> Self {
        let named = Ingredient::ALL.iter().map(|i| (i.name().to_owned(), shown_fields(recipe, *i)));
        Self { fields: named.filter(|(_, fields)| !fields.is_empty()).collect(), left_out: BTreeSet::new() }
    }

    /// The fields of an ingredient; `None`: they were not written.
    pub(crate) fn fields(&self, ingredient: Ingredient) -> Option<&Fields> {
        static NONE: Fields = Fields::new();
        let name = ingredient.name();
        if self.left_out.contains(name) { None } else { Some(self.fields.get(name).unwrap_or(&NONE)) }
    }

    /// Says what an ingredient was that was left out, because it is known
    /// from elsewhere.
    pub(crate) fn supply(&mut self, ingredient: Ingredient, fields: Fields) {
        self.left_out.remove(ingredient.name());
        self.fields.insert(ingredient.name().to_owned(), fields);
    }

    /// The value of `ds01.build.record`, the same for the same input: with the
    /// files if all of it fits, else without what is largest. Labels are
    /// always left out: the image has them itself.
    pub(crate) fn to_label(&self, files: Option<&Listing>) -> String {
        let mut label = Label { files: files.cloned(), recipe: self.clone() };
        label.recipe.leave_out(Ingredient::Labels.name());
        let mut text = json(&label);
        if text.len() > Self::MOST {
            label.files = None;
            text = json(&label);
        }
        while text.len() > Self::MOST {
            let size = |fields: &Fields| fields.iter().map(|(k, v)| k.len() + v.len() + 6).sum::<usize>();
            let Some((largest, _)) = label.recipe.fields.iter().max_by_key(|(_, fields)| size(fields)) else {
                break;
            };
            let largest = largest.clone();
            label.recipe.leave_out(&largest);
            text = json(&label);
        }
        text
    }

    /// Reads what [`RecipeRecord::to_label`] wrote; `None`: it is something else.
    pub(crate) fn from_label(text: &str) -> Option<(Self, Option<Listing>)> {
        let label: Label = serde_json::from_str(text).ok()?;
        Some((label.recipe, label.files))
    }

    fn leave_out(&mut self, ingredient: &str) {
        self.fields.remove(ingredient);
        self.left_out.insert(ingredient.to_owned());
    }
}

fn json(label: &Label) -> String {
    serde_json::to_string(label).expect("text becomes JSON")
}

/// The fields of an ingredient as they may be written and shown.
pub(super) fn shown_fields(recipe: &Recipe, ingredient: Ingredient) -> Fields {
    let value = |key: &str, value: &str| match ingredient {
        Ingredient::Args => masked(key, value),
        _ => shortened(value),
    };
    recipe.fields(ingredient).iter().map(|(k, v)| (k.clone(), value(k, v))).collect()
}

/// Digests are cut to their first digits.
fn shortened(value: &str) -> String {
    let (head, digest) = value.split_at(value.rfind(':').map_or(0, |colon| colon + 1));
    if digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        format!("{head}{}", short(digest))
    } else {
        value.to_owned()
    }
}

// Values that look secret, by the name they have or by their form. The recipe digest counts the value itself; whatever
// is written down or shown has a digest in its place.

/// Anywhere in a name.
const WORDS: [&str; 5] = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL"];

/// `NAME=value`, quoted or not.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z_][A-Za-z0-9_.-]*)=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']+)"#).expect("a constant")
});

/// `ENV NAME value`, the old form.
static OLD_ENV: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)^(\s*ENV\s+([A-Za-z_][A-Za-z0-9_]*)\s+)(.+)$").expect("a constant"));

/// Whether a name says that its value is secret. Hugging Face's tokenizers
/// are none; a key may be `API_KEY` or `APIKEY`, but no `KEYBOARD`.
fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace("TOKENIZ", "");
    let key = |part: &str| part.ends_with("KEY") || part.ends_with("KEYS");
    WORDS.iter().any(|word| name.contains(word)) || name.split(|c: char| !c.is_ascii_alphanumeric()).any(key)
}

/// What is shown of the value under this name.
pub(crate) fn masked(name: &str, value: &str) -> String {
    if is_secret(name, value) { secret_digest(value) } else { value.to_owned() }
}

/// Whether a value is secret, by its name or by its form.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    looks_secret(name) || has_credential(value)
}

/// What earlier versions wrote down of args, whose values they knew as secret
/// by name only.
pub(super) fn masked_by_form(args: &Fields) -> Fields {
    let value = |value: &String| if has_credential(value) { secret_digest(value) } else { value.clone() };
    args.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

fn secret_digest(value: &str) -> String {
    format!("sha256:{}", Digest::of(value.as_bytes()).short())
}

/// A Dockerfile's text with the values masked that it sets under such names,
/// and with credentials masked wherever they stand.
pub(crate) fn masked_text(text: &str) -> String {
    let lines = text.lines().map(masked_line);
    let mut masked = lines.collect::<Vec<_>>().join("\n");
    if text.ends_with('\n') {
        masked.push('\n');
    }
    credential::replace(&masked, secret_digest)
}

fn masked_line(line: &str) -> String {
    let masked = |name: &str, value: &str| match looks_secret(name) {
        true => secret_digest(value),
        // A credential in it is replaced alone.
        false => value.to_owned(),
    };
    if let Some(parts) = OLD_ENV.captures(line)
        && !parts[3].contains('=')
    {
        return format!("{}{}", &parts[1], masked(&parts[2], &parts[3]));
    }
    let replaced = ASSIGNED
        .replace_all(line, |parts: &Captures<'_>| format!("{}={}", &parts[1], masked(&parts[1], &parts[2])));
    replaced.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "TOKEN",
            "hf_token",
            "GitHubToken",
            "DB_PASSWORD",
            "dbpasswd",
            "CLIENT_SECRETS",
            "MY_CREDENTIALS",
            "API_KEY",
            "apikey",
            "SSH_KEYS",
            "KEY",
            "SIGNING-KEY-ID",
            "KEY_FILE",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["PANDAS_VERSION", "KEYBOARD", "KEYRING_VERSION", "TOKENIZERS_VERSION", "PATH", ""] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn a_dockerfile_keeps_everything_but_values_of_secrets() {
        let text = "ARG API_TOKEN=hunter2\nENV DB_PASSWORD hunter2 x\nENV A=1 MY_KEY=\"hunter2 b\" B=2\nRUN TOKEN='hunter2' ./x\n";
        let masked = masked_text(text);
        assert!(!masked.contains("hunter2"), "{masked}");
        assert!(masked.contains("ENV A=1 MY_KEY=sha256:") && masked.contains(" B=2\n"), "{masked}");
        let url = masked_text("RUN pip -i https://ann:hunter2@host/simple x\n");
        assert!(url.starts_with("RUN pip -i https://sha256:") && url.ends_with("@host/simple x\n"), "{url}");
        let plain = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nENV A 1\nRUN make X=1\n";
        assert_eq!(masked_text(plain), plain);
    }
}
