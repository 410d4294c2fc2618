//! `container stop`.

use clap::Args;

use super::{Access, ActionReport, each};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::container::permission::Action;

pub(super) const EXAMPLES: &str = "Examples:
  ds01-build container stop thesis
  ds01-build container stop thesis bert --time 60    a minute to save what is to be saved

Its program is asked to end, and ended when the time is over. The container keeps its files, its
place among your containers and its GPUs; `container retire` gives them back.";

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Containers: `thesis`, or a whole name `thesis._.1722830498`
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
    /// Seconds that its program has to end by itself
    #[arg(long, short, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=86_400))]
    time: u32,
    /// Do it though it is protected (administrators)
    #[arg(long)]
    force: bool,
    /// Show what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(session: &Session, args: &StopArgs) -> Result<Exit, CliError> {
    let access = Access::new(session).await?;
    each(session, &args.containers, async |name| stop(&access, args, name).await).await
}

async fn stop(access: &Access<'_>, args: &StopArgs, name: &str) -> Result<ActionReport, CliError> {
    let container = access.may(Action::Stop, name, args.force)?;
    let name = &container.name;
    let report = |outcome, message| Ok(ActionReport { container: name.clone(), outcome, message });
    if !container.state.is_running() {
        return report("not_running", format!("{name} does not run: {}", container.status));
    }
    if args.dry_run {
        return report("would_stop", format!("{name} would be stopped; nothing was done"));
    }
    access.engine.stop(&container.id, args.time).await?;
    report("stopped", format!("{name} is stopped; it keeps its files, its place and its GPUs"))
}
