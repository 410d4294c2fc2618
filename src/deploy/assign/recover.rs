//! What killed runs left behind: containers that hold GPUs by their labels and
//! that nobody will start.

use super::World;
use crate::engine::{Container, ContainerState};
use crate::model::labels::INTERFACE;

/// Ours, and never started: either somebody is about to, or was killed.
pub(crate) fn is_unfinished(container: &Container) -> bool {
    let ours = container.labels.get(INTERFACE.name).map(String::as_str) == Some("orchestration");
    container.state == ContainerState::Created && ours && container.is_managed()
}

/// Whether nobody is at it any more, as far as can be seen from here.
pub(crate) fn is_left_behind(world: &World<'_>, container: &Container) -> bool {
    let free = || matches!(world.locks.living(&container.name), Ok(Some(_)));
    world.facts.local && is_unfinished(container) && free()
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// The list is not what it was.
    pub(crate) changed: bool,
    /// For people.
    pub(crate) notes: Vec<String>,
}

/// Removes those at which nobody is any more. What cannot be removed counts:
/// it may be running by now.
///
/// An engine of another machine is used by runs there, which this one's locks
/// do not tell of.
pub(crate) async fn left_behind(world: &World<'_>, containers: &[Container], mine: Option<&str>) -> Left {
    let mut left = Left::default();
    if !world.facts.local {
        return left;
    }
    for container in containers.iter().filter(|one| is_unfinished(one) && Some(&*one.id) != mine) {
        let Ok(Some(_living)) = world.locks.living(&container.name) else { continue };
        left.changed = true;
        // It may have been started since it was listed. From here on nobody
        // of ours can, and without force nothing that runs is removed.
        let now = world.engine.container(&container.id).await;
        if !matches!(now, Ok(Some(now)) if now.state == ContainerState::Created) {
            continue;
        }
        if world.engine.remove(&container.id).await.is_ok() {
            let name = &container.name;
            left.notes.push(format!(
                "`{name}`, which was created and never started, is removed: its deploy was killed"
            ));
        }
    }
    left
}
