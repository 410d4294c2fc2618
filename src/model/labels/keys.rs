//! The label schema: every key once, with its type.
//!
//! We write only `ds01.*`; what older systems wrote is read by [`super::read`] and
//! never written. Docker copies an image's labels to its containers, so keys
//! that belong to one container never go onto an image.

use crate::model::digest::is_hex;

/// The namespace of the keys we write.
pub(crate) const NAMESPACE: &str = "ds01.";

/// A declared key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// As the engine has it.
    pub(crate) name: &'static str,
    pub(crate) on: LabelCarrier,
    pub(crate) kind: ValueType,
    pub(crate) required: Required,
    pub(crate) meaning: &'static str,
}

/// What a key is written onto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelCarrier {
    Image,
    Container,
    Both,
}

/// What a value looks like; on the engine each is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
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

impl ValueType {
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
                on: LabelCarrier::$on,
                kind: $kind,
                required: $required,
                meaning: $meaning,
            };
        )*

        /// All keys we write or read, in the order they are shown.
        pub(crate) const SCHEMA: &[Key] = &[$($constant),*];
    };
}

use Required::{No, When, Yes};
use ValueType::{Bool, Choice, Decimal, Integer, Json, List, Path, Sha256, Text, Time};

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

// Keys of older systems, and what each is read as.
// Labels cannot change on a container that exists, so these age out with
// the containers that carry them. Nothing here is ever written.

/// An old key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Legacy {
    pub(crate) name: &'static str,
    /// The key that replaced it.
    pub(crate) read_as: Key,
}

macro_rules! legacy {
    ($($name:literal => $key:ident,)*) => { &[$(Legacy { name: $name, read_as: $key }),*] };
}

/// Old keys; of those read as one key, an earlier one wins.
pub(crate) const LEGACY: &[Legacy] = legacy! {
    "aime.mlc.USER" => USER,
    "aime.mlc" => USER,
    "aime.mlc.username" => USER,
    "aime.mlc.NAME" => NAME,
    "aime.mlc.DS01_CONTAINER" => NAME,
    "aime.mlc.ARCH" => ARCH,
    "aime.mlc.FRAMEWORK" => FRAMEWORK,
    "aime.mlc.DS01_FRAMEWORK" => FRAMEWORK,
    "aime.mlc.GPUS" => GPUS,
    "aime.mlc.WORK_MOUNT" => WORK_MOUNT,
    "aime.mlc.DS01_WORKSPACE" => WORK_MOUNT,
    "aime.mlc.DATA_MOUNT" => DATA_MOUNT,
    "aime.mlc.MODELS_MOUNT" => MODELS_MOUNT,
    "aime.mlc.MLC_VERSION" => MLC_VERSION,
    "aime.mlc.VERSION" => MLC_VERSION,
    "aime.mlc.DS01_MANAGED" => MANAGED,
    "aime.mlc.CUSTOM_IMAGE" => IMAGE,
    "aime.mlc.DS01_IMAGE" => IMAGE,
    "aime.mlc.DS01_PROJECT" => PROJECT,
    "aime.mlc.DS01_HAS_USER_SETUP" => HAS_USER_SETUP,
    "aime.mlc.DS01_USER_ID" => USER_ID,
    "aime.mlc.DS01_GROUP_ID" => GROUP_ID,
    "aime.mlc.DS01_USERNAME" => USERNAME,
    "ds01.gpu.uuid" => GPU_UUIDS,
    "ds01.gpu_slot" => GPU_UUIDS,
    "ds01.gpu.allocated" => GPU_SLOTS,
    "ds01.container_type" => INTERFACE,
    "ds01.created" => CREATED_AT,
    "aime.mlc.DS01_CREATED" => CREATED_AT,
};

/// Whether a key is of an older system, read by us or not.
pub(crate) fn is_old(name: &str) -> bool {
    let namespace = "aime.mlc";
    let inside = name.strip_prefix(namespace).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    inside || LEGACY.iter().any(|old| old.name == name)
}

// Whether a label's value is of its key's type. Says what is wrong, not where.

impl ValueType {
    /// What is wrong with a value, as the end of a sentence about it.
    pub(crate) fn fault(self, value: &str) -> Option<String> {
        let is_wrong = |right: bool, rule: &str| (!right).then(|| rule.to_owned());
        if value.is_empty() {
            return Some("is empty: a key without a value is left out".into());
        }
        match self {
            Self::Text => None,
            Self::Bool => is_wrong(value == "true", "is not `true`: a bool that is not is left out"),
            Self::Integer => is_wrong(digits(value) && value.parse::<u32>().is_ok(), "is no integer"),
            Self::Decimal => is_wrong(is_decimal(value), "is no decimal number"),
            Self::Sha256 => is_wrong(is_hex(value, 64), "is not 64 hexadecimal digits"),
            Self::List => is_wrong(value.split(',').all(is_item), "is no list separated by commas"),
            Self::Path => is_wrong(value.starts_with('/'), "is no absolute path"),
            Self::Time => is_wrong(is_time(value), "is no time of RFC 3339 in UTC"),
            Self::Json => is_wrong(is_json(value), "is no JSON"),
            Self::Choice(words) => {
                is_wrong(words.contains(&value), &format!("is none of {}", words.join(", ")))
            }
        }
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_decimal(value: &str) -> bool {
    let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
    digits(whole) && digits(part)
}

fn is_item(item: &str) -> bool {
    !item.is_empty() && item.trim() == item
}

fn is_time(value: &str) -> bool {
    value.ends_with('Z') && value.parse::<jiff::Timestamp>().is_ok()
}

fn is_json(value: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::labels;
    use std::collections::BTreeSet;

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

    #[test]
    fn no_old_key_is_also_a_new_one() {
        for old in LEGACY {
            assert!(labels::key(old.name).is_none(), "{}", old.name);
            assert!(labels::key(old.read_as.name).is_some(), "{}", old.name);
        }
    }

    #[test]
    fn each_type_takes_its_values_and_no_others() {
        let hex = "ab".repeat(32);
        let upper = hex.to_uppercase();
        let cases: [(ValueType, &[&str], &[&str]); 10] = [
            (ValueType::Bool, &["true"], &["false", "True", "1", "yes", " true", ""]),
            (ValueType::Text, &["x", "ann@x"], &[""]),
            (ValueType::Integer, &["0", "1722830498"], &["-1", "+1", "1.5", "x", "4294967296", ""]),
            (ValueType::Decimal, &["1", "2.142857", "0.5"], &["1.", ".5", "1e3", "-1", "NaN", "1,5", ""]),
            (ValueType::Sha256, &[&hex], &[&upper, "ab", "sha256:ab", ""]),
            (ValueType::List, &["GPU-1", "0,0.1"], &["a,", ",a", "a, b", ""]),
            (ValueType::Path, &["/workspace"], &["work", "~/x", ""]),
            (
                ValueType::Time,
                &["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z"],
                &["2026-01-02T03:04:05+01:00", "2026-01-02", "yesterday", ""],
            ),
            (ValueType::Json, &["{}", r#"{"a":[1]}"#], &["{", "", "x"]),
            (ValueType::Choice(&["api", "docker"]), &["api"], &["API", "compose", ""]),
        ];
        for (kind, right, wrong) in cases {
            for value in right {
                assert_eq!(kind.fault(value), None, "{kind:?}: {value:?}");
            }
            for value in wrong {
                assert!(kind.fault(value).is_some(), "{kind:?}: {value:?}");
            }
        }
    }
}
