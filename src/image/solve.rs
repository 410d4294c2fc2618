//! What one solve is asked to make, in our own words.
//!
//! A value of this module is complete: the engine side adds no decision of
//! its own, the fake engine interprets the same value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::secret::Secret;
use crate::dockerfile::context::{Context, Tree};
use crate::model::account::Account;
use crate::model::names::NodeName;
use crate::model::problem::Place;
use crate::model::reference::Reference;

/// One image to make.
#[derive(Clone, Debug)]
pub(crate) struct Solve {
    /// For events and logs.
    pub(crate) node: NodeName,
    /// What the first own layer is based on.
    pub(crate) start: Start,
    /// Exec steps on top of it, in order (declared packages).
    pub(crate) steps: Vec<ExecStep>,
    /// The account to bake in as the last layer.
    pub(crate) user: Option<Account>,
    /// Brings sudo: run right below the account if that is to have sudo and
    /// what it is added to has none. `None`: it must be there.
    pub(crate) sudo: Option<ExecStep>,
    /// Changes to the image config.
    pub(crate) config: ConfigChange,
    /// Secrets that steps may mount, by id. Values never leave the session.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Proxy variables for the build, which stay out of the image.
    pub(crate) proxy: BTreeMap<String, String>,
    /// Solve every step anew.
    pub(crate) no_cache: bool,
    /// Images in registries whose cache may save steps, best first. One that
    /// is not there is passed over.
    pub(crate) cache_from: Vec<Reference>,
    /// Write into the image which steps made it, so that others can import it.
    /// That holds times: such an image has another ID each day.
    pub(crate) inline_cache: bool,
}

/// What an image is made from.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// An image as it is; resolved from the engine's store first.
    Image(Reference),
    /// A Dockerfile, run by the engine's `dockerfile.v0`.
    Dockerfile(DockerfileBuild),
}

/// A Dockerfile build.
#[derive(Clone, Debug)]
pub(crate) struct DockerfileBuild {
    /// The Dockerfile's text, with digests behind the images that it names;
    /// the recipe counts what is on disk.
    pub(crate) dockerfile: Arc<str>,
    /// Its path as people know it, for messages.
    pub(crate) path: PathBuf,
    /// The files it may read; shared by all images with the same context.
    pub(crate) context: Arc<Context>,
    /// The same folder as it was hashed: this is what BuildKit gets.
    pub(crate) files: Arc<Tree>,
    /// Stage to build; `None`: the last.
    pub(crate) target: Option<String>,
    /// Build args as sent: the declared ones, with BASE_IMAGE and its kin.
    pub(crate) args: BTreeMap<String, String>,
}

/// One process run in the image under construction, as root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecStep {
    /// Shown to people: `pip install timm`.
    pub(crate) title: String,
    /// The argument vector; no shell.
    pub(crate) argv: Vec<String>,
    /// Environment of this step alone; it stays out of the image.
    pub(crate) env: BTreeMap<String, String>,
    /// Folders kept from build to build: mount point → cache id.
    pub(crate) caches: BTreeMap<String, String>,
    /// Secrets as files: mount point → id. Missing ones are an error.
    pub(crate) secrets: BTreeMap<String, String>,
    /// Folders that are empty tmpfs during the step and absent from the layer.
    pub(crate) tmpfs: BTreeSet<String>,
    /// Small files that exist during the step only: path → content.
    pub(crate) files: BTreeMap<String, String>,
    /// What it is to install, and where people wrote that; says which
    /// line is to blame when it fails, and decides nothing.
    pub(crate) origins: Vec<(String, Place)>,
}

/// What is changed in the config that the start brings along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigChange {
    /// In place of what the start says of containers made from it: the whole
    /// `config` object of an OCI image configuration. The rest changes this.
    pub(crate) instead: Option<serde_json::Map<String, serde_json::Value>>,
    /// Labels to set. Every inherited `ds01.*` label is dropped first.
    pub(crate) labels: BTreeMap<String, String>,
    /// Inherited labels to drop besides.
    pub(crate) drop_labels: BTreeSet<String>,
    /// Variables to set; others stay.
    pub(crate) env: BTreeMap<String, String>,
    /// Folders to put at the head of PATH, first one first.
    pub(crate) path_first: Vec<String>,
    /// `User`, as `uid:gid` or a name.
    pub(crate) user: Option<String>,
    /// `WorkingDir`.
    pub(crate) workdir: Option<String>,
}
