//! What `image show` takes.

use clap::Args;

pub const EXAMPLES: &str = "Examples:\n  ds01-build image show thesis";

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The project: `thesis`, or `h-baker/thesis` where two users have one
    pub name: String,
}
