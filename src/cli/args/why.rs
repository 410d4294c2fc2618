//! What `why` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build why thesis                 why is it built again, down to the file?
  ds01-build why vision -v              every field of its recipe
  ds01-build why 'thesis._.1722830498'  what does this container run, and is it still current?
  ds01-build why thesis --container     the container of that name, not the image
  ds01-build why vision --json | jq '.images[].reasons[].details'

Files are named with their last commit where git knows one. Nothing is changed.";

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// An image, or a container: its name, or at least 6 digits of its id
    pub(crate) name: String,
    /// Explain the container of that name, though there is an image of it
    #[arg(long)]
    pub(crate) container: bool,
    /// Compare with what this branch last built [default: DS01_BRANCH, or the branch git or CI is on]
    #[arg(long, value_name = "NAME", env = "DS01_BRANCH", hide_env = true)]
    pub(crate) branch: Option<String>,
}
