//! What `container start` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build container start thesis
  ds01-build container start thesis bert
  ds01-build container start thesis --dry-run    whether its GPUs are there and free

A container has the GPUs it was made with, and no others. Where one is gone, broken or somebody
else's by now, it is not started (exit code 5), and the commands that make it anew are shown.";

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Containers: `thesis`, or a whole name `thesis._.1722830498`
    #[arg(value_name = "CONTAINER", required = true)]
    pub(crate) containers: Vec<String>,
    /// Do it though it is protected (administrators)
    #[arg(long)]
    pub(crate) force: bool,
    /// How long to wait while others are given GPUs
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u64,
    /// Show what would be done and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
