//! Looks at an engine for a list: containers and images in one call each, and
//! a single container only where no label says which GPUs it holds.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::held::Held;
use crate::engine::{Container, ContainerDetail, Engine, Error, Image};
use crate::gpu::claim;

/// Questions at once.
const AT_ONCE: usize = 16;

/// A container, and what it holds of the GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) container: Container,
    /// `None`: nothing says so. It does not run, and it may never do so again.
    pub(crate) held: Option<Held>,
}

/// What an engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) containers: Vec<Seen>,
    pub(crate) images: Vec<Image>,
}

/// The containers that are to be shown, and all images.
///
/// # Errors
/// The engine cannot be asked.
pub(crate) async fn look(engine: &dyn Engine, shown: impl Fn(&Container) -> bool) -> Result<Sight, Error> {
    let (containers, images) = tokio::try_join!(engine.containers(), engine.images())?;
    let containers = containers.into_iter().filter(|container| shown(container)).collect();
    Ok(Sight { containers: holding(engine, containers).await?, images })
}

/// What each of these holds. One that is gone by now is left out.
///
/// # Errors
/// The engine cannot be asked.
pub(crate) async fn holding(engine: &dyn Engine, containers: Vec<Container>) -> Result<Vec<Seen>, Error> {
    let asked = stream::iter(containers).map(|container| async move {
        if let Some(held) = by_list(&container) {
            return Ok(Some(Seen { container, held }));
        }
        Ok(engine.container(&container.id).await?.map(|detail| seen(container, &detail)))
    });
    asked.buffered(AT_ONCE).try_filter_map(|seen| async move { Ok(seen) }).try_collect().await
}

/// What a container holds of which all is known; a stopped one, what it would
/// hold if it were started.
pub(crate) fn seen(container: Container, detail: &ContainerDetail) -> Seen {
    let claim = claim::by_labels(&container.labels);
    let claim = claim.unwrap_or_else(|| claim::by_devices(&detail.devices));
    let held = Some(Held::new(&claim, &container.labels));
    Seen { container, held }
}

/// What the list says without a further question; `None`: that has to be asked.
fn by_list(container: &Container) -> Option<Option<Held>> {
    let labelled = claim::by_labels(&container.labels);
    let stopped = container.state.has_ended();
    match labelled {
        Some(claim) => Some(Some(Held::new(&claim, &container.labels))),
        None => stopped.then_some(None),
    }
}
