//! What `image create`, `update`, `list`, `show` and `retire` take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::spec::edit::ProjectChanges;

/// What a build of one image may need besides the spec, as for `build`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Surroundings {
    /// Name branch tags after this branch [default: DS01_BRANCH, or the branch git or CI is on]
    #[arg(long, value_name = "NAME", env = "DS01_BRANCH", hide_env = true)]
    pub(crate) branch: Option<String>,
    /// CA certificates for package steps, and secret `ca` of Dockerfiles; never in a layer
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// A secret that RUN steps may mount; may be given several times. It is masked in what they
    /// print, but for lines of under 6 characters
    #[arg(long = "secret", value_name = "ID=FILE", value_parser = super::key_value)]
    pub(crate) secrets: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Ask for an image of your own: write its project file, and build it
    Create(CreateArgs),
    /// Change the packages or the base of an image of yours, and build it again
    Update(ImageUpdateArgs),
    /// List your images: base, size, age, and whether they are up to date
    List(ImageListArgs),
    /// Show one image: what it is based on, its packages, its containers
    Show(ShowArgs),
    /// Remove an image that nothing uses, and its project file
    Retire(ImageRetireArgs),
}

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  ds01-build image create                    asks on a terminal, with the images to choose from
  ds01-build image create thesis --image vision
  ds01-build image create thesis --image vision --pip 'transformers>=4.44,<5' timm --apt ffmpeg
  ds01-build image create thesis --image vision@py312 --requirements requirements.txt --jupyter
  ds01-build image create thesis --image datascience --dockerfile thesis/Dockerfile
  ds01-build image create thesis --image vision --dry-run
                                             the file and the plan; nothing is written

The project file lies where the spec's `include:` says. If the build fails it stays, to be mended
with `image update`. Without a terminal nothing is asked.")]
pub(crate) struct CreateArgs {
    /// Name of the project: small letters, digits and `.`, `_`, `-` between them
    pub(crate) name: Option<String>,
    /// What it is based on: an image or a base of the spec, `vision`, or `vision@py312` for a plan
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

#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  ds01-build image update thesis --add-pip 'pandas>=2,<3' timm --add-apt ffmpeg
  ds01-build image update thesis --remove timm
  ds01-build image update thesis --image vision@py312
  ds01-build image update thesis --jupyter --dry-run    the change and the plan; nothing is written
  ds01-build image update thesis                        no change: builds what is out of date

A package that is there with another version gets the new one. Comments in the project file stay.
Containers keep the image that they were made from; those that run the old one are listed.")]
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

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ds01-build image list                yours
  ds01-build image list --all          everybody's, and the shared ones
  ds01-build image list --json | jq -r '.[] | select(.state == \"outdated\").name'

OWN is what removing the image alone would free, SHARED what other images have too. USED counts
containers: running/all. Images of the systems before this one are marked `old`.")]
pub(crate) struct ImageListArgs {
    /// List everybody's images and the shared ones
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ds01-build image show thesis
  ds01-build image show h-baker/thesis              where two users have a `thesis`
  ds01-build image show 'pytorch:thesis._.1001'     an image of the system before this one
  ds01-build image show thesis --dockerfile > Dockerfile
                                                    to build it with `docker build` alone

The Dockerfile makes one image. What that is based on is named by its tag; ask for its Dockerfile
in the same way. Secrets are not in it: its first lines say what to type.")]
pub(crate) struct ShowArgs {
    /// An image: its name, a project, a tag on the engine, or at least 6 digits of its id
    pub(crate) name: String,
    /// Print a Dockerfile that makes the same image
    #[arg(long)]
    pub(crate) dockerfile: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ds01-build image retire thesis
  ds01-build image retire thesis --keep-spec         the image alone; `build` makes it again
  ds01-build image retire thesis --dry-run           what would go
  ds01-build image retire 'pytorch:thesis._.1001'    an image of the system before this one

All tags of the project go, and so the images that have no others; then its entry in the spec,
with the file if nothing else is in it. A Dockerfile and what it copies are never touched. An
image that a container is on, running or not, is left alone. On a terminal you are asked first.")]
pub(crate) struct ImageRetireArgs {
    /// A project: `thesis`, or `h-baker/thesis` where two users have one; or a name of `image list`
    pub(crate) name: String,
    /// Leave the project file as it is
    #[arg(long)]
    pub(crate) keep_spec: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl ImageUpdateArgs {
    /// What is to be changed; files are named as they were typed.
    pub(crate) fn changes(&self) -> ProjectChanges {
        let Self { image, no_requirements, jupyter, no_jupyter, add_pip, add_apt, add_use_case, .. } =
            self.clone();
        let Self { remove, remove_pip, remove_apt, remove_use_case, .. } = self.clone();
        let [requirements, dockerfile] = [&self.requirements, &self.dockerfile].map(typed);
        ProjectChanges {
            image,
            dockerfile,
            requirements,
            no_requirements,
            jupyter,
            no_jupyter,
            add_pip,
            add_apt,
            add_use_case,
            remove,
            remove_pip,
            remove_apt,
            remove_use_case,
            refreshed: None,
        }
    }
}

/// A file as it was typed.
pub(crate) fn typed(file: &Option<PathBuf>) -> Option<String> {
    file.as_ref().map(|file| file.display().to_string())
}
