//! What `image update` takes.

use std::path::PathBuf;

use clap::Args;

use super::Surroundings;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build image update thesis --add-pip 'pandas>=2,<3' timm --add-apt ffmpeg
  ds01-build image update thesis --remove timm
  ds01-build image update thesis --image vision@py312
  ds01-build image update thesis --jupyter --dry-run    the change and the plan; nothing is written
  ds01-build image update thesis                        no change: builds what is out of date

A package that is there with another version gets the new one. Comments in the project file stay.
Containers keep the image that they were made from; those that run the old one are listed.";

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ImageUpdateArgs {
    /// The project: `thesis`, or `h-baker/thesis` where two users have one
    pub(crate) name: String,
    /// Python requirements to add or to give another version; may be given several times
    #[arg(long, value_name = "REQ", num_args = 1..)]
    pub(crate) add_pip: Vec<String>,
    /// Debian packages to add or to give another version; may be given several times
    #[arg(long, value_name = "PKG", num_args = 1..)]
    pub(crate) add_apt: Vec<String>,
    /// Packages to take away, of either kind; may be given several times
    #[arg(long, value_name = "PKG", num_args = 1..)]
    pub(crate) remove: Vec<String>,
    /// Python packages to take away
    #[arg(long, value_name = "PKG", num_args = 1..)]
    pub(crate) remove_pip: Vec<String>,
    /// Debian packages to take away
    #[arg(long, value_name = "PKG", num_args = 1..)]
    pub(crate) remove_apt: Vec<String>,
    /// Sets of Python packages to add
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) add_use_case: Vec<String>,
    /// Sets of Python packages to take away
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) remove_use_case: Vec<String>,
    /// Install what this file in the folder of the spec requires
    #[arg(long, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,
    /// Install from no requirements file any more
    #[arg(long, conflicts_with = "requirements")]
    pub(crate) no_requirements: bool,
    /// Stand on another image or base of the spec
    #[arg(long, short, value_name = "NAME")]
    pub(crate) image: Option<String>,
    /// Install JupyterLab
    #[arg(long)]
    pub(crate) jupyter: bool,
    /// Install no JupyterLab any more
    #[arg(long, conflicts_with = "jupyter")]
    pub(crate) no_jupyter: bool,
    /// Build from another Dockerfile (for projects that have one)
    #[arg(long, value_name = "FILE")]
    pub(crate) dockerfile: Option<PathBuf>,
    /// Write the file and build nothing
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Show the change and the plan, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) around: Surroundings,
}
