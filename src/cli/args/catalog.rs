//! What `catalog` takes.

use clap::Subcommand;

pub const EXAMPLES: &str = "Examples:\n  ds01-build catalog list\n  ds01-build catalog check";

#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// List the framework images that a base may name
    #[command(after_help = "Examples:\n  ds01-build catalog list")]
    List,
    /// Check the catalogue's file, line by line
    #[command(after_help = "Examples:\n  ds01-build catalog check")]
    Check,
}
