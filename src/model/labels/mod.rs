//! The label schema: every key once, with its type.
//!
//! We write only `ds01.*`; what older systems wrote is read by [`read`] and
//! never written. Docker copies an image's labels to its containers, so keys
//! that belong to one container never go onto an image.

pub(crate) mod legacy;
pub(crate) mod read;
pub(crate) mod saved;
pub(crate) mod show;
mod value;
pub(crate) mod write;

pub(crate) use write::{ContainerLabels, ImageLabels};

/// The namespace of the keys we write.
pub(crate) const NAMESPACE: &str = "ds01.";

/// A declared key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// As it stands on the engine.
    pub(crate) name: &'static str,
    pub(crate) on: On,
    pub(crate) kind: Kind,
    pub(crate) required: Required,
    pub(crate) meaning: &'static str,
}

/// What a key is written onto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Image,
    Container,
    Both,
}

/// What a value looks like; on the engine each is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Exactly `true`, or the key is absent.
    Bool,
    Text,
    Integer,
    Decimal,
    /// 64 hexadecimal digits.
    Sha256,
    /// Comma-separated.
    List,
    /// Absolute, on the machine of the engine or in the container.
    Path,
    /// RFC 3339, in UTC.
    Time,
    /// One line of it.
    Json,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Its name in the schema.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Sha256 => "sha256",
            Self::List => "list",
            Self::Path => "path",
            Self::Time => "time",
            Self::Json => "json",
            Self::Choice(_) => "choice",
        }
    }
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Required {
    Yes,
    No,
    /// Only in this case.
    When(&'static str),
}

macro_rules! schema {
    ($($constant:ident = $name:literal, $on:ident, $kind:expr, $required:expr, $meaning:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning, ".")]
            pub(crate) const $constant: Key = Key {
                name: $name,
                on: On::$on,
                kind: $kind,
                required: $required,
                meaning: $meaning,
            };
        )*

        /// All keys we write or read, in the order they are shown.
        pub(crate) const SCHEMA: &[Key] = &[$($constant),*];
    };
}

use Kind::{Bool, Choice, Decimal, Integer, Json, List, Path, Sha256, Text, Time};
use Required::{No, When, Yes};

schema! {
    MANAGED = "ds01.managed", Both, Bool, Yes,
        "made by ds01-build";
    IMAGE = "ds01.image", Both, Text, Yes,
        "on an image its name in the spec, for a plan variant `name@plan`, for a saved container `name@saved`; on a container the ID or the reference with digest it was created from";
    RECIPE = "ds01.build.recipe", Both, Sha256, When("on images that were built, and on their containers"),
        "recipe digest; a container inherits it";
    SCHEME = "ds01.build.scheme", Image, Integer, When("on images that were built"),
        "version of the rule that the recipe digest was made by";
    INGREDIENTS = "ds01.build.ingredients", Image, List, When("on images that were built"),
        "`name=<12 hex>` for each ingredient, so that a changed one can be named";
    RECORD = "ds01.build.record", Image, Json, When("on images that were built"),
        "what the recipe was made of, and the context's files where they fit, so that a change can be shown";
    FRAMEWORK = "ds01.framework", Both, Text, When("from a catalogue base"),
        "framework with its version, `Pytorch-2.8.0-aime`";
    ARCH = "ds01.arch", Both, Text, When("from a catalogue base"),
        "architecture class of the catalogue, `CUDA_ADA`";
    PROJECT = "ds01.project", Both, Text, When("for a project"),
        "project name";
    HAS_USER_SETUP = "ds01.has_user_setup", Image, Bool, When("on user images"),
        "the user layer is in";
    USER_ID = "ds01.user_id", Image, Integer, When("on user images"),
        "uid as baked in";
    GROUP_ID = "ds01.group_id", Image, Integer, When("on user images"),
        "gid as baked in";
    USERNAME = "ds01.username", Image, Text, When("on user images"),
        "account name in the image";
    BASE_NAME = "org.opencontainers.image.base.name", Image, Text, Yes,
        "reference of the image it was built on";
    BASE_DIGEST = "org.opencontainers.image.base.digest", Image, Text, Yes,
        "digest of the image it was built on";
    TITLE = "org.opencontainers.image.title", Image, Text, Yes,
        "name for people";
    USER = "ds01.user", Container, Text, Yes,
        "login of the owner as it is";
    GROUP = "ds01.group", Container, Text, Yes,
        "group whose limits apply";
    INTERFACE = "ds01.interface", Container, Choice(INTERFACES), Yes,
        "how it came to be";
    NAME = "ds01.name", Container, Text, Yes,
        "short name, without `._.<uid>`";
    CREATED_AT = "ds01.created_at", Container, Time, Yes,
        "when it was created, as RFC 3339 in UTC";
    SLICE = "ds01.slice", Container, Text, When("with a systemd cgroup driver"),
        "cgroup parent";
    WORK_MOUNT = "ds01.work_mount", Container, Path, When("where mounted"),
        "folder of the host behind `/workspace`";
    DATA_MOUNT = "ds01.data_mount", Container, Path, When("where mounted"),
        "folder of the host behind `/data`";
    MODELS_MOUNT = "ds01.models_mount", Container, Path, When("where mounted"),
        "folder of the host behind `/models`";
    GPUS = "ds01.gpus", Container, Text, Yes,
        "GPUs as asked for: `0`, `2`, `1g.10gb`";
    GPU_UUIDS = "ds01.gpu.uuids", Container, List, When("with GPUs"),
        "`GPU-…` or `MIG-…`, in the order given";
    GPU_SLOTS = "ds01.gpu.slots", Container, List, When("with GPUs"),
        "`0`, or `0.1` for a MIG instance";
    GPU_EQUIVALENTS = "ds01.gpu.equivalents", Container, Decimal, When("with GPUs"),
        "1 for a full GPU, n/7 for a MIG slice";
    PROTECTED = "ds01.protected", Container, Bool, No,
        "no command stops or removes it without `--force` by an administrator";
    WORKSPACE_FOLDER = "devcontainer.workspaceFolder", Container, Path, Yes,
        "where an editor opens the container";
    MLC_VERSION = "ds01.mlc_version", Container, Text, No,
        "version of the AIME tool that made an old container; read, never written";
}

/// Values of [`INTERFACE`].
pub(crate) const INTERFACES: &[&str] =
    &["orchestration", "atomic", "api", "devcontainer", "compose", "docker", "unknown"];

/// The declared key of this name.
pub(crate) fn key(name: &str) -> Option<&'static Key> {
    SCHEMA.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_declared_once_and_of_the_grammar() {
        let names: BTreeSet<_> = SCHEMA.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), SCHEMA.len());
        for name in names.iter().filter(|name| name.starts_with(NAMESPACE)) {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_' || b.is_ascii_digit())
            );
        }
    }

    #[test]
    fn the_schema_keeps_its_keys_and_types() {
        let table: String = SCHEMA
            .iter()
            .map(|key| format!("{} | {:?} | {:?} | {:?}\n", key.name, key.on, key.kind, key.required))
            .collect();
        insta::assert_snapshot!(table);
    }
}
