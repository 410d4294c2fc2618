//! `container stop`.

use super::asked::{Done, Here, each};
use crate::cli::args::StopArgs;
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::container::{Action, Asked};

pub(crate) async fn run(settings: &Settings, args: &StopArgs) -> Result<Exit, CliError> {
    let here = Here::look(settings).await?;
    each(settings, &args.containers, async |name| stop(settings, args, &here, name).await).await
}

async fn stop(settings: &Settings, args: &StopArgs, here: &Here, name: &str) -> Result<Done, CliError> {
    let container = here.may(settings, Action::Stop, Asked { name, force: args.force })?;
    let full = container.name.clone();
    let done = |outcome, message| Ok(Done { container: full.clone(), outcome, message });
    if !container.state.is_running() {
        return done("not_running", format!("{full} does not run: {}", container.status));
    }
    if args.dry_run {
        return done("would_stop", format!("{full} would be stopped; nothing was done"));
    }
    here.engine.stop(&container.id, args.time).await?;
    done("stopped", format!("{full} is stopped; it keeps its files, its place and its GPUs"))
}
