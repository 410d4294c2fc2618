//! `container start`.

use std::time::Duration;

use clap::Args;

use super::{Access, ActionReport, each};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::signals::{self, Signals};
use crate::container::enter::not_running;
use crate::container::permission::Action;
use crate::container::start;
use crate::deploy::restart::{Restart, RestartError};
use crate::engine::{ContainerState, Error};
use crate::ui::text::clean;

pub(super) const EXAMPLES: &str = "Examples:
  ds01-build container start thesis
  ds01-build container start thesis bert
  ds01-build container start thesis --dry-run    whether its GPUs are there and free

A container has the GPUs it was made with, and no others. Where one is gone, broken or somebody
else's by now, it is not started (exit code 5), and the commands that make it anew are shown.";

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Containers: `thesis`, or a whole name `thesis._.1722830498`
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
    /// Do it though it is protected (administrators)
    #[arg(long)]
    force: bool,
    /// How long to wait while others are given GPUs
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// Show what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(session: &Session, args: &StartArgs) -> Result<Exit, CliError> {
    let access = Access::new(session).await?;
    let signals = signals::listen()?;
    each(session, &args.containers, async |name| start(&access, args, &signals, name).await).await
}

async fn start(
    access: &Access<'_>,
    args: &StartArgs,
    signals: &Signals,
    name: &str,
) -> Result<ActionReport, CliError> {
    let container = access.may(Action::Start, name, args.force)?;
    let name = &container.name;
    let report = |outcome, message| Ok(ActionReport { container: name.clone(), outcome, message });
    match container.state {
        ContainerState::Running | ContainerState::Restarting => {
            return report("running", format!("{name} runs already: {}", container.status));
        }
        ContainerState::Paused => return Err(CliError::refused(not_running(container))),
        _ => {}
    }
    let (session, engine) = (access.session, access.engine.as_ref());
    let facts = engine.info().await?;
    let restart = Restart {
        engine,
        facts: &facts,
        caller: &access.caller,
        users: &|uid| session.login(uid),
        spec: access.stack.as_ref().ok().map(|(spec, _)| spec),
        nvml_library: session.nvml_library.clone(),
    };
    let cli_error = |error| match (error, &access.stack) {
        (RestartError::NoSpec, Err(error)) => error.clone(),
        (RestartError::NoSpec, Ok(_)) => CliError::bug("the limits were not read"),
        (RestartError::Deploy(error), _) => error.into(),
    };
    if args.dry_run {
        restart.check(container).await.map_err(cli_error)?;
        return report("would_start", format!("{name} would be started; nothing was done"));
    }
    let locks = session.locks(&facts.id)?;
    // A signal waits until it is started.
    let working = signals.working();
    let limit = Duration::from_secs(args.wait);
    let code = restart.run(container, &locks, limit, working.token()).await.map_err(cli_error)?;
    drop(working);
    let Some(code) = code else {
        let message = format!("{name} runs; `ds01-build container enter {name}` opens a shell in it");
        return report("started", message);
    };
    let wrote = match start::last_lines(engine, &container.id).await {
        nothing if nothing.is_empty() => "; it wrote nothing".to_owned(),
        text => {
            let lines = text.lines().map(|line| format!("\n  {}", clean(line)));
            format!("; it wrote last:{}", lines.collect::<String>())
        }
    };
    if start::could_not_run(code) {
        let message = format!("its program is not in the image or cannot be run (code {code}){wrote}");
        return Err(Error::Refused { action: format!("start container `{name}`"), message }.into());
    }
    report("ended", format!("{name} was started, and its program has ended already with code {code}{wrote}"))
}
