//! The folder of the host that is mounted at `/workspace`.

use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::cli::load::Trouble;
use crate::cli::settings::Settings;
use crate::people::People;
use crate::problem::Problem;

/// The one that was named, or `workspace/NAME` in the owner's home.
///
/// # Errors
/// The owner has no home here.
pub fn of(
    settings: &Settings,
    said: Option<&Path>,
    name: &str,
    account: &Account,
) -> Result<PathBuf, Trouble> {
    if let Some(folder) = said {
        return Ok(settings.here.join(folder));
    }
    let person = settings.people.by_uid(account.uid).map_err(|why| {
        Trouble::Refused(
            Problem::new(format!("the workspace cannot be found: {why}")).help("say --workspace DIR"),
        )
    })?;
    match person.and_then(|person| person.home) {
        Some(home) => Ok(home.join("workspace").join(name)),
        None => {
            let problem = Problem::new(format!(
                "{} (uid {}) has no home folder on this machine to take the workspace from",
                account.login, account.uid
            ));
            Err(Trouble::Refused(problem.help("say --workspace DIR")))
        }
    }
}

/// Makes a missing workspace, owned by the person it is for.
///
/// # Errors
/// It cannot be made, or the caller may not write to it.
pub fn make(workspace: &Path, account: &Account) -> Result<(), Trouble> {
    if workspace.parent().is_none() {
        let problem =
            Problem::new("`/` cannot be a workspace: it would give the container the whole machine");
        return Err(Trouble::Refused(problem.help("say a folder of the project with --workspace DIR")));
    }
    if workspace.is_dir() {
        return writable(workspace);
    }
    let trouble = |error: std::io::Error| {
        let problem = Problem::new(format!("the workspace {} cannot be made: {error}", workspace.display()));
        Trouble::Refused(problem.help("say another with --workspace DIR"))
    };
    std::fs::create_dir_all(workspace).map_err(trouble)?;
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(workspace, Some(account.uid), Some(account.gid)).map_err(trouble)?;
    }
    Ok(())
}

/// Nobody mounts what they could not write themselves.
fn writable(workspace: &Path) -> Result<(), Trouble> {
    rustix::fs::access(workspace, rustix::fs::Access::WRITE_OK).map_err(|error| {
        let problem =
            Problem::new(format!("you may not write to the workspace {}: {error}", workspace.display()));
        Trouble::Refused(problem.help("say another with --workspace DIR"))
    })
}
