//! What `deploy` and `container` take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub const DEPLOY_EXAMPLES: &str = "Examples:\n  ds01-build deploy thesis\n  ds01-build deploy thesis --workspace /data/thesis\n  ds01-build deploy h-baker/thesis           where two users have a `thesis`\n  ds01-build deploy thesis --dry-run --json  the exact request\n\nThe container has no GPU. Its limits are those of the owner's group (`limits:` in the spec).";

#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Create and start a container from a project image
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
    /// A project: `thesis`, or `h-baker/thesis` where two users have one
    pub project: String,
    /// Folder to mount at /workspace [default: workspace/PROJECT in the owner's home]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
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
