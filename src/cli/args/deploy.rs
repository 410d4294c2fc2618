//! What `deploy` takes.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build deploy thesis
  ds01-build deploy thesis --gpus 1                    one whole GPU
  ds01-build deploy thesis --gpus 2 --gpu-memory 80g   two, each with 80 GiB or more
  ds01-build deploy thesis --mig 1g.10gb               a slice of one
  ds01-build deploy thesis --gpu-memory 20g            the smallest GPU or slice with 20 GiB
  ds01-build deploy thesis --gpus GPU-5a3c...,1.2      these, by UUID, index or slot
  ds01-build deploy thesis --cpus 8 --memory 16g --shm-size 8g
  ds01-build deploy thesis --data /srv/data/corpus --models /srv/models
  ds01-build deploy thesis --mount /srv/share:/share:ro
  ds01-build deploy thesis --publish 8888:8888         then: ssh -L 8888:localhost:8888 MACHINE
  ds01-build deploy thesis --env WANDB_MODE=offline -- python train.py
  ds01-build deploy h-baker/thesis                     where two users have a `thesis`
  ds01-build deploy vision                             a shared image, with your account put on
  ds01-build deploy debian:12 --name work --pull       any image, fetched if it is not there
  ds01-build deploy thesis --dry-run --json            the exact request

A word is a project of yours, then a name of the spec, then an image of the engine. An image that has not your account gets it as a layer of files, made once and kept under `ds01-<uid>/`; nothing is run in it.

Without one of the GPU options the container has no GPU. What it may use is what your group's limits say (`limits:` in the spec); sizes are that much unless you ask for less. Folders can be mounted from your home and from the folders that your group's limits name; a link that leads out of them is refused. A folder that you may not write to is mounted for reading.

A published port listens on 127.0.0.1 unless an address is said, since everybody who reaches the machine reaches its other addresses: `--publish 0.0.0.0:8888:8888` opens it to them.";

/// Seconds.
const WAIT: &str = "30";

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// A project (`thesis`, or `h-baker/thesis` where two users have one), a
    /// shared image or base of the spec, or an image of the engine
    #[arg(value_name = "PROJECT|IMAGE")]
    pub(crate) image: String,
    /// Name of the container [default: the project's or the image's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// So many whole GPUs, or these: UUIDs, indices (`device=0`) or MIG slots (0.1), separated by
    /// commas, as `gpu list` shows them
    #[arg(long, value_name = "N|UUID,...", help_heading = "GPUs")]
    pub(crate) gpus: Option<String>,
    /// MIG instances of this profile, as 1g.10gb or 1g.10gb:2
    #[arg(long, value_name = "PROFILE[:N]", help_heading = "GPUs")]
    pub(crate) mig: Option<String>,
    /// GPU memory, as 20g: the smallest that has it, or with --gpus N each of them
    #[arg(long, value_name = "SIZE", help_heading = "GPUs")]
    pub(crate) gpu_memory: Option<String>,
    /// No GPU, which is also the default
    #[arg(long, help_heading = "GPUs")]
    pub(crate) cpu_only: bool,
    /// CPUs, as 8 or 1.5 [default: what your limits allow]
    #[arg(long, value_name = "N", help_heading = "Sizes")]
    pub(crate) cpus: Option<f64>,
    /// Memory, as 16g [default: what your limits allow]
    #[arg(long, value_name = "SIZE", help_heading = "Sizes")]
    pub(crate) memory: Option<String>,
    /// Size of /dev/shm, as 8g [default: what your limits allow]
    #[arg(long, value_name = "SIZE", help_heading = "Sizes")]
    pub(crate) shm_size: Option<String>,
    /// Folder to mount at /workspace [default: workspace/NAME in the owner's home]
    #[arg(long, value_name = "DIR", help_heading = "Folders")]
    pub(crate) workspace: Option<PathBuf>,
    /// Folder to mount at /data
    #[arg(long, value_name = "DIR", help_heading = "Folders")]
    pub(crate) data: Option<PathBuf>,
    /// Folder to mount at /models
    #[arg(long, value_name = "DIR", help_heading = "Folders")]
    pub(crate) models: Option<PathBuf>,
    /// Another folder or file to mount; `:ro` for reading only (repeatable)
    #[arg(long = "mount", value_name = "SRC:DST[:ro]", help_heading = "Folders")]
    pub(crate) mounts: Vec<String>,
    /// Port to publish on 127.0.0.1 or ADDR; CONTAINER alone takes a free one (repeatable)
    #[arg(short, long, value_name = "[[ADDR:]HOST:]CONTAINER", help_heading = "Program")]
    pub(crate) publish: Vec<String>,
    /// Variable to set (repeatable)
    #[arg(short, long, value_name = "NAME=VALUE", help_heading = "Program")]
    pub(crate) env: Vec<String>,
    /// What to run [default: the image's command, else a shell]
    #[arg(last = true, value_name = "CMD", help_heading = "Program")]
    pub(crate) command: Vec<String>,
    /// Pull the image if the engine does not have it
    #[arg(long)]
    pub(crate) pull: bool,
    /// For whom: a login (administrators) [default: the project's owner, else you]
    #[arg(long, value_name = "LOGIN")]
    pub(crate) user: Option<String>,
    /// How long to wait while others are given GPUs
    #[arg(long, value_name = "SECONDS", default_value = WAIT)]
    pub(crate) wait: u64,
    /// Show the request and create nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
