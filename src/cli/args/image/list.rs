//! What `image list` takes.

use clap::Args;

pub const EXAMPLES: &str = "Examples:\n  ds01-build image list";

#[derive(Debug, Args)]
pub struct ImageListArgs {
    /// List everybody's images
    #[arg(long, short)]
    pub all: bool,
}
