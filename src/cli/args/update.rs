//! What `update` takes.

use clap::Args;

pub(crate) const UPDATE_EXAMPLES: &str = "Examples:\n  ds01-build update                        pin every base to what its tag stands for now\n  ds01-build update pytorch                only this one\n  ds01-build update debian:bookworm-slim   by its reference, as in COPY --from\n  ds01-build update --dry-run              what would move, and what that would rebuild\n  ds01-build update --packages vision      fresh packages for vision and what is based on it\n  ds01-build update --packages thesis      for a project: of one's own, or as administrator\n  ds01-build update --packages             for every shared image\n\nspec.lock beside the spec keeps the pins; keep it in git. `build` adds pins that are missing\nand never moves one. Nothing is pulled, and nothing is built.\n\n--packages writes the day into spec.lock, or into the project file. It is a part of the recipe\nfrom then on, so the next `build` makes the image anew, without cache, under another content tag.";

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Bases by their name in the spec, or any image that is built on or copied from [default:
    /// all]; with --packages, images and projects [default: every shared image]
    #[arg(value_name = "NAME")]
    pub(crate) images: Vec<String>,
    /// Ask for fresh packages of images, and leave bases where they are
    #[arg(long)]
    pub(crate) packages: bool,
    /// Show what would move and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
