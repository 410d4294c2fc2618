//! Puts the tags that people use on images that are done: on the engine, then
//! in registries, where no layer moves.

use futures::future::join_all;

use super::outcome::Complete;
use crate::engine::{self, Engine};
use crate::model::event::{Event, Events};
use crate::plan::{Plan, TagMove};
use crate::registry::{self, Registry};

/// Why a tag did not move. Tags moved before stay, and a second run finishes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    #[error(transparent)]
    Engine(#[from] engine::Error),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

/// Puts the plan's tags on those of its images of which it is proved that they
/// may move.
///
/// # Errors
/// The engine or a registry refused.
pub(crate) async fn move_tags(
    plan: &Plan,
    complete: &Complete,
    engine: &dyn Engine,
    registry: &dyn Registry,
    events: &Events,
) -> Result<(), MoveError> {
    for step in &plan.tags {
        let Some(id) = complete.of(step).and_then(|done| done.id.as_ref()) else { continue };
        engine.tag(id, &step.tag).await?;
        let image = plan.images[step.image].name.clone();
        let _ = events.send(Event::TagMoved { image, tag: step.tag.to_string() });
    }
    let moves = plan.registry_tags.iter().map(|step| move_there(plan, complete, registry, events, step));
    // All are tried: of a registry that fails for one, the others are not held up.
    join_all(moves).await.into_iter().collect::<Result<(), _>>().map_err(MoveError::from)
}

async fn move_there(
    plan: &Plan,
    complete: &Complete,
    registry: &dyn Registry,
    events: &Events,
    step: &TagMove,
) -> Result<(), registry::Error> {
    let Some(digest) = complete.of(step).and_then(|done| done.digest.as_ref()) else { return Ok(()) };
    registry.tag(&step.tag.repository(), digest, step.tag.tag().unwrap_or("latest")).await?;
    let now = registry.digest(&step.tag).await?;
    if now.as_ref() != Some(digest) {
        return Err(registry::Error::Failed {
            host: step.tag.registry().to_owned(),
            action: "tag".to_owned(),
            what: step.tag.to_string(),
            cause: format!("it names {} afterwards", now.as_deref().unwrap_or("nothing")),
        });
    }
    let image = plan.images[step.image].name.clone();
    let (tag, digest) = (step.tag.to_string(), digest.clone());
    let _ = events.send(Event::RegistryTagMoved { image, tag, digest });
    Ok(())
}
