//! What `plan` and `build` take.

use std::path::PathBuf;

use clap::Args;

use super::key_value;

/// What is selected, shared by `plan` and `build`.
#[derive(Debug, Default, Args)]
pub struct Selection {
    /// Images, with what they stand on [default: all]
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Build this image and what stands on it again, from the engine's cache where it can; may be given several times
    #[arg(long, value_name = "IMAGE")]
    pub force: Vec<String>,
    /// Build everything that is selected again
    #[arg(long)]
    pub force_all: bool,
    /// Only what differs from this revision of git, uncommitted files included, with what stands
    /// on it; where images are named, those among them
    #[arg(long, value_name = "REV")]
    pub since: Option<String>,
    /// Name branch tags after this branch [default: DS01_BRANCH, or the branch git is on]
    #[arg(long, value_name = "NAME", env = "DS01_BRANCH", hide_env = true)]
    pub branch: Option<String>,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// Ask registries whether bases have moved on since they were pinned, and say what a move would rebuild
    #[arg(long)]
    pub check_bases: bool,
}

#[derive(Debug, Default, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// Build at most this many images at once [default: as many as there are cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub jobs: Option<u16>,
    /// Stop everything at the first failure
    #[arg(long)]
    pub fail_fast: bool,
    /// Send what is done to its registry: each image as soon as it is built, branch tags when every
    /// selected image is done
    #[arg(long)]
    pub push: bool,
    /// Show the plan and build nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Refuse to build on a base that spec.lock does not pin
    #[arg(long)]
    pub locked: bool,
    /// Run every step of what is built anew, whatever the engine has cached
    #[arg(long)]
    pub no_cache: bool,
    /// CA certificates for package steps, and secret `ca` of Dockerfiles; never in a layer
    #[arg(long, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// A secret that RUN steps may mount; may be given several times
    #[arg(long = "secret", value_name = "ID=FILE", value_parser = key_value)]
    pub secrets: Vec<(String, String)>,
}
