//! Making or fetching an image on the way to a container, with progress.

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::build::account_layer::{self, Layer, Made};
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;
use crate::engine::{self, Engine, ImageDetail, SolveError};
use crate::host::lock::Locks;
use crate::model::event::{Event, Events, Failure, Outcome};
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::ui;

/// Why a deploy ends early.
#[derive(Debug)]
pub(crate) enum Ended {
    CliError(CliError),
    /// The report has told already.
    Told(Exit),
}

impl From<CliError> for Ended {
    fn from(trouble: CliError) -> Self {
        Self::CliError(trouble)
    }
}

impl From<engine::Error> for Ended {
    fn from(error: engine::Error) -> Self {
        Self::CliError(error.into())
    }
}

/// Puts the account on an image, unless that was done before.
///
/// # Errors
/// It cannot be put there.
pub(crate) async fn lay(
    settings: &Settings,
    signals: &Signals,
    engine: &dyn Engine,
    engine_id: &str,
    base: &ImageDetail,
    layer: &Layer,
    why: &str,
) -> Result<ImageDetail, Ended> {
    let locks = locks(settings, engine_id)?;
    let working = signals.working();
    let stop = working.token();
    let begin = Begin { name: &layer.solve.node, reason: why, fetch: false };
    watched(settings, begin, stop, async |events| {
        let made = account_layer::run(engine, &locks, base, layer, events, stop).await?;
        Ok(match made {
            Made::Built(image) => (Outcome::Built { id: image.id.clone() }, image),
            Made::Elsewhere(image) => (Outcome::BuiltElsewhere { id: image.id.clone() }, image),
        })
    })
    .await
}

/// The locks of this machine's users of an engine.
///
/// # Errors
/// Their folder cannot be used.
pub(crate) fn locks(settings: &Settings, engine_id: &str) -> Result<Locks, CliError> {
    Locks::open(&settings.lock_dir, engine_id).map_err(|error| {
        let problem =
            Problem::new(format!("{} cannot be used for locks: {error}", settings.lock_dir.display()));
        CliError::Usage(
            problem.help("set DS01_LOCK_DIR to a folder that every builder of this engine can write"),
        )
    })
}

/// Pulls an image.
///
/// # Errors
/// The engine's, or the registry's by its words.
pub(crate) async fn pull(
    settings: &Settings,
    engine: &dyn Engine,
    reference: &Reference,
) -> Result<ImageDetail, Ended> {
    let name = NodeName::new(reference.to_string());
    let begin = Begin { name: &name, reason: "asked for with --pull", fetch: true };
    watched(settings, begin, &CancellationToken::new(), async |events| {
        let id = engine.pull(reference, &name, events).await?;
        let lost = || engine::Error::Refused {
            action: format!("pull {reference}"),
            message: "it does not have the image after the pull".into(),
        };
        let image = engine.image(id.as_str()).await?.ok_or_else(lost)?;
        Ok((Outcome::Fetched { id }, image))
    })
    .await
}

/// What a report begins with.
struct Begin<'a> {
    name: &'a NodeName,
    reason: &'a str,
    fetch: bool,
}

/// Reports a piece of work as a run of one image.
async fn watched<T>(
    settings: &Settings,
    begin: Begin<'_>,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&Events) -> Result<(Outcome, T), SolveError>,
) -> Result<T, Ended> {
    let (events, received) = mpsc::unbounded_channel();
    let progress = settings.progress.settle(&settings.screen);
    let reporter = ui::reporter(progress, settings.screen.stderr_look());
    let reports = tokio::spawn(ui::drive(received, vec![reporter], None));
    let (started, image) = (Instant::now(), begin.name.clone());
    let (build, fetch) = if begin.fetch { (vec![], vec![image]) } else { (vec![image], vec![]) };
    let _ = events.send(Event::RunStarted { build, fetch, push: vec![], keep: vec![], jobs: 1 });
    let reasons = vec![begin.reason.to_owned()];
    let _ = events.send(Event::ImageStarted { image: begin.name.clone(), reasons, log: None });
    let (outcome, done) = match work(&events).await {
        Ok((outcome, value)) => (outcome, Ok(value)),
        Err(error) => failed(error, stop),
    };
    let took = started.elapsed();
    let _ = events.send(Event::ImageFinished { image: begin.name.clone(), outcome: outcome.clone(), took });
    let _ = events.send(summary(&outcome, took));
    drop(events);
    reports.await.map_err(|e| CliError::bug(format!("the report broke off: {e}")))?;
    done.map_err(Ended::Told)
}

fn failed<T>(error: SolveError, stop: &CancellationToken) -> (Outcome, Result<T, Exit>) {
    let (outcome, exit) = match error {
        SolveError::Cancelled => (Outcome::Cancelled, Exit::Interrupted),
        SolveError::Failed(failure) => (Outcome::Failed { failure: *failure, log: None }, Exit::BuildFailed),
        SolveError::Engine(error) => {
            let failure = Failure {
                message: error.to_string(),
                help: error.help(),
                engine: true,
                ..Failure::default()
            };
            (Outcome::Failed { failure, log: None }, Exit::Engine)
        }
    };
    (outcome, Err(if stop.is_cancelled() { Exit::Interrupted } else { exit }))
}

fn summary(outcome: &Outcome, took: std::time::Duration) -> Event {
    let one = |is: bool| usize::from(is);
    Event::RunFinished {
        built: one(matches!(outcome, Outcome::Built { .. } | Outcome::BuiltElsewhere { .. })),
        fetched: one(matches!(outcome, Outcome::Fetched { .. })),
        kept: 0,
        failed: one(matches!(outcome, Outcome::Failed { .. })),
        blocked: 0,
        cancelled: one(matches!(outcome, Outcome::Cancelled)),
        pushed: 0,
        took,
    }
}
