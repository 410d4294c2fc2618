//! `container stop`.

use super::{Access, ActionReport, each};
use crate::cli::args::StopArgs;
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::container::permission::Action;

pub(crate) async fn run(settings: &Settings, args: &StopArgs) -> Result<Exit, CliError> {
    let access = Access::new(settings).await?;
    each(settings, &args.containers, async |name| stop(&access, args, name).await).await
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
