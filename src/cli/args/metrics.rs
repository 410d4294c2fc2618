//! What `metrics` takes.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:\n  ds01-build metrics\n  ds01-build metrics --output /var/lib/prometheus/node-exporter/ds01.prom\n  ds01-build metrics --json | jq -r '.[] | .name + \": \" + .help'\n\nPrometheus text for node_exporter's textfile collector; run it from a timer. What cannot be\nread is absent, and ds01_up says which part did not answer. The exit code is 0 if any did. The\nlast run's figures are those of the user who asks: each keeps their own. No spec is needed.";

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Write to this file, whole or not at all [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
