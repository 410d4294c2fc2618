//! What `image retire` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build image retire thesis
  ds01-build image retire thesis --keep-spec         the image alone; `build` makes it again
  ds01-build image retire thesis --dry-run           what would go
  ds01-build image retire 'pytorch:thesis._.1001'    an image of the system before this one

All tags of the project go, and so the images that have no others; then its entry in the spec,
with the file if nothing else is in it. A Dockerfile and what it copies are never touched. An
image that a container is on, running or not, is left alone. On a terminal you are asked first.";

#[derive(Debug, Args)]
pub(crate) struct ImageRetireArgs {
    /// A project: `thesis`, or `h-baker/thesis` where two users have one; or a name of `image list`
    pub(crate) name: String,
    /// Leave the project file as it is
    #[arg(long)]
    pub(crate) keep_spec: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
