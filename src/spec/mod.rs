//! What `spec.yml` and its includes say, after every check.
//!
//! A `Spec` exists only if the text had no problem; so names are of their
//! grammar, parents exist, there is no cycle, repositories are distinct.
//! Knows nothing of engines and builds nothing.
//!
//! Text becomes a tree with places (`yaml`), the tree is read section by
//! section (`reader` and the modules named after sections), and what only
//! shows in the whole is checked last (`parents`).

pub(crate) mod catalog;
pub(crate) mod edit;
mod entry;
mod fields;
pub(crate) mod files;
mod grammar;
pub(crate) mod graph;
mod images;
pub(crate) mod limits;
mod load;
pub(crate) mod lock_file;
mod packages;
mod parents;
pub(crate) mod paths;
mod projects;
pub(crate) mod reader;
mod sections;
#[cfg(test)]
mod tests;
mod users;
pub(crate) mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

pub(crate) use entry::SpecEntry;
pub(crate) use load::{catalog_file, read};
pub(crate) use reader::nearest;

use catalog::HostArch;
use files::Files;
use lock_file::Stamp;

use crate::host::people::{Caller, NoPeople, People, may_act_for};
use crate::image::packages::{AllowedAddresses, PackageIndex, Packages};
use crate::model::account::Account;
use crate::model::names::{BaseName, ImageName, Login, PlanName, ProjectName};
use crate::model::problem::{Place, Problem};
use crate::model::reference::{Reference, Repository};

/// What reading a spec may ask besides its own text.
pub(crate) struct SpecContext<'a> {
    pub(crate) files: &'a dyn Files,
    /// Asked for logins that `users:` does not have.
    pub(crate) people: &'a dyn People,
    /// The catalogue's architecture class where a base names none.
    pub(crate) arch: &'a HostArch,
}

impl<'a> SpecContext<'a> {
    /// Files alone: nobody is known, and no architecture.
    pub(crate) fn of(files: &'a dyn Files) -> Self {
        Self { files, people: &NoPeople, arch: &catalog::host::NOWHERE }
    }
}

/// A whole spec.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// The folder that paths in the spec are relative to, absolute. For
    /// `--spec images/spec.yml` (the DataHub layout) it is still the folder
    /// that contains `images/`.
    pub(crate) root: PathBuf,
    /// The folder with one folder for each image: `<root>/images`.
    pub(crate) images_dir: PathBuf,
    /// `insecure_registries:` — hosts that are asked over plain HTTP.
    pub(crate) insecure_registries: BTreeSet<String>,
    /// `include:` as written; projects' files are what they name.
    pub(crate) include: Vec<String>,
    /// `tag:`.
    pub(crate) tag: TagRule,
    /// `bases:` in the order of the file.
    pub(crate) bases: Vec<Base>,
    /// `images:` in the order of the file.
    pub(crate) images: Vec<Image>,
    /// `plans:` in the order of the file.
    pub(crate) plans: Vec<PlanVariant>,
    /// The included project files' projects, by file and key.
    pub(crate) projects: Vec<Project>,
    /// `users:`.
    pub(crate) users: BTreeMap<Login, User>,
    /// `administrators:` — groups of the machine whose members may act for others.
    pub(crate) administrators: BTreeSet<String>,
    /// `all_info_cmds:` by name.
    #[expect(dead_code, reason = "read for old stacks; has no effect yet")]
    pub(crate) info_cmds: BTreeMap<String, InfoCommand>,
    /// `limits:`, or the built-in ones.
    pub(crate) limits: limits::Limits,
    /// `build:`.
    pub(crate) build: BuildSettings,
}

/// `registry:` — what shared images' repositories begin with:
/// `host`, `host:port` or either with a path. Not itself a repository, since
/// `localhost:5000` is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registry(String);

impl Registry {
    /// Parses `host[:port][/path]`.
    ///
    /// # Errors
    /// Says which part of the grammar is broken.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let registry = Self(text.to_owned());
        registry.repository("name").map(|_| registry)
    }

    /// The repository of that name in it.
    ///
    /// # Errors
    /// When the name is none of the grammar, or both are too long together.
    pub(crate) fn repository(&self, name: &str) -> Result<Repository, String> {
        Repository::parse(&format!("{}/{name}", self.0))
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `tag: {prefix, stable, refresh}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagRule {
    /// Begins every branch tag: `2026.4` gives `2026.4-main`.
    pub(crate) prefix: String,
    /// The tag that `promote` moves; `stable` if not said.
    pub(crate) stable: String,
    /// `refresh: prefix` — a new prefix asks for fresh packages of every
    /// shared image.
    pub(crate) refresh_by_prefix: bool,
}

/// A root: an image this spec does not build.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) name: BaseName,
    pub(crate) place: Place,
    pub(crate) source: BaseSource,
}

/// Where a base comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BaseSource {
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
    pub(crate) fn reference(&self) -> &Reference {
        match self {
            Self::Image(image) | Self::Catalog { image, .. } => image,
        }
    }
}

/// What an image is built from or based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    Base(BaseName),
    Image(ImageName),
}

/// A shared image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) name: ImageName,
    pub(crate) place: Place,
    /// `image_name:` or `<registry>/<name>` or `ds01/<name>`.
    pub(crate) repository: Repository,
    /// First the one it is built from, then those it copies from. With its place.
    /// Empty: its Dockerfile's FROM says what it is built from.
    pub(crate) parents: Vec<(Parent, Place)>,
    pub(crate) content: Content,
    /// Where its packages were written.
    pub(crate) origins: Origins,
    /// Spec-level build args.
    pub(crate) build_args: BuildArgs,
    /// Old `dbuild_env.<plan>`: args of one plan variant only; they win.
    pub(crate) plan_args: BTreeMap<PlanName, BuildArgs>,
    /// Plans for which this image is left out.
    pub(crate) skip_plans: BTreeSet<PlanName>,
    #[expect(dead_code, reason = "read for old stacks; has no effect yet")]
    pub(crate) info_cmds: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "read for old stacks; has no effect yet"))]
    pub(crate) integration_tests: bool,
    #[cfg_attr(not(test), expect(dead_code, reason = "read for old stacks; has no effect yet"))]
    pub(crate) prune: bool,
    #[cfg_attr(not(test), expect(dead_code, reason = "read for old stacks; has no effect yet"))]
    pub(crate) prepull: bool,
    /// `secrets: [id]` without which it is not built.
    pub(crate) secrets: BTreeSet<String>,
}

/// Build args by their names.
pub(crate) type BuildArgs = BTreeMap<String, BuildArg>;

/// A build arg's value, and where its name stands.
#[derive(Clone, Debug)]
pub(crate) struct BuildArg {
    pub(crate) value: String,
    pub(crate) place: Place,
}

/// Packages, as they stand in [`Packages`], each with where it was written: in
/// the spec, or in a requirements file.
pub(crate) type Origins = Vec<(String, Place)>;

/// How an image's own layers are made.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A Dockerfile and the folder it may copy from.
    Dockerfile(Dockerfile),
    /// Declared packages: exec steps on the parent.
    Packages(Packages),
}

/// Paths are absolute, exist, and lie inside `Spec::root` (checked when the
/// spec is read; symbolic links out of it are refused).
#[derive(Clone, Debug)]
pub(crate) struct Dockerfile {
    /// The Dockerfile; may lie outside the context.
    pub(crate) file: PathBuf,
    /// The context folder.
    pub(crate) context: PathBuf,
    /// `target:` — a stage of the Dockerfile; `None`: the last.
    pub(crate) target: Option<String>,
    /// Place of the key that named it, or of the image.
    pub(crate) place: Place,
}

/// `plans.<name>`.
#[derive(Clone, Debug)]
pub(crate) struct PlanVariant {
    pub(crate) name: PlanName,
    pub(crate) place: Place,
    pub(crate) tag_prefix: String,
    pub(crate) build_args: BuildArgs,
}

/// A person's image.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) name: ProjectName,
    pub(crate) place: Place,
    /// Who it is for, ready to be baked.
    pub(crate) account: Account,
    /// The owner's, where `users:` names one.
    pub(crate) group: Option<String>,
    /// What it is based on, and the plan variant if one was named (`vision@py312`).
    pub(crate) parent: Parent,
    pub(crate) parent_plan: Option<PlanName>,
    /// Always `ds01-<uid>/<project>`.
    pub(crate) repository: Repository,
    /// Below the user layer: declared packages (may be empty) ...
    pub(crate) packages: Packages,
    /// Where these and those of `jupyter:` were written.
    pub(crate) origins: Origins,
    /// ... or the user's own Dockerfile.
    pub(crate) dockerfile: Option<Dockerfile>,
    pub(crate) build_args: BuildArgs,
    /// `jupyter: true`.
    pub(crate) jupyter: bool,
    /// `refreshed:` — when fresh packages were last asked for.
    pub(crate) refreshed: Option<Stamp>,
}

impl Project {
    /// Whether somebody may do this with it: its owner, or an administrator.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_access(&self, caller: &Caller, action: &str) -> Result<(), Problem> {
        let Account { login, uid, .. } = &self.account;
        if may_act_for(caller, *uid) {
            return Ok(());
        }
        let problem = Problem::new(format!("the project belongs to {login} (uid {uid})"));
        Err(problem.help(format!("only its owner or an administrator can {action} it")))
    }
}

/// `users.<login>`, or whom a project names and the user database knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) account: Account,
    /// As their entry names it; `None`: `limits:` says which.
    pub(crate) group: Option<String>,
    pub(crate) place: Place,
}

/// `all_info_cmds.<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InfoCommand {
    pub(crate) description: String,
    pub(crate) command: String,
}

/// `build:`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BuildSettings {
    /// PEM file mounted as secret `ca` into package steps; never in a layer.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Index that pip asks instead of its default.
    pub(crate) pip_index: Option<SiteSource>,
    /// Debian mirror for apt steps.
    pub(crate) apt_mirror: Option<SiteSource>,
    /// Addresses that Python requirements may name.
    pub(crate) allow_urls: AllowedAddresses,
}

/// Where the address of an index or mirror stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SiteSource {
    /// In the spec, and so without credentials.
    Spec(PackageIndex),
    /// `{file: PATH}`: in a file of its own, which is read when something is
    /// built: another machine may only check.
    File(PathBuf),
}
