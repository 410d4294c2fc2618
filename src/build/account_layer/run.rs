//! Making the layer, or finding it made.

use tokio_util::sync::CancellationToken;

use super::{Decision, Layer, decide};
use crate::engine::{self, Engine, ImageDetail, SolveError};
use crate::host::lock::Locks;
use crate::model::account::Account;
use crate::model::event::{Event, Events, Failure};
use crate::model::labels;

/// How an image with the account came to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// By this call.
    Built(ImageDetail),
    /// By somebody else, while this call waited for them.
    Elsewhere(ImageDetail),
}

/// The image, if it was made before.
///
/// # Errors
/// The engine's.
pub(crate) async fn found(engine: &dyn Engine, layer: &Layer) -> Result<Option<ImageDetail>, engine::Error> {
    let image = engine.image(&layer.content.to_string()).await?;
    Ok(image.filter(|image| is_made(image, layer)))
}

fn is_made(image: &ImageDetail, layer: &Layer) -> bool {
    image.labels.get(labels::RECIPE.name) == Some(&layer.recipe)
        && decide(&image.labels, account(layer)) == Decision::Skip
}

fn account(layer: &Layer) -> &Account {
    layer.solve.user.as_ref().expect("the layer is of a user")
}

/// Makes the image with the account on `base`, unless another run does; tags
/// it when it was checked.
///
/// # Errors
/// The account cannot be in this image, the engine failed, or it was
/// cancelled.
pub(crate) async fn run(
    engine: &dyn Engine,
    locks: &Locks,
    base: &ImageDetail,
    layer: &Layer,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Made, SolveError> {
    let waits = || {
        let _ = events.send(Event::ImageWaits { image: layer.solve.node.clone() });
    };
    let lock = locks.lock_image(&layer.recipe, cancel, waits).await;
    let lock = lock.map_err(|e| failed(format!("cannot lock the image against other runs: {e}")))?;
    let Some(_lock) = lock else { return Err(SolveError::Cancelled) };
    if let Some(image) = found(engine, layer).await? {
        return Ok(Made::Elsewhere(image));
    }
    let solved = engine.solve(&layer.solve, events, cancel).await?;
    let image = engine.image(solved.id.as_str()).await?;
    let image = check(image, base, layer)?;
    if cancel.is_cancelled() {
        return Err(SolveError::Cancelled);
    }
    engine.tag(&image.id, &layer.content).await?;
    Ok(Made::Built(image))
}

/// What must hold before anything names it. A tag that moved since it was
/// looked at would give another base.
fn check(image: Option<ImageDetail>, base: &ImageDetail, layer: &Layer) -> Result<ImageDetail, SolveError> {
    let unsound = |message: &str| {
        let failure = Failure { message: message.to_owned(), check: true, ..Failure::default() };
        SolveError::Failed(Box::new(failure))
    };
    let image = image.ok_or_else(|| unsound("the engine lost the image right after it was there"))?;
    if !is_made(&image, layer) {
        return Err(unsound("the image does not have the labels of this recipe"));
    }
    if !image.diff_ids.starts_with(&base.diff_ids) {
        return Err(unsound("it stands on another image than was looked at: the tag moved meanwhile"));
    }
    Ok(image)
}

fn failed(message: String) -> SolveError {
    SolveError::Failed(Box::new(Failure { message, ..Failure::default() }))
}
