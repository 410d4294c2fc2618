//! What `image show` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build image show thesis
  ds01-build image show h-baker/thesis              where two users have a `thesis`
  ds01-build image show 'pytorch:thesis._.1001'     an image of the system before this one
  ds01-build image show thesis --dockerfile > Dockerfile
                                                    to build it with `docker build` alone

The Dockerfile makes one image. What that stands on is named by its tag; ask for its Dockerfile
in the same way. Secrets are not in it: its first lines say what to type.";

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// An image: its name, a project, a tag on the engine, or at least 6 digits of its id
    pub(crate) name: String,
    /// Print a Dockerfile that makes the same image
    #[arg(long)]
    pub(crate) dockerfile: bool,
}
