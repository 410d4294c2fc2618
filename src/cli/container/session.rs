//! Speaking with a program of a container until it ends: what is typed goes in,
//! what it writes comes out. Knows no terminal but its sizes.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::{Attached, Engine, Error};
use crate::ui::Output;

/// A program is not always known to have ended when its output has.
const END: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// How often a program that is just starting is told its size.
const TRIES: u32 = 20;

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The program's exit code.
    Code(i64),
    /// Told to stop. The program may go on without us.
    Cancelled,
    /// Nobody reads what it writes.
    Unread,
}

/// Both ends of a session.
pub(crate) struct Session<I, S> {
    pub(crate) attached: Attached,
    /// Its end is the end of the program's standard input.
    pub(crate) input: I,
    /// Columns and rows, whenever they change.
    pub(crate) sizes: S,
}

impl<I> Session<I, BoxStream<'static, (u16, u16)>>
where
    I: AsyncRead + Send + Unpin + 'static,
{
    /// # Errors
    /// The connection broke, or the engine does not say how the program ended.
    pub(crate) async fn run(
        self,
        engine: &Arc<dyn Engine>,
        output: &mut Output,
        cancel: &CancellationToken,
    ) -> Result<Ended, Error> {
        let Self { attached, mut input, mut sizes } = self;
        let Attached { id, input: mut theirs, output: mut wrote } = attached;
        // Ended with the session.
        let mut beside = JoinSet::new();
        beside.spawn(async move {
            let _ = tokio::io::copy(&mut input, &mut theirs).await;
            let _ = theirs.shutdown().await;
        });
        let (sized, at) = (engine.clone(), id.clone());
        beside.spawn(async move {
            while let Some((columns, rows)) = sizes.next().await {
                for _ in 0..TRIES {
                    if sized.resize(&at, columns, rows).await.is_ok() {
                        break;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        loop {
            let chunk = tokio::select! {
                chunk = wrote.next() => chunk,
                () = cancel.cancelled() => return Ok(Ended::Cancelled),
            };
            let Some(chunk) = chunk.transpose()? else { break };
            output.bytes(chunk.stderr, &chunk.bytes);
            if output.is_closed() {
                return Ok(Ended::Unread);
            }
        }
        code(engine.as_ref(), &id).await.map(Ended::Code)
    }
}

async fn code(engine: &dyn Engine, id: &str) -> Result<i64, Error> {
    let asked = async {
        loop {
            if let Some(code) = engine.exec_ended(id).await? {
                return Ok(code);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(END, asked).await.unwrap_or_else(|_| {
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
    use crate::ui::Look;

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
    async fn session(
        command: &[&str],
        typed: &'static str,
        tty: bool,
    ) -> (Result<Ended, Error>, [String; 2]) {
        let (engine, attached) = attach(command, tty).await;
        let (out, remarks) = (Shared::default(), Shared::default());
        let look = Look::default();
        let mut output = Output::new(false, look, look, Box::new(out.clone()), Box::new(remarks.clone()));
        let sizes = stream::iter([(100, 30)]).boxed();
        let session = Session { attached, input: typed.as_bytes(), sizes };
        let ended = session.run(&engine, &mut output, &CancellationToken::new()).await;
        (ended, [out.text(), remarks.text()])
    }

    #[tokio::test]
    async fn what_is_typed_reaches_the_program_and_its_end_does_too() {
        let (ended, [out, _]) = session(&["cat"], "one\ntwo", false).await;
        assert_eq!((ended, out.as_str()), (Ok(Ended::Code(0)), "one\ntwo"));
    }

    #[tokio::test]
    async fn a_shell_reads_its_lines_and_ends_with_its_code() {
        let (ended, [out, err]) = session(&["sh"], "echo hi\nfrobnicate\nexit 7\necho no\n", false).await;
        assert_eq!(ended, Ok(Ended::Code(7)));
        assert_eq!((out.as_str(), err.as_str()), ("hi\n", "sh: frobnicate: not found\n"));
        let (_, [out, err]) = session(&["sh"], "frobnicate\n", true).await;
        assert_eq!((out.as_str(), err.as_str()), ("sh: frobnicate: not found\n", ""), "a terminal has one");
    }

    #[tokio::test(start_paused = true)]
    async fn the_size_of_the_terminal_is_the_programs() {
        let (_, [out, _]) = session(&["sh"], "sleep 1\nstty size\n", true).await;
        assert_eq!(out, "30 100\n");
    }

    #[tokio::test(start_paused = true)]
    async fn being_told_to_stop_ends_the_session_and_not_the_program() {
        let (engine, attached) = attach(&["sleep", "60"], false).await;
        let id = attached.id.clone();
        let cancel = CancellationToken::new();
        let look = Look::default();
        let mut output =
            Output::new(false, look, look, Box::new(Shared::default()), Box::new(Shared::default()));
        let session = Session { attached, input: tokio::io::empty(), sizes: stream::pending().boxed() };
        let stopped = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(session.run(&engine, &mut output, &cancel), stopped);
        assert_eq!(ended, Ok(Ended::Cancelled));
        assert_eq!(engine.exec_ended(&id).await, Ok(None));
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_the_session() {
        let (engine, attached) = attach(&["cat"], false).await;
        let look = Look::default();
        let mut output = Output::new(false, look, look, Box::new(Closed), Box::new(Closed));
        let (ours, mut theirs) = tokio::io::duplex(64);
        let session = Session { attached, input: ours, sizes: stream::pending().boxed() };
        theirs.write_all(b"x\n").await.unwrap();
        let cancel = CancellationToken::new();
        assert_eq!(session.run(&engine, &mut output, &cancel).await, Ok(Ended::Unread));
    }
}
