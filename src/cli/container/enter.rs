//! `container enter`.

use futures::StreamExt;

use super::asked::Here;
use super::session::{Ended, Session};
use crate::cli::args::EnterArgs;
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::cli::signals;
use crate::cli::terminal::{self, Raw};
use crate::container::enter::{Visit, program};
use crate::container::{Action, Asked};
use crate::engine::{Container, ContainerState};
use crate::model::problem::Problem;

/// What a shell says of a program that nobody read.
const UNREAD: u8 = 141;

pub(crate) async fn run(settings: &Settings, args: &EnterArgs) -> Result<Exit, CliError> {
    let here = Here::look(settings).await?;
    let asked = Asked { name: &args.container, force: false };
    let container = here.may(settings, Action::Enter, asked)?;
    runs(container)?;
    let terminal = settings.terminal.clone();
    let visit = Visit { command: args.command.clone(), terminal: terminal.clone() };
    let detail = here.engine.container(&container.id).await?;
    let exec = program(&visit, container, detail.as_ref());
    let cannot = |e: std::io::Error| CliError::usage(format!("the terminal cannot be given away: {e}"));
    let signals = signals::listen().map_err(|e| CliError::bug(format!("no signal handlers: {e}")))?;
    let working = signals.working();
    let attached = here.engine.exec(&container.id, &exec).await?;
    let sizes = match terminal {
        Some(_) => terminal::sizes().map_err(cannot)?.boxed(),
        None => futures::stream::pending().boxed(),
    };
    let raw = settings.terminal.as_ref().map(|_| Raw::set()).transpose().map_err(cannot)?;
    let session = Session { attached, input: tokio::io::stdin(), sizes };
    let mut output = settings.output();
    let ended = session.run(&here.engine, &mut output, working.token()).await;
    drop(raw);
    let exit = match ended? {
        Ended::Code(0) => Exit::Done,
        Ended::Code(code) => Exit::Program(u8::try_from(code).unwrap_or(u8::MAX)),
        Ended::Unread => Exit::Program(UNREAD),
        Ended::Cancelled => {
            output.note(&format!("left; the program may go on in {}", container.name));
            Exit::Interrupted
        }
    };
    output.finish()?;
    Ok(exit)
}

fn runs(container: &Container) -> Result<(), CliError> {
    let name = &container.name;
    let (what, help) = match container.state {
        ContainerState::Running | ContainerState::Restarting => return Ok(()),
        ContainerState::Paused => ("is paused".to_owned(), format!("`docker unpause {name}` lets it go on")),
        _ => (
            format!("does not run ({})", container.status),
            format!("`ds01-build container start {name}` starts it"),
        ),
    };
    Err(CliError::Refused(Problem::new(format!("container `{name}` {what}")).help(help)))
}
