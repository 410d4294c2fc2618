//! The branch that git is on. Git names the branch tag; it decides nothing.

use std::path::Path;
use std::process::Command;

/// The branch checked out in the repository that holds `root`.
///
/// # Errors
/// Why there is none, as a fragment for people.
pub(crate) fn current(root: &Path) -> Result<String, String> {
    let git = |args: &[&str]| Command::new("git").arg("-C").arg(root).args(args).output();
    let output = match git(&["symbolic-ref", "--quiet", "--short", "HEAD"]) {
        Ok(output) => output,
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
