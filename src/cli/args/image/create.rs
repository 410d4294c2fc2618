//! What `image create` takes.

use std::path::PathBuf;

use clap::Args;

use super::Surroundings;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build image create                    asks on a terminal, with the images to choose from
  ds01-build image create thesis --image vision
  ds01-build image create thesis --image vision --pip 'transformers>=4.44,<5' timm --apt ffmpeg
  ds01-build image create thesis --image vision@py312 --requirements requirements.txt --jupyter
  ds01-build image create thesis --image datascience --dockerfile thesis/Dockerfile
  ds01-build image create thesis --image vision --dry-run
                                             the file and the plan; nothing is written

The project file lies where the spec's `include:` says. If the build fails it stays, to be mended
with `image update`. Without a terminal nothing is asked.";

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct CreateArgs {
    /// Name of the project: small letters, digits and `.`, `_`, `-` between them
    pub(crate) name: Option<String>,
    /// What it stands on: an image or a base of the spec, `vision`, or `vision@py312` for a plan
    #[arg(long, short, value_name = "NAME")]
    pub(crate) image: Option<String>,
    /// Debian packages; may be given several times
    #[arg(long, value_name = "PKG", num_args = 1..)]
    pub(crate) apt: Vec<String>,
    /// Python requirements, such as `pandas>=2,<3`; may be given several times
    #[arg(long, value_name = "REQ", num_args = 1..)]
    pub(crate) pip: Vec<String>,
    /// A requirements file in the folder of the spec
    #[arg(long, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,
    /// A set of Python packages by name; may be given several times
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) use_case: Vec<String>,
    /// Install JupyterLab, with a kernel of the project's name
    #[arg(long)]
    pub(crate) jupyter: bool,
    /// A Dockerfile of your own in the folder of the spec, instead of packages
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["apt", "pip", "requirements", "use_case", "jupyter"])]
    pub(crate) dockerfile: Option<PathBuf>,
    /// Whose it is [default: you]; somebody else's only for administrators
    #[arg(long, value_name = "LOGIN")]
    pub(crate) user: Option<String>,
    /// Write the file and build nothing
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Show the file and the plan, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nothing, also on a terminal
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) around: Surroundings,
}
