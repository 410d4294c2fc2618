//! Builds one image: waits for its lock, solves, checks the result, puts the
//! content tag on it. Knows nothing of the rest of the graph.

use tokio_util::sync::CancellationToken;

use super::{Run, retry};
use crate::engine::{self, ImageDetail, SolveError};
use crate::event::{Event, Events, Failure, Outcome};
use crate::labels;
use crate::names::ImageId;
use crate::plan::{Planned, Reason};
use crate::solve::Solve;

/// Builds the image at a position of the plan.
pub(super) async fn build(
    run: &Run,
    position: usize,
    events: &Events,
    cancel: &CancellationToken,
) -> Outcome {
    let image = &run.plan.images[position];
    let log = run.logs[position].clone();
    let reasons = image.reasons().unwrap_or_default().iter().map(Reason::to_string).collect();
    let _ = events.send(Event::ImageStarted { image: image.name.clone(), reasons, log: log.clone() });
    match build_locked(run, position, events, cancel).await {
        Ok(outcome) => outcome,
        Err(SolveError::Cancelled) => Outcome::Cancelled,
        Err(SolveError::Failed(failure)) => Outcome::Failed { failure: *failure, log },
        Err(SolveError::Engine(error)) => Outcome::Failed { failure: engine_failure(&error), log },
    }
}

async fn build_locked(
    run: &Run,
    position: usize,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Outcome, SolveError> {
    let image = &run.plan.images[position];
    let waits = || {
        let _ = events.send(Event::ImageWaits { image: image.name.clone() });
    };
    let lock = run.locks.take(&image.recipe.digest().to_string(), cancel, waits).await;
    let lock = lock.map_err(|e| failed(format!("cannot lock the image against other runs: {e}")))?;
    let Some(_lock) = lock else { return Err(SolveError::Cancelled) };
    if let Some(id) = built_meanwhile(run, image).await? {
        return Ok(Outcome::BuiltElsewhere { id });
    }
    let mut solve = run.solves[position].clone().expect("a plan's build has a solve");
    let base = base(run, &mut solve).await?;
    let id = retry::solve(run.engine.as_ref(), &solve, events, cancel).await?;
    let detail = run.engine.image(id.as_str()).await?;
    check(image, detail.as_ref(), base.as_ref()).map_err(failed)?;
    if cancel.is_cancelled() {
        return Err(SolveError::Cancelled);
    }
    run.engine.tag(&id, &image.content).await?;
    Ok(Outcome::Built { id })
}

/// The image, if another run has built this recipe since the plan was made.
async fn built_meanwhile(run: &Run, image: &Planned) -> Result<Option<ImageId>, engine::Error> {
    let found = run.engine.image(&image.content.to_string()).await?;
    Ok(found
        .filter(|detail| image.is_recipe_of(&detail.labels))
        .map(|detail| detail.id)
        .filter(|id| image.present.as_ref() != Some(id)))
}

/// The image it stands on, if the engine has it. A parent of this run has an
/// ID only now, so the label that tells it is written here.
async fn base(run: &Run, solve: &mut Solve) -> Result<Option<ImageDetail>, engine::Error> {
    let Some(name) = solve.config.labels.get(labels::BASE_NAME.name).cloned() else { return Ok(None) };
    let base = run.engine.image(&name).await?;
    if let Some(base) = &base {
        let digest = solve.config.labels.entry(labels::BASE_DIGEST.name.to_owned());
        digest.or_insert_with(|| base.id.to_string());
    }
    Ok(base)
}

/// What must hold of an image before anything names it. Engines of the 20.10
/// age could lose layers or the config (design: BuildKit). They also mend a
/// history that disagrees with the layers, so the layers themselves are
/// compared with the base's.
fn check(image: &Planned, detail: Option<&ImageDetail>, base: Option<&ImageDetail>) -> Result<(), String> {
    let detail = detail.ok_or("the engine lost the image right after building it")?;
    if !image.is_recipe_of(&detail.labels) {
        return Err("the engine dropped the image's labels".into());
    }
    match base {
        Some(base) if !detail.diff_ids.starts_with(&base.diff_ids) => {
            Err("the image does not have all layers of the image it stands on: layers were lost".into())
        }
        _ => Ok(()),
    }
}

fn failed(message: String) -> SolveError {
    SolveError::Failed(Box::new(Failure { message, ..Failure::default() }))
}

fn engine_failure(error: &engine::Error) -> Failure {
    Failure { message: error.to_string(), help: error.help(), engine: true, ..Failure::default() }
}
