//! The last commit that touched a file. Git explains; it decides nothing, and
//! where it knows nothing, nothing is said.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::branch::GIT_LIMIT;
use crate::host::process;

/// In words: `last commit 3f2a9c1 "fix the report" by Ann`.
pub(crate) fn last(root: &Path, file: &str) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).stdout(Stdio::piped()).stderr(Stdio::null());
    command.args(["--no-optional-locks", "log", "-1", "--format=%h%x00%s%x00%an", "--", file]);
    let output = process::run_blocking(command, GIT_LIMIT).ok()??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = text.trim_end().split('\0');
    let (hash, subject, author) = (parts.next()?, parts.next()?, parts.next()?);
    output.status.success().then(|| format!("last commit {hash} \"{subject}\" by {author}"))
}
