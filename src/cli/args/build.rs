//! What `plan` and `build` take.

use std::path::PathBuf;

use clap::Args;

use super::key_value;

/// What is selected, shared by `plan` and `build`.
#[derive(Debug, Default, Args)]
pub(crate) struct Selection {
    /// Images, with what they are based on [default: all]
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Build this image and what is based on it again, from the engine's cache where it can; may be given several times
    #[arg(long, value_name = "IMAGE")]
    pub(crate) force: Vec<String>,
    /// Build everything that is selected again
    #[arg(long)]
    pub(crate) force_all: bool,
    /// Only what differs from this revision of git, uncommitted files included, with what stands
    /// on it; where images are named, those among them
    #[arg(long, value_name = "REV")]
    pub(crate) since: Option<String>,
    /// Name branch tags after this branch [default: DS01_BRANCH, or the branch git or CI is on]
    #[arg(long, value_name = "NAME", env = "DS01_BRANCH", hide_env = true)]
    pub(crate) branch: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Ask registries whether bases have moved on since they were pinned, and say what a move would rebuild
    #[arg(long)]
    pub(crate) check_bases: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Build at most this many images at once [default: as many as there are cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) jobs: Option<u16>,
    /// Stop everything at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Send what is done to its registry: each image as soon as it is built, branch tags when every
    /// selected image is done
    #[arg(long)]
    pub(crate) push: bool,
    /// Show the plan and build nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse to build on a base that spec.lock does not pin
    #[arg(long)]
    pub(crate) locked: bool,
    /// Run every step of what is built anew, whatever the engine has cached
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// CA certificates for package steps, and secret `ca` of Dockerfiles; never in a layer
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// A secret that RUN steps may mount; may be given several times. It is masked in what they
    /// print, but for lines of under 6 characters
    #[arg(long = "secret", value_name = "ID=FILE", value_parser = key_value)]
    pub(crate) secrets: Vec<(String, String)>,
}
