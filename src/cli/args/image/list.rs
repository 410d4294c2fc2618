//! What `image list` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build image list                yours
  ds01-build image list --all          everybody's, and the shared ones
  ds01-build image list --json | jq -r '.[] | select(.state == \"outdated\").name'

OWN is what removing the image alone would free, SHARED what other images have too. USED counts
containers: running/all. Images of the systems before this one are marked `old`.";

#[derive(Debug, Args)]
pub(crate) struct ImageListArgs {
    /// List everybody's images and the shared ones
    #[arg(long, short)]
    pub(crate) all: bool,
}
