//! Runs a program that asks the user database, and gives up on it in time.
//!
//! No shell: arguments go as they are. Knows nothing of what is asked.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// More than a group with ten thousand members takes.
const LONGEST_ANSWER: u64 = 4 << 20;
const PAUSE: Duration = Duration::from_millis(1);

/// What a program said.
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) status: ExitStatus,
}

/// Runs to the end, or for `patience`.
///
/// # Errors
/// A sentence's end: `there is no program …`, `no answer within 5 s`.
pub(crate) fn ask(program: &Path, args: &[&str], patience: Duration) -> Result<Answer, String> {
    let end = Instant::now() + patience;
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // So that what it has started ends with it.
        .process_group(0)
        .spawn()
        .map_err(|error| cannot_run(program, &error))?;
    let (tell, told) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        // Left behind if the program hangs: it holds nothing but the pipe.
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = stdout.take(LONGEST_ANSWER).read_to_end(&mut bytes);
            let _ = tell.send(read.map(|_| bytes));
        });
    }
    let silent = || format!("no answer within {} s", patience.as_secs_f32());
    let bytes = match told.recv_timeout(end.saturating_duration_since(Instant::now())) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(stopped(child, error.to_string())),
        Err(_) => return Err(stopped(child, silent())),
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                return Ok(Answer { text: String::from_utf8_lossy(&bytes).into_owned(), status });
            }
            Ok(None) if Instant::now() < end => thread::sleep(PAUSE),
            Ok(None) => return Err(stopped(child, silent())),
            Err(error) => return Err(stopped(child, error.to_string())),
        }
    }
}

fn cannot_run(program: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no program `{}`", program.display()),
        _ => format!("`{}` cannot be run: {error}", program.display()),
    }
}

/// Ends it with all that it has started. One that cannot be ended, as in a
/// system call that hangs, is not waited for here.
fn stopped(mut child: Child, why: String) -> String {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    thread::spawn(move || child.wait());
    why
}
