//! What `image` takes.

mod create;
mod list;
mod retire;
mod show;
mod update;

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(crate) use create::CreateArgs;
use create::EXAMPLES as CREATE_EXAMPLES;
use list::EXAMPLES as LIST_EXAMPLES;
pub(crate) use list::ImageListArgs;
use retire::EXAMPLES as RETIRE_EXAMPLES;
pub(crate) use retire::ImageRetireArgs;
use show::EXAMPLES as SHOW_EXAMPLES;
pub(crate) use show::ShowArgs;
use update::EXAMPLES as UPDATE_EXAMPLES;
pub(crate) use update::ImageUpdateArgs;

/// What a build of one image may need besides the spec, as for `build`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Surroundings {
    /// Name branch tags after this branch [default: DS01_BRANCH, or the branch git is on]
    #[arg(long, value_name = "NAME", env = "DS01_BRANCH", hide_env = true)]
    pub(crate) branch: Option<String>,
    /// CA certificates for package steps, and secret `ca` of Dockerfiles; never in a layer
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// A secret that RUN steps may mount; may be given several times
    #[arg(long = "secret", value_name = "ID=FILE", value_parser = super::key_value)]
    pub(crate) secrets: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Ask for an image of your own: write its project file, and build it
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// Change the packages or the base of an image of yours, and build it again
    #[command(after_help = UPDATE_EXAMPLES)]
    Update(ImageUpdateArgs),
    /// List your images: base, size, age, and whether they are up to date
    #[command(after_help = LIST_EXAMPLES)]
    List(ImageListArgs),
    /// Show one image: what it stands on, its packages, its containers
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Remove an image that nothing uses, and its project file
    #[command(after_help = RETIRE_EXAMPLES)]
    Retire(ImageRetireArgs),
}
