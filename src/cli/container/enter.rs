//! `container enter`: speaks with a program of a container until it ends. What
//! is typed goes in, what it writes comes out.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Access;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::signals;
use crate::cli::terminal::{self, Raw};
use crate::container::enter::program;
use crate::container::permission::Action;
use crate::engine::{Attached, Container, ContainerState, Engine, Error};
use crate::model::problem::Problem;
use crate::ui::Output;

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

/// A program is not always known to have ended when its output has.
const END: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// How often a program that is just starting is told its size.
const TRIES: u32 = 20;
/// What a shell says of a program that nobody read.
const UNREAD: u8 = 141;

pub(crate) async fn run(session: &Session, args: &EnterArgs) -> Result<Exit, CliError> {
    let access = Access::new(session).await?;
    let container = access.may(Action::Enter, &args.container, false)?;
    check_running(container)?;
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
    let end = terminal_session.run(engine, &mut output, working.token()).await;
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

fn check_running(container: &Container) -> Result<(), CliError> {
    let name = &container.name;
    let (what, help) = match container.state {
        ContainerState::Running | ContainerState::Restarting => return Ok(()),
        ContainerState::Paused => ("is paused".to_owned(), format!("`docker unpause {name}` lets it go on")),
        _ => (
            format!("does not run ({})", container.status),
            format!("`ds01-build container start {name}` starts it"),
        ),
    };
    Err(CliError::refused(Problem::new(format!("container `{name}` {what}")).help(help)))
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionEnd {
    /// The program's exit code.
    Code(i64),
    /// Told to stop. The program may go on without us.
    Cancelled,
    /// Nobody reads what it writes.
    Unread,
}

/// Both ends of a session.
struct TerminalSession<I, S> {
    attached: Attached,
    /// Its end is the end of the program's standard input.
    input: I,
    /// Columns and rows, whenever they change.
    sizes: S,
}

impl<I> TerminalSession<I, BoxStream<'static, (u16, u16)>>
where
    I: AsyncRead + Send + Unpin + 'static,
{
    /// # Errors
    /// The connection broke, or the engine does not say how the program ended.
    async fn run(
        self,
        engine: &Arc<dyn Engine>,
        output: &mut Output,
        cancel: &CancellationToken,
    ) -> Result<SessionEnd, Error> {
        let Self { attached, mut input, mut sizes } = self;
        let Attached { id, input: mut program_input, output: mut chunks } = attached;
        // Ended with the session.
        let mut others = JoinSet::new();
        others.spawn(async move {
            let _ = tokio::io::copy(&mut input, &mut program_input).await;
            let _ = program_input.shutdown().await;
        });
        let (resizer, program) = (engine.clone(), id.clone());
        others.spawn(async move {
            while let Some((columns, rows)) = sizes.next().await {
                for _ in 0..TRIES {
                    if resizer.resize(&program, columns, rows).await.is_ok() {
                        break;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk,
                () = cancel.cancelled() => return Ok(SessionEnd::Cancelled),
            };
            let Some(chunk) = chunk.transpose()? else { break };
            output.bytes(chunk.stderr, &chunk.bytes);
            if output.is_closed() {
                return Ok(SessionEnd::Unread);
            }
        }
        code(engine.as_ref(), &id).await.map(SessionEnd::Code)
    }
}

async fn code(engine: &dyn Engine, id: &str) -> Result<i64, Error> {
    let ask = async {
        loop {
            if let Some(code) = engine.exec_ended(id).await? {
                return Ok(code);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(END, ask).await.unwrap_or_else(|_| {
        let cause = "it was let go of, and still runs".into();
        Err(Error::Broken { action: "run a program to its end".into(), cause })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::Mutex;

    use futures::stream;

    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::engine::{Container, Exec};
    use crate::model::names::ImageId;
    use crate::ui::OutputStyle;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Nobody reads.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    async fn attach(command: &[&str], tty: bool) -> (Arc<dyn Engine>, Attached) {
        let engine = FakeEngine::new();
        engine.add_container(Container {
            id: "1".into(),
            name: "x".into(),
            image: "x".into(),
            image_id: ImageId::new("sha256:1"),
            labels: BTreeMap::new(),
            state: "running".into(),
            status: "Up".into(),
            created: 0,
        });
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let exec = Exec { command, tty, stdin: true, ..Exec::default() };
        let attached = engine.exec("x", &exec).await.unwrap();
        (Arc::new(engine), attached)
    }

    /// How it ended, and what came to our two outputs.
    async fn terminal_session(
        command: &[&str],
        typed: &'static str,
        tty: bool,
    ) -> (Result<SessionEnd, Error>, [String; 2]) {
        let (engine, attached) = attach(command, tty).await;
        let (out, remarks) = (Shared::default(), Shared::default());
        let style = OutputStyle::default();
        let mut output = Output::new(false, style, style, Box::new(out.clone()), Box::new(remarks.clone()));
        let sizes = stream::iter([(100, 30)]).boxed();
        let terminal_session = TerminalSession { attached, input: typed.as_bytes(), sizes };
        let ended = terminal_session.run(&engine, &mut output, &CancellationToken::new()).await;
        (ended, [out.text(), remarks.text()])
    }

    #[tokio::test]
    async fn what_is_typed_reaches_the_program_and_its_end_does_too() {
        let (ended, [out, _]) = terminal_session(&["cat"], "one\ntwo", false).await;
        assert_eq!((ended, out.as_str()), (Ok(SessionEnd::Code(0)), "one\ntwo"));
    }

    #[tokio::test]
    async fn a_shell_reads_its_lines_and_ends_with_its_code() {
        let (ended, [out, err]) =
            terminal_session(&["sh"], "echo hi\nfrobnicate\nexit 7\necho no\n", false).await;
        assert_eq!(ended, Ok(SessionEnd::Code(7)));
        assert_eq!((out.as_str(), err.as_str()), ("hi\n", "sh: frobnicate: not found\n"));
        let (_, [out, err]) = terminal_session(&["sh"], "frobnicate\n", true).await;
        assert_eq!((out.as_str(), err.as_str()), ("sh: frobnicate: not found\n", ""), "a terminal has one");
    }

    #[tokio::test(start_paused = true)]
    async fn the_size_of_the_terminal_is_the_programs() {
        let (_, [out, _]) = terminal_session(&["sh"], "sleep 1\nstty size\n", true).await;
        assert_eq!(out, "30 100\n");
    }

    #[tokio::test(start_paused = true)]
    async fn being_told_to_stop_ends_the_session_and_not_the_program() {
        let (engine, attached) = attach(&["sleep", "60"], false).await;
        let id = attached.id.clone();
        let cancel = CancellationToken::new();
        let style = OutputStyle::default();
        let mut output =
            Output::new(false, style, style, Box::new(Shared::default()), Box::new(Shared::default()));
        let terminal_session =
            TerminalSession { attached, input: tokio::io::empty(), sizes: stream::pending().boxed() };
        let stopped = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(terminal_session.run(&engine, &mut output, &cancel), stopped);
        assert_eq!(ended, Ok(SessionEnd::Cancelled));
        assert_eq!(engine.exec_ended(&id).await, Ok(None));
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_the_session() {
        let (engine, attached) = attach(&["cat"], false).await;
        let style = OutputStyle::default();
        let mut output = Output::new(false, style, style, Box::new(Closed), Box::new(Closed));
        let (ours, mut theirs) = tokio::io::duplex(64);
        let terminal_session = TerminalSession { attached, input: ours, sizes: stream::pending().boxed() };
        theirs.write_all(b"x\n").await.unwrap();
        let cancel = CancellationToken::new();
        assert_eq!(terminal_session.run(&engine, &mut output, &cancel).await, Ok(SessionEnd::Unread));
    }
}
