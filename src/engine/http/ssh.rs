//! Streams to an engine through ssh: one process of the user's own `ssh` for
//! each, at whose other end `docker system dial-stdio` passes bytes on to the
//! engine's socket. Keys, names and ways around are what ssh's own files say.
//! Knows nothing of what is sent.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Join, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::address::SshAddress;

/// How many may log in at once: sshd turns away some of those that come while
/// ten are doing so (`MaxStartups`).
const MOST_AT_ONCE: usize = 6;
/// After this long one that has heard nothing yet counts as logged in: it may
/// be a connection that nobody asks anything on.
const LOGIN: Duration = Duration::from_secs(2);

/// What ssh may say before it is not kept any more.
const LONGEST: u64 = 4 << 10;
/// How long what it said is waited for after its end: a master connection that
/// it leaves behind (`ControlPersist`) keeps its standard error open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Nobody can answer a question of ssh's: several of them run at once. It gives
/// up, and notices that the other machine has vanished, in the times that
/// plain TCP has here.
const OPTIONS: [&str; 5] =
    ["-oBatchMode=yes", "-oConnectTimeout=10", "-oServerAliveInterval=10", "-oServerAliveCountMax=3", "-T"];

/// Those that are logging in at one address.
#[derive(Clone)]
pub(super) struct Logins(Arc<Semaphore>);

impl Default for Logins {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_AT_ONCE)))
    }
}

impl Logins {
    /// Waits for its turn, which ends when the guard is dropped.
    pub(super) async fn turn(&self) -> DropGuard {
        let permit = self.0.clone().acquire_owned().await;
        let over = CancellationToken::new();
        let heard = over.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LOGIN, heard.cancelled()).await;
            drop(permit);
        });
        over.drop_guard()
    }
}

/// A running ssh, which ends with it.
pub(super) struct SshStream {
    /// Until the engine is heard.
    login: Option<DropGuard>,
    pipes: Join<ChildStdout, ChildStdin>,
    /// Waits for its end: why it failed, `None` if it did not.
    ended: JoinHandle<Option<String>>,
    cause: Option<Option<String>>,
}

impl SshStream {
    /// Starts ssh. Whether it gets through shows when something is read.
    ///
    /// # Errors
    /// There is no ssh.
    pub(super) fn open(address: &SshAddress, login: Option<DropGuard>) -> io::Result<Self> {
        let mut command = Command::new("ssh");
        command.args(arguments(address));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for us: what runs over there is ended in order first.
        let child = command.process_group(0).kill_on_drop(true).spawn();
        let mut child = child.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::new(error.kind(), "there is no ssh on PATH"),
            _ => error,
        })?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("ssh has no pipes"));
        };
        let pipes = tokio::io::join(stdout, stdin);
        Ok(Self { login, pipes, ended: tokio::spawn(end(child, stderr)), cause: None })
    }

    /// Why ssh failed, once it has ended.
    fn poll_cause(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        if self.cause.is_none() {
            let ended = ready!(Pin::new(&mut self.ended).poll(cx));
            self.cause = Some(ended.unwrap_or_else(|error| Some(error.to_string())));
        }
        Poll::Ready(self.cause.clone().flatten().map(io::Error::other))
    }

    /// The cause in place of what a pipe says of its end.
    fn poll_failed<T>(&mut self, cx: &mut Context<'_>, error: io::Error) -> Poll<io::Result<T>> {
        self.poll_cause(cx).map(|cause| Err(cause.unwrap_or(error)))
    }
}

impl Drop for SshStream {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

impl AsyncRead for SshStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.pipes).poll_read(cx, buf))?;
        self.login = None;
        if buf.filled().len() > before || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.poll_cause(cx).map(|cause| cause.map_or(Ok(()), Err))
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(Pin::new(&mut self.pipes).poll_write(cx, buf)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(error) => self.poll_failed(cx, error),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_shutdown(cx)
    }
}

/// As Docker's own client calls it (docker/cli, `cli/connhelper/ssh`).
fn arguments(address: &SshAddress) -> Vec<String> {
    let mut words = OPTIONS.map(str::to_owned).to_vec();
    if let Some(user) = &address.user {
        words.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = address.port {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    words.extend(["--".to_owned(), address.host.clone(), "docker".to_owned()]);
    if let Some(socket) = &address.socket {
        words.extend(["--host".to_owned(), format!("unix://{socket}")]);
    }
    words.extend(["system", "dial-stdio"].map(str::to_owned));
    words
}

/// Waits for the end of ssh; why it failed, in its own words. Reads all that it
/// says, so that it never waits for us.
async fn end(mut child: Child, mut stderr: ChildStderr) -> Option<String> {
    let mut said = Vec::new();
    let status = {
        let mut read = std::pin::pin!(async {
            let _ = (&mut stderr).take(LONGEST).read_to_end(&mut said).await;
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        });
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(LAST_WORDS, &mut read).await;
                status
            }
            () = &mut read => child.wait().await,
        }
    };
    match status {
        Ok(status) if status.success() => None,
        Ok(status) => {
            let words = String::from_utf8_lossy(&said);
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            Some(format!("ssh ended with {status}: {}", words.trim_end_matches('.')))
        }
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(text: &str) -> String {
        let words = arguments(&SshAddress::parse(text).unwrap());
        words[OPTIONS.len()..].join(" ")
    }

    #[test]
    fn it_is_called_as_docker_calls_it() {
        assert_eq!(called("gpu1"), "-- gpu1 docker system dial-stdio");
        assert_eq!(called("me@gpu1:2222"), "-l me -p 2222 -- gpu1 docker system dial-stdio");
        assert_eq!(
            called("me@[::1]/run/x.sock"),
            "-l me -- ::1 docker --host unix:///run/x.sock system dial-stdio"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn some_log_in_at_once_and_the_others_wait_until_one_is_heard_or_for_a_while() {
        let logins = Logins::default();
        let mut turns = Vec::new();
        for _ in 0..MOST_AT_ONCE {
            turns.push(logins.turn().await);
        }
        let soon = Duration::from_millis(100);
        assert!(tokio::time::timeout(soon, logins.turn()).await.is_err());
        turns.pop();
        let next = tokio::time::timeout(soon, logins.turn()).await;
        assert!(next.is_ok() && tokio::time::timeout(soon, logins.turn()).await.is_err());
        assert!(tokio::time::timeout(LOGIN, logins.turn()).await.is_ok());
    }

    /// What a program in place of ssh is taken to have died of.
    async fn cause(script: &str) -> Option<String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        end(child, stderr).await
    }

    #[tokio::test]
    async fn its_end_is_told_in_its_own_words() {
        assert_eq!(cause("echo of no account >&2").await, None);
        let denied = cause("echo me@gpu1: Permission denied >&2; echo '(publickey).' >&2; exit 255").await;
        assert_eq!(
            denied.as_deref(),
            Some("ssh ended with exit status: 255: me@gpu1: Permission denied (publickey)")
        );
    }

    #[tokio::test]
    async fn what_it_leaves_behind_is_not_waited_for() {
        let left = tokio::time::timeout(Duration::from_secs(5), cause("sleep 60 & exit 3"));
        assert!(left.await.unwrap().unwrap().contains("exit status: 3"));
    }
}
