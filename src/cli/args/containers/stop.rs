//! What `container stop` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build container stop thesis
  ds01-build container stop thesis bert --time 60    a minute to save what is to be saved

Its program is asked to end, and ended when the time is over. The container keeps its files, its
place among your containers and its GPUs; `container retire` gives them back.";

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Containers: `thesis`, or a whole name `thesis._.1722830498`
    #[arg(value_name = "CONTAINER", required = true)]
    pub(crate) containers: Vec<String>,
    /// Seconds that its program has to end by itself
    #[arg(long, short, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub(crate) time: u32,
    /// Do it though it is protected (administrators)
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would be done and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
