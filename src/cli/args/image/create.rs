//! What `image create` takes.

use clap::Args;

pub const EXAMPLES: &str = "Examples:\n  ds01-build image create thesis";

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name of the project
    pub name: String,
}
