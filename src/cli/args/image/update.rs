//! What `image update` takes.

use clap::Args;

pub const EXAMPLES: &str = "Examples:\n  ds01-build image update thesis";

#[derive(Debug, Args)]
pub struct ImageUpdateArgs {
    /// The project: `thesis`, or `h-baker/thesis` where two users have one
    pub name: String,
}
