//! What `update` takes.

use clap::Args;

pub(crate) const UPDATE_EXAMPLES: &str = "Examples:\n  ds01-build update                        pin every base to what its tag stands for now\n  ds01-build update pytorch                only this one\n  ds01-build update debian:bookworm-slim   by its reference, as in COPY --from\n  ds01-build update --dry-run              what would move, and what that would rebuild\n\nspec.lock beside the spec keeps the pins; keep it in git. `build` adds pins that are missing\nand never moves one. Nothing is pulled, and nothing is built.";

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Bases by their name in the spec, or any image that is built on or copied from [default: all]
    #[arg(value_name = "BASE")]
    pub(crate) images: Vec<String>,
    /// Show what would move and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
