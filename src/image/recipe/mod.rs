//! What decides that an image is up to date.
//!
//! A recipe is named ingredients, each a sorted list of fields. The hash is made
//! from those fields and a change is explained by them, so the two cannot drift
//! apart. Reads nothing: everything is handed in as plain data.

mod changes;
mod credential;
mod record;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use changes::{Detail, IngredientChange, IngredientDigests, NextBuild, PreviousBuild, compare};
pub(crate) use credential::has_credential;
pub(crate) use record::{RecipeRecord, is_secret, masked, masked_text};

use crate::image::packages::Packages;
use crate::model::account::Account;
use crate::model::digest::{Digest, FramedHash};
use crate::model::names::ImageId;

/// Version of the rules in this module. Raising it rebuilds every image.
pub(crate) const SCHEME: u32 = 1;

/// A named part of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ingredient {
    Dockerfile,
    Context,
    Args,
    Base,
    Packages,
    User,
    Labels,
    Platform,
    Secrets,
    /// Only in recipes that have a stamp, so that all others stay as they are.
    Refreshed,
}

impl Ingredient {
    /// All of them in the order in which they are hashed.
    pub(crate) const ALL: [Self; 10] = [
        Self::Dockerfile,
        Self::Context,
        Self::Args,
        Self::Base,
        Self::Packages,
        Self::User,
        Self::Labels,
        Self::Platform,
        Self::Secrets,
        Self::Refreshed,
    ];

    /// As it stands in labels and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dockerfile => "dockerfile",
            Self::Context => "context",
            Self::Args => "args",
            Self::Base => "base",
            Self::Packages => "packages",
            Self::User => "user",
            Self::Labels => "labels",
            Self::Platform => "platform",
            Self::Secrets => "secrets",
            Self::Refreshed => "refreshed",
        }
    }
}

impl std::fmt::Display for Ingredient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A Dockerfile, as far as it is not in the other ingredients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DockerfilePart<'a> {
    /// All of its bytes.
    pub(crate) bytes: &'a [u8],
    /// The stage that was asked for; `None`: the last.
    pub(crate) target: Option<&'a str>,
    /// The front end of a `# syntax=` line.
    pub(crate) syntax: Option<&'a str>,
}

/// What an image that we build on is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BaseIdentity {
    /// A parent in the same spec.
    ParentRecipe(Digest),
    /// An external image, pinned: `sha256:<64 hex>`.
    ManifestDigest(String),
    /// An image that exists in the local engine only.
    LocalImageId(ImageId),
}

impl BaseIdentity {
    fn text(&self) -> String {
        match self {
            Self::ParentRecipe(digest) => format!("recipe:{digest}"),
            Self::ManifestDigest(digest) => format!("manifest:{digest}"),
            Self::LocalImageId(id) => format!("image:{id}"),
        }
    }
}

/// The account of a user layer, with the version of the rule that bakes it in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserPart<'a> {
    pub(crate) account: &'a Account,
    pub(crate) rule: u32,
}

/// Declared packages, with the version of the rule that makes steps of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackagesPart<'a> {
    pub(crate) packages: &'a Packages,
    pub(crate) rule: u32,
}

/// When fresh packages were asked for: an input, and no time of a build.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RefreshPart<'a> {
    /// The image's own stamp.
    pub(crate) stamp: Option<&'a str>,
    /// The prefix of branch tags, where a new one asks for fresh packages.
    pub(crate) tag_prefix: Option<&'a str>,
}

/// Everything that decides an image's content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) dockerfile: Option<DockerfilePart<'a>>,
    /// [`digest_of`](crate::dockerfile::context::digest_of) what this image can read.
    pub(crate) context: Option<&'a Digest>,
    /// Build args of plan and spec. Those of
    /// [`base_args`](crate::dockerfile::base_args) stay out: they change with
    /// the base, and the base is an ingredient of its own.
    pub(crate) args: &'a BTreeMap<String, String>,
    /// Names of the ARG instructions that count; other args have no effect.
    pub(crate) declared_args: &'a BTreeSet<String>,
    /// By the way it comes in: `BASE_IMAGE` for the first parent, the name of
    /// its arg for a further one, the reference for any other image.
    pub(crate) bases: &'a BTreeMap<String, BaseIdentity>,
    /// `None`, or nothing declared: no ingredient, whatever the rule's version.
    pub(crate) packages: Option<PackagesPart<'a>>,
    pub(crate) user: Option<UserPart<'a>>,
    /// Those written into the image. Labels that only repeat another
    /// ingredient (`ds01.build.*`, `org.opencontainers.image.base.*`) may be
    /// among them; they do not count.
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// OCI platform, e.g. `linux/amd64`.
    pub(crate) platform: &'a str,
    /// Ids of secrets that steps mount. Never their values.
    pub(crate) secrets: &'a BTreeSet<String>,
    pub(crate) refresh: RefreshPart<'a>,
}

/// Fields of one ingredient: what is hashed and what is shown.
pub(crate) type Fields = BTreeMap<String, String>;

/// The field of an image's own stamp.
const STAMP: &str = "stamp";

static NO_FIELDS: Fields = Fields::new();

/// A whole recipe. It holds values of secrets, so it cannot be written
/// anywhere: [`RecipeRecord`] can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    ingredients: BTreeMap<Ingredient, Fields>,
    /// Made once: a plan asks for it many times.
    digest: Digest,
}

impl Recipe {
    /// Writes down what decides the image's content.
    pub(crate) fn new(parts: &Parts<'_>) -> Self {
        let fields = |ingredient| match ingredient {
            Ingredient::Dockerfile => parts.dockerfile.as_ref().map(dockerfile).unwrap_or_default(),
            Ingredient::Context => parts.context.map(|tree| field("tree", tree)).unwrap_or_default(),
            Ingredient::Args => args(parts.args, parts.declared_args),
            Ingredient::Base => parts.bases.iter().map(|(k, v)| (k.clone(), v.text())).collect(),
            Ingredient::Packages => parts.packages.map(packages).unwrap_or_default(),
            Ingredient::User => parts.user.map(user).unwrap_or_default(),
            Ingredient::Labels => labels(parts.labels),
            Ingredient::Platform => field("platform", parts.platform),
            Ingredient::Secrets => parts.secrets.iter().map(|id| (id.clone(), String::new())).collect(),
            Ingredient::Refreshed => refreshed(parts.refresh),
        };
        let counts = |(i, fields): &(Ingredient, Fields)| *i != Ingredient::Refreshed || !fields.is_empty();
        let ingredients = Ingredient::ALL.into_iter().map(|i| (i, fields(i))).filter(counts).collect();
        Self { digest: whole(&ingredients), ingredients }
    }

    /// The recipe digest: the value of `ds01.build.recipe`.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The first 16 digits of the digest, for the content tag `r-<short>`.
    #[cfg(test)]
    pub(crate) fn short(&self) -> String {
        self.digest().first(16).to_owned()
    }

    /// The fields of one ingredient, as they are hashed.
    pub(crate) fn fields(&self, ingredient: Ingredient) -> &Fields {
        self.ingredients.get(&ingredient).unwrap_or(&NO_FIELDS)
    }

    /// Whether fresh packages were asked for of this very image.
    pub(crate) fn is_refreshed(&self) -> bool {
        !self.fields(Ingredient::Refreshed).is_empty()
    }

    /// A text without the values of args that look secret, and of secrets
    /// that are set in it.
    pub(crate) fn without_secrets(&self, text: &str) -> String {
        let args = self.fields(Ingredient::Args).iter();
        let secret = args.filter(|(name, value)| is_secret(name, value) && !value.is_empty());
        let known =
            secret.fold(text.to_owned(), |text, (name, value)| text.replace(value, &masked(name, value)));
        masked_text(&known)
    }

    /// Each ingredient's short digest, as recorded on the image.
    pub(crate) fn ingredient_digests(&self) -> IngredientDigests {
        let short = |(i, f): (&Ingredient, &Fields)| (i.name().to_owned(), digest(*i, f).short().to_owned());
        IngredientDigests::new(self.ingredients.iter().map(short).collect())
    }

    /// The value of `ds01.build.ingredients`: `dockerfile=<12 hex>,context=…`.
    pub(crate) fn ingredients_label(&self) -> String {
        let ingredient_digests = self.ingredient_digests();
        let pairs =
            Ingredient::ALL.iter().filter_map(|i| Some(format!("{i}={}", ingredient_digests.get(i.name())?)));
        pairs.collect::<Vec<_>>().join(",")
    }
}

fn whole(ingredients: &BTreeMap<Ingredient, Fields>) -> Digest {
    let mut hash = FramedHash::new("recipe");
    hash.text(&SCHEME.to_string());
    for (ingredient, fields) in ingredients {
        hash.text(ingredient.name()).text(digest(*ingredient, fields).as_str());
    }
    hash.finish()
}

fn digest(ingredient: Ingredient, fields: &Fields) -> Digest {
    let mut hash = FramedHash::new("ingredient");
    hash.text(ingredient.name());
    for (key, value) in fields {
        hash.text(key).text(value);
    }
    hash.finish()
}

fn field(key: &str, value: impl ToString) -> Fields {
    [(key.to_owned(), value.to_string())].into()
}

fn dockerfile(part: &DockerfilePart<'_>) -> Fields {
    let mut fields = field("content", Digest::of(part.bytes));
    fields.extend(part.target.map(|target| ("target".to_owned(), target.to_owned())));
    fields.extend(part.syntax.map(|syntax| ("syntax".to_owned(), syntax.to_owned())));
    fields
}

fn args(args: &BTreeMap<String, String>, declared: &BTreeSet<String>) -> Fields {
    args.iter().filter(|(k, _)| declared.contains(*k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn packages(part: PackagesPart<'_>) -> Fields {
    // Written out, so that a field added there cannot be forgotten here.
    let Packages { apt, pip, constraints } = part.packages;
    if apt.is_empty() && pip.is_empty() {
        return Fields::new();
    }
    let mut fields = field("rule", part.rule);
    fields.extend(apt.iter().map(|name| (format!("apt {name}"), String::new())));
    fields.extend(pip.iter().map(|name| (format!("pip {name}"), String::new())));
    fields.extend(constraints.iter().map(|name| (format!("constraint {name}"), String::new())));
    fields
}

fn user(part: UserPart<'_>) -> Fields {
    let Account { login, name, uid, gid, shell, sudo, jupyter } = part.account;
    let pairs = [
        ("login", login.to_string()),
        ("name", name.clone()),
        ("uid", uid.to_string()),
        ("gid", gid.to_string()),
        ("shell", shell.clone()),
        ("sudo", sudo.to_string()),
        ("rule", part.rule.to_string()),
    ];
    let kernel = jupyter.iter().map(|project| ("jupyter", project.to_string()));
    pairs.into_iter().chain(kernel).map(|(key, value)| (key.to_owned(), value)).collect()
}

fn refreshed(part: RefreshPart<'_>) -> Fields {
    let fields = [(STAMP, part.stamp), ("tag.prefix", part.tag_prefix)];
    fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect()
}

fn labels(labels: &BTreeMap<String, String>) -> Fields {
    labels.iter().filter(|(k, _)| counts(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Whether a label is an ingredient, and does not only repeat another.
pub(crate) fn counts(label: &str) -> bool {
    let repeats = ["ds01.build.", "org.opencontainers.image.base."];
    !repeats.iter().any(|prefix| label.starts_with(prefix))
}

#[cfg(test)]
mod tests;
