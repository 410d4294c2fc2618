//! What `container show` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build container show thesis
  ds01-build container show 'thesis._.1722830498'
  ds01-build container show 6d7d889783c3                 by 6 digits of its id or more
  ds01-build container show thesis --json | jq .gpus_held.uuids

Any container can be shown that `container list --all` lists. `ds01-build why NAME --container` says whether its image is what the spec says now, and why not.";

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A container: `thesis`, its whole name `thesis._.1722830498`, or at
    /// least 6 digits of its id
    pub(crate) container: String,
}
