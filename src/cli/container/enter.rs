//! `container enter`: gives the terminal, or the standard streams, to a program
//! of a container until it ends.

use clap::Args;
use futures::StreamExt;

use super::Access;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::signals;
use crate::cli::terminal::{self, Raw};
use crate::container::enter::{SessionEnd, TerminalSession, not_running, program};
use crate::container::permission::Action;
use crate::engine::ContainerState;

pub(super) const EXAMPLES: &str = "Examples:
  ds01-build container enter thesis
  ds01-build container enter thesis -- python train.py --epochs 10
  ds01-build container enter thesis -- nvidia-smi | head -20
  ssh gpu1 ds01-build container enter thesis -- sh < steps.sh

Without a command it is your account's shell in the container; the workspace is where it starts.
On a terminal the program has that terminal, and Ctrl-C is the program's. Elsewhere standard input
goes to the program (`</dev/null` keeps it), and its two outputs are kept apart. The exit code is
the program's; before there is one it is 3 (no engine, or the connection broke) or 5 (no such
container, not yours, not running). If the command is told to stop (130), the program may go on.";

#[derive(Debug, Args)]
pub(crate) struct EnterArgs {
    /// A container: `thesis`, its whole name `thesis._.1722830498`, or its id
    container: String,
    /// A program and its arguments, instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What a shell says of a program that nobody read.
const UNREAD: u8 = 141;

pub(crate) async fn run(session: &Session, args: &EnterArgs) -> Result<Exit, CliError> {
    let access = Access::new(session).await?;
    let container = access.may(Action::Enter, &args.container, false)?;
    if !matches!(container.state, ContainerState::Running | ContainerState::Restarting) {
        return Err(CliError::refused(not_running(container)));
    }
    let (engine, terminal) = (&access.engine, session.terminal.as_deref());
    let detail = engine.container(&container.id).await?;
    let exec = program(&args.command, terminal, container, detail.as_ref());
    let cannot = |e: std::io::Error| CliError::usage(format!("the terminal cannot be given away: {e}"));
    let signals = signals::listen()?;
    let working = signals.working();
    let attached = engine.exec(&container.id, &exec).await?;
    let sizes = match terminal {
        Some(_) => terminal::sizes().map_err(cannot)?.boxed(),
        None => futures::stream::pending().boxed(),
    };
    let raw = terminal.map(|_| Raw::set()).transpose().map_err(cannot)?;
    let terminal_session = TerminalSession { attached, input: tokio::io::stdin(), sizes };
    let mut output = session.output();
    let write = |stderr, bytes: &[u8]| {
        output.bytes(stderr, bytes);
        !output.is_closed()
    };
    let end = terminal_session.run(engine, write, working.token()).await;
    drop(raw);
    let exit = match end? {
        SessionEnd::Code(0) => Exit::Done,
        SessionEnd::Code(code) => Exit::Program(u8::try_from(code).unwrap_or(u8::MAX)),
        SessionEnd::Unread => Exit::Program(UNREAD),
        SessionEnd::Cancelled => {
            output.note(&format!("left; the program may go on in {}", container.name));
            Exit::Interrupted
        }
    };
    output.finish()?;
    Ok(exit)
}
