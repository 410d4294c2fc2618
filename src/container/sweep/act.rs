//! Does what was decided about one container, if it still is what it was.

use super::{Due, Step, Times};
use crate::engine::{Engine, Error};

/// Seconds between asking a container's processes to end and killing them.
const GRACE: u32 = 10;

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// Somebody did something with it since it was looked at, so it was left alone.
    Changed,
    /// Somebody removed it.
    Gone,
}

/// Stops or removes it; a warning is done by being told. By its id, and after
/// another look: if its owner has just started it again, it stays.
///
/// # Errors
/// The engine's.
pub(crate) async fn carry_out(engine: &dyn Engine, step: &Step) -> Result<End, Error> {
    match step {
        Step::Warn(_) | Step::Spare { .. } => Ok(End::Done),
        Step::Stop(due) => match still(engine, due).await? {
            End::Done => engine.stop(&due.id, GRACE).await.map(|()| End::Done),
            other => Ok(other),
        },
        // The engine itself refuses to remove one that runs by now.
        Step::Remove(due) => match still(engine, due).await? {
            End::Done => engine.remove(&due.id).await.map(|()| End::Done),
            other => Ok(other),
        },
    }
}

async fn still(engine: &dyn Engine, due: &Due) -> Result<End, Error> {
    let Some(detail) = engine.container(&due.id).await? else { return Ok(End::Gone) };
    Ok(if Times::from(&detail) == due.times { End::Done } else { End::Changed })
}
