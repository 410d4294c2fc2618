//! What `doctor` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build doctor               the machine: engine, registries, GPUs, accounts, leftovers
  ds01-build doctor thesis        one image: account, settings, up to date or not, containers
  ds01-build doctor --json | jq '.findings[] | select(.severity == \"warning\")'
  ds01-build doctor --json | jq -r '.findings[] | select(.check == \"leftovers\").command'
                                  what would remove images that the old way left behind

Nothing is changed. The exit code is 0 unless something that is needed does not work (an error
among the findings): then it is 3. Warnings and notes do not change it.";

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Look at one image only: its name in the spec, or a reference
    pub(crate) image: Option<String>,
}
