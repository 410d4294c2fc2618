//! What `container retire` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build container retire thesis
  ds01-build container retire thesis bert           one after the other
  ds01-build container retire thesis --dry-run      what is installed in it and would go with it
  ds01-build container retire thesis --save         first saves its files as a new image
  ds01-build container retire thesis --save before-pruning
  ds01-build container retire 'thesis._.1722830498'

Packages installed in the container that its image lacks are told, with the `image update` that adds
them: an image that says what is in it can be built again, a saved one cannot.

--save makes an image `ds01-<uid>/<project>:saved-<time>`, or with the tag that is said, never over
one that is there. It has the container's files, but none of its mounts (/workspace stays where it
is), labels, variables and log files. `ds01-build deploy` takes it by that name, `image list` shows
it. If it cannot be saved the container stays, and runs again if it ran.";

#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// Containers: `thesis`, or a whole name `thesis._.1722830498`
    #[arg(value_name = "CONTAINER", required = true)]
    pub(crate) containers: Vec<String>,
    /// First save its files as an image under a new tag; stands behind the container
    #[arg(long, value_name = "TAG", num_args = 0..=1, default_missing_value = "")]
    pub(crate) save: Option<String>,
    /// Remove it though it is protected (administrators)
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
