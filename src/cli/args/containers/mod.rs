//! What `deploy` and `container` take.

mod deploy;
mod enter;
mod list;
mod logs;
mod retire;
mod show;
mod start;
mod stop;
mod sweep;

use clap::Subcommand;

pub(crate) use deploy::{DeployArgs, EXAMPLES as DEPLOY_EXAMPLES};
pub(crate) use enter::EnterArgs;
pub(crate) use list::ListArgs;
pub(crate) use logs::{LogsArgs, Since};
pub(crate) use retire::RetireArgs;
pub(crate) use show::ShowArgs;
pub(crate) use start::StartArgs;
pub(crate) use stop::StopArgs;
pub(crate) use sweep::SweepArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ContainerCommand {
    /// Create and start a container from a project, a shared image or any other image
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(Box<DeployArgs>),
    /// List your containers
    #[command(after_help = list::EXAMPLES)]
    List(ListArgs),
    /// Show one container: image, GPUs, limits, mounts, ports
    #[command(after_help = show::EXAMPLES)]
    Show(ShowArgs),
    /// Open a shell in a running container
    #[command(after_help = enter::EXAMPLES)]
    Enter(EnterArgs),
    /// Print what a container's program wrote
    #[command(after_help = logs::EXAMPLES)]
    Logs(LogsArgs),
    /// Stop a container; it keeps its files, its place and its GPUs
    #[command(after_help = stop::EXAMPLES)]
    Stop(StopArgs),
    /// Start a stopped container again
    #[command(after_help = start::EXAMPLES)]
    Start(StartArgs),
    /// Stop and remove a container; its image and workspace stay
    #[command(after_help = retire::EXAMPLES)]
    Retire(RetireArgs),
    /// Stop and remove containers that have been here long enough, after a warning (for a timer)
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(SweepArgs),
}
