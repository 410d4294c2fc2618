//! Looks at an engine's containers and what each claims of the GPUs: one list,
//! and a question about a single container only where no label answers it.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::claim::{self, Claim};
use crate::engine::{Container, Engine, Error};

/// Questions at once.
const AT_ONCE: usize = 16;

/// A container and what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    pub container: Container,
    pub claim: Claim,
    /// Its labels say so.
    pub labelled: bool,
}

/// Every container, in the order of the list. One of ours claims its GPUs
/// until it is removed; another one only while it is not stopped, since
/// nothing says that it will ever start again.
///
/// # Errors
/// The engine cannot be asked.
pub async fn claimants(engine: &dyn Engine) -> Result<Vec<Claimant>, Error> {
    let asked = stream::iter(engine.containers().await?).map(|container| async move {
        if let Some(claim) = claim::by_labels(&container.labels) {
            return Ok(Some(Claimant { container, claim, labelled: true }));
        }
        if matches!(container.state.as_str(), "exited" | "dead" | "removing") {
            return Ok(Some(Claimant { container, claim: Claim::default(), labelled: false }));
        }
        // One that is gone by now claims nothing.
        let devices = engine.devices(&container.id).await?;
        Ok(devices.map(|devices| {
            let claim = claim::by_devices(&devices);
            Claimant { container, claim, labelled: false }
        }))
    });
    let found: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
