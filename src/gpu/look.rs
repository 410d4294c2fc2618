//! Looks at an engine's containers and what each claims of the GPUs: one list,
//! and a question about a single container only where no label answers it.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::claim::{self, Claim};
use crate::engine::{Container, Engine, Error};

/// Questions at once.
const AT_ONCE: usize = 16;

/// A container and what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GpuClaim {
    pub(crate) container: Container,
    pub(crate) claim: Claim,
    /// Its labels say so.
    pub(crate) labelled: bool,
    /// It has every device of the machine without having asked for one. That
    /// is no claim: what it computes on shows by its processes.
    pub(crate) privileged: bool,
}

/// Every container, in the order of the list. One of ours claims its GPUs
/// until it is removed; another one only while it is not stopped, since
/// nothing says that it will ever start again.
///
/// # Errors
/// The engine cannot be asked.
pub(crate) async fn claimants(engine: &dyn Engine) -> Result<Vec<GpuClaim>, Error> {
    again(engine, &[]).await
}

/// The same after an earlier look: one list, and questions only about
/// containers that are new or ran again since, for what a container was
/// created with never changes.
///
/// # Errors
/// As [`claimants`].
pub(crate) async fn again(engine: &dyn Engine, earlier: &[GpuClaim]) -> Result<Vec<GpuClaim>, Error> {
    let asked = stream::iter(engine.containers().await?).map(|container| async move {
        let known = |container, claim, labelled, privileged| {
            Ok(Some(GpuClaim { container, claim, labelled, privileged }))
        };
        let said = claim::by_labels(&container.labels);
        let labelled = said.is_some();
        let said = said.unwrap_or_default();
        // Anybody can write labels; those of ours say all there is.
        if labelled && container.is_managed() || is_stopped(&container) {
            return known(container, said, labelled, false);
        }
        let before = earlier.iter().find(|one| one.container.id == container.id);
        if let Some(one) = before.filter(|one| !is_stopped(&one.container)) {
            return known(container, one.claim.clone(), labelled, one.privileged);
        }
        // One that is gone by now claims nothing.
        let Some(detail) = engine.container(&container.id).await? else { return Ok(None) };
        let claim = claim::both(said, claim::by_devices(&detail.devices));
        known(container, claim, labelled, detail.devices.privileged)
    });
    let found: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn is_stopped(container: &Container) -> bool {
    container.state.has_ended()
}
