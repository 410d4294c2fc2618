//! The last commit that touched a file. Git explains; it decides nothing, and
//! where it knows nothing, nothing is said.

use std::path::Path;
use std::process::{Command, Stdio};

/// In words: `last commit 3f2a9c1 "fix the report" by Ann`.
pub(crate) fn last(root: &Path, file: &str) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["--no-optional-locks", "log", "-1", "--format=%h%x00%s%x00%an", "--", file])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = text.trim_end().split('\0');
    let (hash, subject, author) = (parts.next()?, parts.next()?, parts.next()?);
    output.status.success().then(|| format!("last commit {hash} \"{subject}\" by {author}"))
}
