//! What `gpu` takes.

use clap::{Args, Subcommand};

pub(crate) const EXAMPLES: &str = "Examples:\n  ds01-build gpu list\n  ds01-build gpu list --watch";

#[derive(Debug, Subcommand)]
pub(crate) enum GpuCommand {
    /// List GPUs and MIG instances: what they are, who holds them, which are free
    #[command(
        after_help = "Examples:\n  ds01-build gpu list\n  ds01-build gpu list --watch      every 2 seconds, until Ctrl-C\n  ds01-build gpu list --json | jq -r '.gpus[] | select(.usage.standing == \"free\").uuid'\n  ds01-build gpu list --json | jq -r '.gpus[].instances[] | select(.usage.standing == \"free\").slot'\n\nHolders are containers: by their labels, by what they were created with, or by a process of\ntheirs on the GPU. A GPU on which another process computes is busy. What cannot be read is shown\nas such and is never free. A narrow terminal shows no UUIDs; --json has them, and\nwhich GPUs reach each other by NVLink (`links`). Where there is no NVIDIA driver, the exit code\nis 3."
    )]
    List(GpuListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GpuListArgs {
    /// Look again every 2 seconds; on a terminal in place, elsewhere one list after the other
    #[arg(long, short)]
    pub(crate) watch: bool,
}
