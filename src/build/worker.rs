//! Gets one image onto the engine: waits for its lock, then solves or pulls,
//! checks the result, puts the content tag on it. Knows nothing of the rest of
//! the graph but what the image is based on.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::retry::{self, OF_STEPS};
use super::{Run, failed_packages, transfer};
use crate::engine::{self, ImageDetail, SolveError};
use crate::image::solve::Solve;
use crate::model::event::{Event, Events, Failure, Outcome};
use crate::model::labels;
use crate::model::names::ImageId;
use crate::plan::{Action, Location, Planned, Reason};

/// Does what the plan says of the image at a position, but for its push.
pub(super) async fn work(run: &Run, position: usize, events: &Events, cancel: &CancellationToken) -> Outcome {
    let image = &run.plan.images[position];
    let log = run.logs[position].clone();
    let reasons = reasons(image);
    let _ = events.send(Event::ImageStarted { image: image.name.clone(), reasons, log });
    if let Action::Keep(Location::Engine(id)) = &image.action {
        return Outcome::Pushed { id: id.clone() };
    }
    made(run, position, events, cancel).await.unwrap_or_else(|error| ended(run, position, error))
}

/// How an image ends that was not made, or not sent.
pub(super) fn ended(run: &Run, position: usize, error: SolveError) -> Outcome {
    let log = run.logs[position].clone();
    match error {
        SolveError::Cancelled => Outcome::Cancelled,
        SolveError::Failed(failure) => Outcome::Failed { failure: *failure, log },
        SolveError::Engine(error) => Outcome::Failed { failure: engine_failure(&error), log },
    }
}

fn reasons(image: &Planned) -> Vec<String> {
    match &image.action {
        Action::Build(reasons) => reasons.iter().map(Reason::to_string).collect(),
        Action::Fetch { needed_by, .. } => {
            let needed = needed_by.iter().map(|child| format!("in the registry, and needed by {child}"));
            let other =
                needed_by.is_empty().then(|| "the registry has another image of this recipe".to_owned());
            needed.chain(other).collect()
        }
        Action::Keep(_) => vec!["not in its registry yet".to_owned()],
    }
}

async fn made(
    run: &Run,
    position: usize,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Outcome, SolveError> {
    let image = &run.plan.images[position];
    let waits = || {
        let _ = events.send(Event::ImageWaits { image: image.name.clone() });
    };
    let lock = run.locks.lock_image(&image.recipe.digest().to_string(), cancel, waits).await;
    let lock = lock.map_err(|e| failed(format!("cannot lock the image against other runs: {e}")))?;
    let Some(_lock) = lock else { return Err(SolveError::Cancelled) };
    if let Some(id) = built_meanwhile(run, image).await? {
        return Ok(Outcome::BuiltElsewhere { id });
    }
    if let Action::Fetch { digest, .. } = &image.action {
        // Built instead, it would be another image under the same content tag.
        let id = transfer::pull(run, image, digest, events, cancel).await?;
        return Ok(Outcome::Fetched { id });
    }
    let id = build(run, position, events, cancel).await.map_err(|error| traced(run, position, error))?;
    if cancel.is_cancelled() {
        return Err(SolveError::Cancelled);
    }
    run.engine.tag(&id, &image.content).await?;
    Ok(Outcome::Built { id })
}

/// A failed install, with the line that asked for it.
fn traced(run: &Run, position: usize, error: SolveError) -> SolveError {
    match (error, &run.solves[position]) {
        (SolveError::Failed(failure), Some(solve)) => {
            SolveError::Failed(Box::new(failed_packages::traced(*failure, solve)))
        }
        (error, _) => error,
    }
}

/// Solves and checks; gives an image that may be tagged.
async fn build(
    run: &Run,
    position: usize,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<ImageId, SolveError> {
    let image = &run.plan.images[position];
    let mut solve = run.solves[position].clone().expect("what may be built has a solve");
    let base = base(run, image, &mut solve).await?;
    let imports = !solve.cache_from.is_empty();
    let why = match solved(run, image, &solve, base.as_ref(), events, cancel).await {
        Ok(Ok(id)) => return Ok(id),
        Ok(Err(why)) if imports => why,
        Ok(Err(why)) => return Err(unsound(why)),
        Err(SolveError::Failed(failure)) if imports && is_about_registry(image, &failure) => failure.message,
        Err(error) => return Err(error),
    };
    warn(image, format!("with steps imported from a registry, {why}; built again without"), events);
    // What was imported is in the engine's own cache by now, so that goes too.
    solve.cache_from.clear();
    solve.no_cache = true;
    solved(run, image, &solve, base.as_ref(), events, cancel).await?.map_err(unsound)
}

/// Whether a failure is not that of a step, but may be of what it was to be
/// imported from.
fn is_about_registry(image: &Planned, failure: &Failure) -> bool {
    failure.exit_code.is_none() && (failure.engine || failure.message.contains(image.content.registry()))
}

/// An image that was made, or what is wrong with it.
async fn solved(
    run: &Run,
    image: &Planned,
    solve: &Solve,
    base: Option<&ImageDetail>,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Result<ImageId, String>, SolveError> {
    let attempt = || run.engine.solve(solve, events, cancel);
    let solved = retry::patiently(&image.name, OF_STEPS, events, cancel, attempt).await?;
    let detail = run.engine.image(solved.id.as_str()).await?;
    // Engines may leave out layers on purpose; only imports are known to lose some.
    let layers = solved.layers.filter(|_| !solve.cache_from.is_empty());
    Ok(check(image, detail.as_ref(), base, layers).map(|()| solved.id))
}

/// The image, if another run has built this recipe since the plan was made.
async fn built_meanwhile(run: &Run, image: &Planned) -> Result<Option<ImageId>, engine::Error> {
    let found = run.engine.image(&image.content.to_string()).await?;
    Ok(found
        .filter(|detail| image.is_recipe_of(&detail.labels))
        .map(|detail| detail.id)
        .filter(|id| image.present.as_ref() != Some(id)))
}

/// The image it is based on, if the engine has it. A parent of this run has an
/// ID only now, so the label that tells it is written here.
async fn base(run: &Run, image: &Planned, solve: &mut Solve) -> Result<Option<ImageDetail>, SolveError> {
    let mut parents = parents(run, image).await?;
    let Some(name) = solve.config.labels.get(labels::BASE_NAME.name).cloned() else { return Ok(None) };
    let base = match parents.remove(&name) {
        Some(parent) => Some(parent),
        None => run.engine.image(&name).await?,
    };
    if let Some(base) = &base {
        let digest = solve.config.labels.entry(labels::BASE_DIGEST.name.to_owned());
        digest.or_insert_with(|| base.id.to_string());
    }
    Ok(base)
}

/// What the image is based on and copies from, by content tag. All of it must be
/// there: BuildKit would look for it on Docker Hub.
async fn parents(run: &Run, image: &Planned) -> Result<BTreeMap<String, ImageDetail>, SolveError> {
    let mut found = BTreeMap::new();
    for &parent in &image.parents {
        let parent = &run.plan.images[parent];
        let name = parent.content.to_string();
        let Some(detail) = run.engine.image(&name).await? else {
            let message = format!(
                "{} was on the engine as {name} and is gone: something removed it during the run",
                parent.name
            );
            let help = Some("run it again: what is missing is then built".to_owned());
            return Err(SolveError::Failed(Box::new(Failure { message, help, ..Failure::default() })));
        };
        found.insert(name, detail);
    }
    Ok(found)
}

/// What must hold of an image before anything names it. Engines of the 20.10
/// age could lose layers or the config (design: BuildKit). They also mend a
/// history that disagrees, so the layers themselves are compared: with the
/// base's, and in number with `layers`, as many as were asked for.
pub(super) fn check(
    image: &Planned,
    detail: Option<&ImageDetail>,
    base: Option<&ImageDetail>,
    layers: Option<usize>,
) -> Result<(), String> {
    let detail = detail.ok_or("the engine lost the image right after it was there")?;
    if !image.is_recipe_of(&detail.labels) {
        return Err("the image does not have the labels of this recipe".into());
    }
    if base.is_some_and(|base| !detail.diff_ids.starts_with(&base.diff_ids)) {
        return Err("the image does not have all layers of the image it is based on: layers were lost".into());
    }
    match layers {
        Some(wanted) if wanted != detail.diff_ids.len() => Err(format!(
            "the image has {} layers instead of {wanted}: layers were lost",
            detail.diff_ids.len()
        )),
        _ => Ok(()),
    }
}

fn warn(image: &Planned, text: String, events: &Events) {
    let _ = events.send(Event::Warning { image: Some(image.name.clone()), text });
}

pub(super) fn failed(message: String) -> SolveError {
    SolveError::Failed(Box::new(Failure { message, ..Failure::default() }))
}

/// It was built, but must not get a name.
fn unsound(message: String) -> SolveError {
    SolveError::Failed(Box::new(Failure { message, check: true, ..Failure::default() }))
}

fn engine_failure(error: &engine::Error) -> Failure {
    Failure { message: error.to_string(), help: error.help(), engine: true, ..Failure::default() }
}
