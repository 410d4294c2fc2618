//! What runs in a container for somebody who enters it, and the session with
//! it: what is typed goes in, what it writes comes out. Knows no terminal.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::{Attached, Container, ContainerDetail, ContainerState, Engine, Error, Exec};
use crate::model::labels::read;
use crate::model::problem::Problem;

/// A program is not always known to have ended when its output has.
const END: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// How often a program that is just starting is told its size.
const TRIES: u32 = 20;

/// Opens the account's own shell. No program but the shell itself is relied
/// on, since a small image has neither `getent` nor `awk`. It is not told to be
/// a login shell: `/etc/profile` of most systems replaces PATH, and with it the
/// image's own Python would be gone.
const SHELL: &str = r#"
me=$(id -u 2>/dev/null) shell=
while IFS=: read -r name _ uid _ _ _ last || [ -n "$uid" ]; do
  if [ "$uid" = "$me" ]; then shell=$last; export LOGNAME="$name" USER="$name"; break; fi
  uid=
done 2>/dev/null </etc/passwd
case $shell in */nologin | */false) shell= ;; esac
if [ ! -x "$shell" ]; then
  shell=/bin/sh
  if [ -x /bin/bash ]; then shell=/bin/bash; fi
fi
export SHELL="$shell"
exec "$shell"
"#;

/// The program to run: this command, or a shell where it is empty; `terminal`
/// is `$TERM` of the terminal in front of which somebody sits. As the container's own user; where that is root, as the
/// account that the container's labels or its name say it was made for.
pub(crate) fn program(
    command: &[String],
    terminal: Option<&str>,
    container: &Container,
    detail: Option<&ContainerDetail>,
) -> Exec {
    let command = match command {
        [] => ["/bin/sh", "-c", SHELL, "sh"].map(str::to_owned).to_vec(),
        command => command.to_vec(),
    };
    Exec {
        command,
        user: account(container, detail.map_or("", |detail| &detail.user)),
        workdir: String::new(),
        env: terminal.iter().map(|term| format!("TERM={term}")).collect(),
        tty: terminal.is_some(),
        stdin: true,
    }
}

/// Empty: the container's own user.
fn account(container: &Container, own: &str) -> String {
    if !matches!(own.split(':').next(), Some("" | "0" | "root")) {
        return String::new();
    }
    if let Some(setup) = read::user_setup(&container.labels) {
        return format!("{}:{}", setup.uid, setup.gid);
    }
    container.uid().map(|uid| uid.to_string()).unwrap_or_default()
}

/// That nothing can be run in it as it is, and how to change that.
pub(crate) fn not_running(container: &Container) -> Problem {
    let name = &container.name;
    if container.state == ContainerState::Paused {
        let problem = Problem::new(format!("container `{name}` is paused"));
        return problem.help(format!("`docker unpause {name}` lets it go on"));
    }
    Problem::new(format!("container `{name}` does not run ({})", container.status))
        .help(format!("`ds01-build container start {name}` starts it"))
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    /// The program's exit code.
    Code(i64),
    /// Told to stop. The program may go on without us.
    Cancelled,
    /// Nobody reads what it writes.
    Unread,
}

/// Both ends of a session.
pub(crate) struct TerminalSession<I, S> {
    pub(crate) attached: Attached,
    /// Its end is the end of the program's standard input.
    pub(crate) input: I,
    /// Columns and rows, whenever they change.
    pub(crate) sizes: S,
}

impl<I> TerminalSession<I, BoxStream<'static, (u16, u16)>>
where
    I: AsyncRead + Send + Unpin + 'static,
{
    /// `write` is given what the program writes, and whether to its standard
    /// error; it says whether anybody still reads.
    ///
    /// # Errors
    /// The connection broke, or the engine does not say how the program ended.
    pub(crate) async fn run(
        self,
        engine: &Arc<dyn Engine>,
        mut write: impl FnMut(bool, &[u8]) -> bool,
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
            if !write(chunk.stderr, &chunk.bytes) {
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
    use futures::stream;

    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::model::names::ImageId;

    fn user(name: &str, labels: &[(&str, &str)], own: &str) -> String {
        let container = Container {
            id: "1".into(),
            name: name.into(),
            image: "x".into(),
            image_id: ImageId::new("sha256:1"),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            state: "running".into(),
            status: "Up".into(),
            created: 0,
        };
        let detail = ContainerDetail { user: own.into(), ..ContainerDetail::default() };
        program(&[], None, &container, Some(&detail)).user
    }

    #[test]
    fn nobody_is_root_in_a_container_that_was_made_for_an_account() {
        let setup = [("ds01.has_user_setup", "true"), ("ds01.user_id", "1001"), ("ds01.group_id", "2001")];
        let old = [
            ("aime.mlc.DS01_HAS_USER_SETUP", "true"),
            ("aime.mlc.DS01_USER_ID", "1001"),
            ("aime.mlc.DS01_GROUP_ID", "2001"),
        ];
        for root in ["", "0", "root", "0:0", "root:root"] {
            assert_eq!(user("thesis._.1001", &setup, root), "1001:2001");
            assert_eq!(user("thesis._.1001", &old, root), "1001:2001");
            assert_eq!(user("thesis._.1001", &[], root), "1001", "as the name says");
            assert_eq!(user("code", &[], root), "", "made for nobody: the container's own user");
        }
        for own in ["1001:2001", "1001", "ann", "node"] {
            assert_eq!(user("thesis._.1001", &setup, own), "", "the container's own user");
        }
    }

    #[test]
    fn a_terminal_is_given_only_where_there_is_one() {
        let container = Container {
            id: "1".into(),
            name: "x".into(),
            image: "x".into(),
            image_id: ImageId::new("sha256:1"),
            labels: [].into(),
            state: "running".into(),
            status: "Up".into(),
            created: 0,
        };
        let words = vec!["python".to_owned(), "a b.py".to_owned()];
        let exec = program(&words, Some("xterm"), &container, None);
        assert_eq!((exec.command, exec.tty, exec.stdin), (words.clone(), true, true));
        assert_eq!(exec.env, ["TERM=xterm"]);
        let exec = program(&words, None, &container, None);
        assert_eq!((exec.command, exec.tty, exec.stdin, exec.env), (words, false, true, Vec::new()));
    }

    async fn attach(command: &[&str], tty: bool) -> (Arc<dyn Engine>, Attached) {
        let engine = FakeEngine::new();
        engine.add_container(Container {
            id: "1".into(),
            name: "x".into(),
            image: "x".into(),
            image_id: ImageId::new("sha256:1"),
            labels: [].into(),
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
        let mut outputs = [String::new(), String::new()];
        let write = |stderr, bytes: &[u8]| {
            outputs[usize::from(stderr)] += std::str::from_utf8(bytes).unwrap();
            true
        };
        let sizes = stream::iter([(100, 30)]).boxed();
        let terminal_session = TerminalSession { attached, input: typed.as_bytes(), sizes };
        let ended = terminal_session.run(&engine, write, &CancellationToken::new()).await;
        (ended, outputs)
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
        let terminal_session =
            TerminalSession { attached, input: tokio::io::empty(), sizes: stream::pending().boxed() };
        let stopped = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(terminal_session.run(&engine, |_, _| true, &cancel), stopped);
        assert_eq!(ended, Ok(SessionEnd::Cancelled));
        assert_eq!(engine.exec_ended(&id).await, Ok(None));
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_the_session() {
        let (engine, attached) = attach(&["cat"], false).await;
        let (ours, mut theirs) = tokio::io::duplex(64);
        let terminal_session = TerminalSession { attached, input: ours, sizes: stream::pending().boxed() };
        theirs.write_all(b"x\n").await.unwrap();
        let cancel = CancellationToken::new();
        assert_eq!(terminal_session.run(&engine, |_, _| false, &cancel).await, Ok(SessionEnd::Unread));
    }
}
