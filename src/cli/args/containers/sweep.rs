//! What `container sweep` takes.

use std::path::PathBuf;

use clap::Args;

use crate::container::sweep::file::PATH;

pub(crate) const EXAMPLES: &str = "Examples:\n  ds01-build container sweep --dry-run       what would be done now, and what is left alone\n  ds01-build container sweep                 as the timer does it\n  ds01-build container sweep --notify /usr/local/bin/mail-owner\n  systemctl enable --now ds01-build-sweep.timer\n\nRules are those of the container's group in the spec, for each of them a time or null for never: `longest_run` (since its last start) and `idle` stop a container, `stopped` and `never_started` remove it, the latter not before 10 minutes. A whole GPU is idle while its utilization stays below `idle_below` percent, whatever processes wait on it; a MIG instance tells no utilization and is idle while no process computes on it. What cannot be read counts as busy.\n\nNothing is done that an earlier sweep did not announce: `warning` before, or at half of the rule's time if that is later. Whoever was warned late has as much longer. Containers of others, protected and exempt ones, and those of unknown groups are left alone. What a sweep has to know of the last one stands in the state file; losing it only postpones.\n\nThe program of --notify is run for each warning and action with one JSON object on standard input: step, container, owner, rule, due, text, advice. It has 30 seconds; what it does changes nothing else.";

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Show what would be done and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where sweeps keep whom they warned
    #[arg(long, value_name = "FILE", default_value = PATH)]
    pub(crate) state: PathBuf,
    /// How often sweeps are made: after twice as long without one, GPUs count as busy till now
    #[arg(long, value_name = "MINUTES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub(crate) every: u32,
    /// How often GPUs are looked at; the busiest moment counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub(crate) samples: u32,
    /// Between two of these looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=60))]
    pub(crate) interval: u32,
    /// Run this program for each warning and action
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) notify: Option<PathBuf>,
}
