//! What `catalog` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(crate) const EXAMPLES: &str = "Examples:\n  ds01-build catalog list\n  ds01-build catalog check";

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// List the framework images that a base may name, and which are `latest`
    #[command(
        after_help = "Examples:\n  ds01-build catalog list\n  ds01-build catalog list --framework pytorch --all\n  ds01-build catalog list --arch CUDA_ADA --json | jq -r '.rows[].image'\n\nShown are rows for one architecture: --arch, else this machine's, as MLC_ARCH or the installed\nCUDA or ROCm tell it. Where nothing tells it, all are shown."
    )]
    List(CatalogListArgs),
    /// Check a catalogue's file, line by line
    #[command(
        after_help = "Examples:\n  ds01-build catalog check\n  ds01-build catalog check /opt/aime-ml-containers/ml_images.repo\n\nA row that is wrong ends with exit code 2. A row that a row above hides is a warning."
    )]
    Check(CatalogCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CatalogListArgs {
    /// Only this framework
    #[arg(long, value_name = "NAME")]
    pub(crate) framework: Option<String>,
    /// Only this architecture [default: this machine's]
    #[arg(long, value_name = "ARCH", conflicts_with = "all")]
    pub(crate) arch: Option<String>,
    /// All architectures
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogCheckArgs {
    /// An ml_images.repo, or a file in our own form [default: the one that the spec names]
    pub(crate) file: Option<PathBuf>,
}
