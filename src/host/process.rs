//! Runs a program to its end, feeds it, takes what it writes, and gives up on
//! it in time. No shell: arguments go as they are. Knows nothing of what is run.

use std::future::Future;
use std::io;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// More than any program that we run has to say.
const LONGEST_OUTPUT: u64 = 256 << 20;
/// How long the end of a program that was killed is waited for. One in a
/// system call that hangs does not end.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs a program with this on its standard input, and takes what it writes to
/// those of its outputs that the command pipes. `None`: `stop` was ready before
/// the program had ended. It is killed then, with all that it started where it
/// leads a process group; and also where nobody awaits this any more.
///
/// # Errors
/// The program cannot be run: `NotFound` where there is none of that name.
pub(crate) async fn run(
    mut command: Command,
    input: &[u8],
    stop: impl Future<Output = ()>,
) -> io::Result<Option<Output>> {
    let mut child = command.stdin(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        // One that does not read it may know enough; one that ended early says
        // why by itself. Moved in, so that the program sees the end of it.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(input).await;
        }
    };
    let talk = async {
        let ((), stdout, stderr) = tokio::join!(feed, read(stdout), read(stderr));
        let status = child.wait().await?;
        Ok::<_, io::Error>(Output { status, stdout: stdout?, stderr: stderr? })
    };
    tokio::select! {
        output = talk => return output.map(Some),
        () = stop => {}
    }
    kill(&mut child);
    let _ = tokio::time::timeout(LAST_WAIT, child.wait()).await;
    Ok(None)
}

/// The same where nothing is awaited. `None`: it took longer than the limit.
///
/// # Errors
/// As for [`run`].
pub(crate) fn run_blocking(command: Command, limit: Duration) -> io::Result<Option<Output>> {
    // In a thread of its own, since this one may have a runtime already.
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { run(command, &[], tokio::time::sleep(limit)).await })
    };
    thread::spawn(run).join().unwrap_or_else(|_| Err(io::Error::other("the thread that ran it ended")))
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(LONGEST_OUTPUT).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn kill(child: &mut Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid.filter(|pid| getpgid(Some(*pid)).is_ok_and(|group| group == *pid)) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.start_kill();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_need_not_read_what_it_is_given() {
        // More than a pipe holds, so that the write meets its end.
        let input = "x".repeat(1 << 20);
        let output = run(Command::new("true"), input.as_bytes(), std::future::pending()).await;
        assert!(output.unwrap().unwrap().status.success());
    }
}
