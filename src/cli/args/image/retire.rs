//! What `image retire` takes.

use clap::Args;

pub const EXAMPLES: &str = "Examples:\n  ds01-build image retire thesis";

#[derive(Debug, Args)]
pub struct ImageRetireArgs {
    /// The project: `thesis`, or `h-baker/thesis` where two users have one
    pub name: String,
}
