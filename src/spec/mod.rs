//! What `spec.yml` and its includes say, after every check.
//!
//! A `Spec` exists only if the text had no problem; so names are of their
//! grammar, parents exist, there is no cycle, repositories are distinct.
//! Knows nothing of engines and builds nothing.
//!
//! Text becomes a tree with places (`yaml`), the tree is read section by
//! section (`reader` and the modules named after sections), and what only
//! shows in the whole is checked last (`parents`).

mod args;
mod bases;
pub mod catalog;
mod datahub;
pub mod edit;
pub mod files;
pub mod graph;
mod images;
mod include;
pub mod limits;
mod names;
pub mod overlay;
mod packages;
mod parents;
mod paths;
mod people;
pub mod pins;
pub mod placing;
mod projects;
mod read;
pub(crate) mod reader;
mod requirements;
mod sections;
pub mod subject;
#[cfg(test)]
mod tests;
mod users;
mod world;
pub(crate) mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

pub use read::{catalog_file, read};
pub(crate) use reader::nearest;
pub use world::World;

use crate::image::packages::{Allowed, Packages, Site};
use crate::model::account::Account;
use crate::model::names::{BaseName, ImageName, Login, PlanName, ProjectName};
use crate::model::problem::Place;
use crate::model::reference::{Reference, Repository};

/// A whole spec.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The folder that paths in the spec are relative to, absolute. For
    /// `--spec images/spec.yml` (the DataHub layout) it is still the folder
    /// that contains `images/`.
    pub root: PathBuf,
    /// The folder with one folder for each image: `<root>/images`.
    pub images_dir: PathBuf,
    /// `registry:` — where shared images' repositories lie; `None`: local.
    pub registry: Option<Registry>,
    /// `insecure_registries:` — hosts that are asked over plain HTTP.
    pub insecure_registries: BTreeSet<String>,
    /// `include:` as written; projects' files are what they name.
    pub include: Vec<String>,
    /// `tag:`.
    pub tag: TagRule,
    /// `bases:` in the order of the file.
    pub bases: Vec<Base>,
    /// `images:` in the order of the file.
    pub images: Vec<Image>,
    /// `plans:` in the order of the file.
    pub plans: Vec<PlanVariant>,
    /// The included project files' projects, by file and key.
    pub projects: Vec<Project>,
    /// `users:`.
    pub users: BTreeMap<Login, User>,
    /// `administrators:` — groups of the machine whose members may act for others.
    pub administrators: BTreeSet<String>,
    /// `all_info_cmds:` by name.
    pub info_cmds: BTreeMap<String, InfoCommand>,
    /// `limits:`, or the built-in ones.
    pub limits: limits::Limits,
    /// `build:`.
    pub build: BuildSettings,
}

/// `registry:` — what shared images' repositories begin with:
/// `host`, `host:port` or either with a path. Not itself a repository, since
/// `localhost:5000` is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry(String);

impl Registry {
    /// Parses `host[:port][/path]`.
    ///
    /// # Errors
    /// Says which part of the grammar is broken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let registry = Self(text.to_owned());
        registry.repository("name").map(|_| registry)
    }

    /// The repository of that name in it.
    ///
    /// # Errors
    /// When the name is none of the grammar, or both are too long together.
    pub fn repository(&self, name: &str) -> Result<Repository, String> {
        Repository::parse(&format!("{}/{name}", self.0))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `tag: {prefix, stable}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    /// Begins every branch tag: `2026.4` gives `2026.4-main`.
    pub prefix: String,
    /// The tag that `promote` moves; `stable` if not said.
    pub stable: String,
}

/// A root: an image this spec does not build.
#[derive(Clone, Debug)]
pub struct Base {
    pub name: BaseName,
    pub place: Place,
    pub source: BaseSource,
}

/// Where a base comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseSource {
    /// `image: REF`.
    Image(Reference),
    /// `catalog: {framework, version, arch}`, looked up in the catalogue; all
    /// as the catalogue writes it.
    Catalog {
        framework: String,
        /// The row's own, also where the spec says `latest`.
        version: String,
        /// The spec's, else the machine's.
        arch: String,
        /// What the catalogue says it is.
        image: Reference,
    },
}

impl BaseSource {
    /// The image to build on.
    pub fn reference(&self) -> &Reference {
        match self {
            Self::Image(image) | Self::Catalog { image, .. } => image,
        }
    }
}

/// What an image is built from or stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    Base(BaseName),
    Image(ImageName),
}

/// A shared image.
#[derive(Clone, Debug)]
pub struct Image {
    pub name: ImageName,
    pub place: Place,
    /// `image_name:` or `<registry>/<name>` or `ds01/<name>`.
    pub repository: Repository,
    /// First the one it is built from, then those it copies from. With its place.
    /// Empty: its Dockerfile's FROM says what it is built from.
    pub parents: Vec<(Parent, Place)>,
    pub content: Content,
    /// Where its packages were written.
    pub origins: Origins,
    /// Spec-level build args.
    pub build_args: BTreeMap<String, String>,
    /// Old `dbuild_env.<plan>`: args of one plan variant only; they win.
    pub plan_args: BTreeMap<PlanName, BTreeMap<String, String>>,
    /// Plans for which this image is left out.
    pub skip_plans: BTreeSet<PlanName>,
    pub info_cmds: Vec<String>,
    pub integration_tests: bool,
    pub prune: bool,
    pub prepull: bool,
    /// `secrets: [id]` without which it is not built.
    pub secrets: BTreeSet<String>,
}

/// Packages, as they stand in [`Packages`], each with where it was written: in
/// the spec, or in a requirements file.
pub type Origins = Vec<(String, Place)>;

/// How an image's own layers are made.
#[derive(Clone, Debug)]
pub enum Content {
    /// A Dockerfile and the folder it may copy from.
    Dockerfile(Dockerfile),
    /// Declared packages: exec steps on the parent.
    Packages(Packages),
}

/// Paths are absolute, exist, and lie inside `Spec::root` (checked when the
/// spec is read; symbolic links out of it are refused).
#[derive(Clone, Debug)]
pub struct Dockerfile {
    /// The Dockerfile; may lie outside the context.
    pub file: PathBuf,
    /// The context folder.
    pub context: PathBuf,
    /// `target:` — a stage of the Dockerfile; `None`: the last.
    pub target: Option<String>,
    /// Place of the key that named it, or of the image.
    pub place: Place,
}

/// `plans.<name>`.
#[derive(Clone, Debug)]
pub struct PlanVariant {
    pub name: PlanName,
    pub place: Place,
    pub tag_prefix: String,
    pub build_args: BTreeMap<String, String>,
}

/// A person's image.
#[derive(Clone, Debug)]
pub struct Project {
    pub name: ProjectName,
    pub place: Place,
    /// Who it is for, ready to be baked.
    pub account: Account,
    /// The owner's, where `users:` names one.
    pub group: Option<String>,
    /// What it stands on, and the plan variant if one was named (`vision@py312`).
    pub parent: Parent,
    pub parent_plan: Option<PlanName>,
    pub parent_place: Place,
    /// Always `ds01-<uid>/<project>`.
    pub repository: Repository,
    /// Below the user layer: declared packages (may be empty) ...
    pub packages: Packages,
    /// Where these and those of `jupyter:` were written.
    pub origins: Origins,
    /// ... or the user's own Dockerfile.
    pub dockerfile: Option<Dockerfile>,
    pub build_args: BTreeMap<String, String>,
    /// `jupyter: true`.
    pub jupyter: bool,
}

/// `users.<login>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub login: Login,
    pub uid: u32,
    pub gid: u32,
    /// As their entry names it; `None`: `limits:` says which.
    pub group: Option<String>,
    pub sudo: bool,
    pub shell: Option<String>,
    pub place: Place,
}

/// `all_info_cmds.<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoCommand {
    pub description: String,
    pub command: String,
}

/// `build:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildSettings {
    /// PEM file mounted as secret `ca` into package steps; never in a layer.
    pub ca_bundle: Option<PathBuf>,
    /// Index that pip asks instead of its default.
    pub pip_index: Option<SiteSource>,
    /// Debian mirror for apt steps.
    pub apt_mirror: Option<SiteSource>,
    /// Addresses that Python requirements may name.
    pub allow_urls: Allowed,
}

/// Where the address of an index or mirror stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteSource {
    /// In the spec, and so without credentials.
    Spec(Site),
    /// `{file: PATH}`: in a file of its own, which is read when something is
    /// built: another machine may only check.
    File(PathBuf),
}
