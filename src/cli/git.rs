//! What git says: the branch that it is on, and the last commit of a file. Git
//! names the branch tag and explains; it decides nothing.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::host::process;

/// How long a question to git may take.
const GIT_LIMIT: Duration = Duration::from_secs(30);

/// The branch checked out in the repository that holds `root`.
///
/// # Errors
/// Why there is none, as a fragment for people.
pub(crate) fn current_branch(root: &Path) -> Result<String, String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(["symbolic-ref", "--quiet", "--short", "HEAD"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = match process::run_blocking(command, GIT_LIMIT) {
        Ok(Some(output)) => output,
        Ok(None) => return Err("git does not answer".into()),
        Err(_) => return Err("git is not installed".into()),
    };
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !name.is_empty() {
        return Ok(name);
    }
    // With --quiet git is silent about a detached head, and only about that.
    let said = String::from_utf8_lossy(&output.stderr);
    match said.lines().next().map(|line| line.trim_start_matches("fatal: ").trim_end_matches(':')) {
        None => Err("git is on no branch here (detached head)".into()),
        Some(line) if line.starts_with("not a git repository") => Err("this is no git repository".into()),
        Some(line) => Err(format!("git says: {line}")),
    }
}

/// The last commit that touched a file, in words; nothing where git knows none:
/// `last commit 3f2a9c1 "fix the report" by Ann`.
pub(crate) fn last_commit(root: &Path, file: &str) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).stdout(Stdio::piped()).stderr(Stdio::null());
    command.args(["--no-optional-locks", "log", "-1", "--format=%h%x00%s%x00%an", "--", file]);
    let output = process::run_blocking(command, GIT_LIMIT).ok()??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = text.trim_end().split('\0');
    let (hash, subject, author) = (parts.next()?, parts.next()?, parts.next()?);
    output.status.success().then(|| format!("last commit {hash} \"{subject}\" by {author}"))
}
