//! Looks at an engine for a list: containers and images in one call each, and
//! a single container only where no label says which GPUs it holds.

use super::held::Held;
use crate::engine::{Container, ContainerDetail, Engine, Error, Image};
use crate::gpu::claims::{self, GpuClaim};

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
    Ok(claims::read_of(engine, containers, &[]).await?.into_iter().map(held).collect())
}

/// What a container holds of which all is known; a stopped one, what it would
/// hold if it were started.
pub(crate) fn seen(container: Container, detail: &ContainerDetail) -> Seen {
    held(GpuClaim::from_devices(container, &detail.devices))
}

fn held(GpuClaim { container, claim, source, .. }: GpuClaim) -> Seen {
    Seen { held: source.map(|_| Held::new(&claim, &container.labels)), container }
}
