//! The branch that git is on. Git names the branch tag; it decides nothing.

use std::path::Path;
use std::process::Command;

/// The branch checked out in the repository that holds `root`; `None` without
/// git, outside a repository, and on a detached head.
pub fn current(root: &Path) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["symbolic-ref", "--quiet", "--short", "HEAD"])
        .output()
        .ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}
