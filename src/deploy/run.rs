//! Carrying a request out.

use std::time::Duration;

use serde::Serialize;

use super::MEMLOCK;
use crate::engine::{CreateContainer, Engine, Error};

/// How long a program that cannot run at all takes to show it.
const SETTLE: Duration = Duration::from_millis(200);

/// A container that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployed {
    pub id: String,
    pub name: String,
    /// What could not be as it was asked for, for people.
    pub notes: Vec<String>,
}

/// Creates and starts a container. One that cannot start is removed again, so
/// that the next try finds its name free.
///
/// An engine without the right to raise limits (rootless, or itself in a
/// container) cannot lift the one on locked memory. That limit protects
/// nothing of other users, so the container is then made without lifting it,
/// and a note says so. No other limit is ever given up.
///
/// With an init, a program that is not in the image makes no failure of the
/// start: the container ends at once with code 127. That is looked for.
///
/// # Errors
/// The engine's; where the removal failed too, its message tells both.
pub async fn run(engine: &dyn Engine, request: &CreateContainer) -> Result<Deployed, Error> {
    let error = match started(engine, request).await {
        Ok(deployed) => return Ok(deployed),
        Err(error) => error,
    };
    if !request.ulimits.contains_key(MEMLOCK) || !is_memlock(&error) {
        return Err(error);
    }
    let mut request = request.clone();
    request.ulimits.remove(MEMLOCK);
    let mut deployed = started(engine, &request).await?;
    let note = "locked memory is limited as the engine limits it, which has no right to lift that limit";
    deployed.notes.push(note.into());
    Ok(deployed)
}

async fn started(engine: &dyn Engine, request: &CreateContainer) -> Result<Deployed, Error> {
    let id = engine.create(request).await?;
    let action = format!("start container `{}`", request.name);
    let error = match engine.start(&id).await {
        Ok(()) => match ended(engine, &id).await {
            Some(status) if cannot_run(&status) => {
                let message = format!("its program is not in the image or cannot be run ({status})");
                Error::Refused { action: action.clone(), message }
            }
            status => {
                let notes = status.map(|status| format!("its program has ended already: {status}"));
                return Ok(Deployed { id, name: request.name.clone(), notes: notes.into_iter().collect() });
            }
        },
        Err(error) => error,
    };
    let left = match engine.remove(&id).await {
        Ok(()) => String::new(),
        Err(second) => format!("; it is left behind, since {second}"),
    };
    Err(match error {
        Error::Refused { message, .. } => Error::Refused { action, message: message + &left },
        Error::Broken { cause, .. } => Error::Broken { action, cause: cause + &left },
        other => other,
    })
}

/// The status of a container that ended right after its start. An engine that
/// does not answer this has started it all the same.
async fn ended(engine: &dyn Engine, id: &str) -> Option<String> {
    tokio::time::sleep(SETTLE).await;
    let containers = engine.containers().await.ok()?;
    containers.into_iter().find(|c| c.id == id && c.state == "exited").map(|c| c.status)
}

/// 126 and 127 are what inits and shells say of a program they cannot run.
fn cannot_run(status: &str) -> bool {
    status.starts_with("Exited (126)") || status.starts_with("Exited (127)")
}

/// runc says `error setting rlimit type 8: operation not permitted`, crun
/// `setrlimit `RLIMIT_MEMLOCK`: Operation not permitted`.
fn is_memlock(error: &Error) -> bool {
    let Error::Refused { message, .. } = error else { return false };
    let message = message.to_lowercase();
    let memlock = message.contains("rlimit type 8:") || message.contains("rlimit_memlock");
    memlock && message.contains("operation not permitted")
}
