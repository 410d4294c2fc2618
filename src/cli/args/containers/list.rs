//! What `container list` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build container list
  ds01-build container list --stats                    CPU and memory now
  ds01-build container list --all                      everybody's, whoever made them
  ds01-build container list --json | jq -r '.[].name'
  ds01-build container list --all --json | jq '.[] | select(.newer_image) | .name'

With --all, `(legacy)` marks containers of the systems before, `(foreign)` those that something else made and that hold GPUs, `(other)` all else. GPUS are slots as in `gpu list`; `?` where nothing says what a stopped container would hold. CPU is in CPUs: 1.50 is one and a half.";

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// List everybody's containers
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Measure what running ones take now; takes a moment
    #[arg(long)]
    pub(crate) stats: bool,
}
