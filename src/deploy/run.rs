//! Starting a container that was created, and seeing it run.

use serde::Serialize;

use super::assign::Given;
use crate::container::start::{self, StartCheck};
use crate::engine::{CreateContainer, Engine, Error};
use crate::host::lock::StartPermit;

/// A container that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Deployed {
    pub(crate) id: String,
    pub(crate) name: String,
    /// In the order in which its program sees them.
    pub(crate) gpus: Vec<Given>,
    /// The exit code of a program that has ended already.
    pub(crate) ended: Option<i64>,
    /// What could not be as it was asked for, for people.
    pub(crate) notes: Vec<String>,
}

/// Starts it; the exit code if its program has ended already.
///
/// With an init, a program that is not in the image makes no failure of the
/// start: the container ends at once with code 127. That is looked for.
///
/// # Errors
/// The engine's; or that its program cannot run.
pub(crate) async fn start(
    engine: &dyn Engine,
    id: &str,
    request: &CreateContainer,
    slot: Option<StartPermit>,
) -> Result<Option<i64>, Error> {
    let name = request.name.as_str();
    let check = if request.command.is_some() { StartCheck::Close } else { StartCheck::Brief };
    let ended = start::start(engine, id, check, slot).await.map_err(|error| named(error, name))?;
    match ended {
        Some(code) if start::could_not_run(code) => {
            let message =
                format!("its program is not in the image or cannot be run (it ended with code {code})");
            Err(Error::Refused { action: action(name), message })
        }
        other => Ok(other),
    }
}

fn action(name: &str) -> String {
    format!("start container `{name}`")
}

/// People know it by its name.
fn named(error: Error, name: &str) -> Error {
    match error {
        Error::Refused { message, .. } => Error::Refused { action: action(name), message },
        Error::Broken { cause, .. } => Error::Broken { action: action(name), cause },
        other => other,
    }
}
