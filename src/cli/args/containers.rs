//! What `deploy` and `container` take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub const DEPLOY_EXAMPLES: &str = "Examples:\n  ds01-build deploy thesis\n  ds01-build deploy thesis --workspace /data/thesis\n  ds01-build deploy h-baker/thesis           where two users have a `thesis`\n  ds01-build deploy vision                   a shared image, with your account put on\n  ds01-build deploy debian:12 --name work    any image of the engine, likewise\n  ds01-build deploy debian:12 --pull         ... fetched if it is not there\n  ds01-build deploy thesis --dry-run --json  the exact request\n\nA word is a project of yours, then a name of the spec, then an image of the engine. An image that has not your account gets it as a layer of files, made once and kept under `ds01-<uid>/`; nothing is run in it. The container has no GPU. Its limits are those of the owner's group (`limits:` in the spec).";

#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Create and start a container from a project, a shared image or any other image
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(DeployArgs),
    /// List your containers
    #[command(
        after_help = "Examples:\n  ds01-build container list\n  ds01-build container list --all\n  ds01-build container list --json | jq -r '.[].name'"
    )]
    List(ListArgs),
    /// Stop and remove a container; its image and workspace stay
    #[command(
        after_help = "Examples:\n  ds01-build container retire thesis\n  ds01-build container retire 'thesis._.1722830498'"
    )]
    Retire(RetireArgs),
}

#[derive(Debug, Args)]
pub struct DeployArgs {
    /// A project (`thesis`, or `h-baker/thesis` where two users have one), a
    /// shared image or base of the spec, or an image of the engine
    #[arg(value_name = "PROJECT|IMAGE")]
    pub image: String,
    /// Name of the container [default: the project's or the image's]
    #[arg(long)]
    pub name: Option<String>,
    /// Folder to mount at /workspace [default: workspace/NAME in the owner's home]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Pull the image if the engine does not have it
    #[arg(long)]
    pub pull: bool,
    /// For whom: a login (administrators) [default: the project's owner, else you]
    #[arg(long, value_name = "LOGIN")]
    pub user: Option<String>,
    /// Show the request and create nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// List everybody's containers
    #[arg(long, short)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct RetireArgs {
    /// A container: `thesis`, or its whole name `thesis._.1722830498`
    pub container: String,
    /// Remove it though it is protected (administrators)
    #[arg(long)]
    pub force: bool,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}
