//! `container retire --save`: the image first, then the removal.

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Scene;
use super::show::Report;
use crate::cli::load::CliError;
use crate::cli::signals;
use crate::container::installed::{self, Target};
use crate::container::save::{self, Failed, Kept, Left, Save};
use crate::container::{self, Retirement};
use crate::engine;
use crate::host::lock::{ImageLock, Locks};
use crate::model::problem::Problem;

pub(crate) async fn run(
    scene: &Scene<'_>,
    retirement: &Retirement,
    target: &Target,
) -> Result<Report, CliError> {
    let signals = signals::listen().map_err(|e| CliError::bug(format!("no signal handlers: {e}")))?;
    let decided = decide(scene, retirement).await?;
    if scene.args.dry_run {
        return dry_run(scene, retirement, target, &decided).await;
    }
    let working = signals.working();
    let _lock = lock(scene, &decided, working.token()).await?;
    // Another run may have been here while this one waited.
    let retirement = scene.decide(&scene.engine.containers().await?)?;
    let decided = decide(scene, &retirement).await?;
    let look = save::look(scene.engine, &decided).await.map_err(|failed| refused(&decided, failed))?;
    let installed = installed::of(scene.engine, retirement.id(), &look.changes).await;
    scene.settings.output().note(&format!("saving {} as {}", retirement.name(), decided.target()));
    // Nobody looks at the steps: there is one, and it runs nothing.
    let (events, _) = mpsc::unbounded_channel();
    let saved = match save::run(scene.engine, &decided, &look, &events, working.token()).await {
        Ok(saved) => saved,
        Err(kept) => return Err(told(scene, &retirement, &decided, *kept)),
    };
    drop(working);
    let mut report = Report::new(&retirement, &installed, target, false);
    report.saved(&saved);
    if let Err(error) = container::retire(scene.engine, &retirement.clone().stopped()).await {
        let note = format!("{} is saved as {}, and still there", retirement.name(), decided.target());
        scene.settings.output().note(&note);
        return Err(error.into());
    }
    Ok(report)
}

async fn decide(scene: &Scene<'_>, retirement: &Retirement) -> Result<Save, CliError> {
    let (containers, images) = tokio::try_join!(scene.engine.containers(), scene.engine.images())?;
    #[expect(clippy::disallowed_methods, reason = "the tag says when it was saved")]
    let now = Timestamp::now();
    let decided = save::decide(retirement, scene.args.save.as_deref(), &containers, &images, now);
    decided.map_err(|refusal| {
        let problem = Problem::new(refusal.to_string()).help(refusal.help());
        if refusal.is_usage() { CliError::Usage(problem) } else { CliError::Refused(problem) }
    })
}

async fn dry_run(
    scene: &Scene<'_>,
    retirement: &Retirement,
    target: &Target,
    decided: &Save,
) -> Result<Report, CliError> {
    let look = save::look(scene.engine, decided).await.map_err(|failed| refused(decided, failed))?;
    let installed = installed::of(scene.engine, retirement.id(), &look.changes).await;
    let mut report = Report::new(retirement, &installed, target, true);
    report.would_save(decided, &look);
    Ok(report)
}

async fn lock(
    scene: &Scene<'_>,
    decided: &Save,
    cancel: &tokio_util::sync::CancellationToken,
) -> Result<ImageLock, CliError> {
    let dir = &scene.settings.lock_dir;
    let unusable = |error: std::io::Error| {
        let problem = Problem::new(format!("{} cannot be used for locks: {error}", dir.display()));
        CliError::Usage(
            problem.help("set DS01_LOCK_DIR to a folder that every builder of this engine can write"),
        )
    };
    let locks = Locks::open(dir, &scene.engine.facts().await?.id).map_err(unusable)?;
    let waits =
        || scene.settings.output().note("waiting: another container of the same person is being saved");
    locks.take(&decided.lock(), cancel, waits).await.map_err(unusable)?.ok_or(CliError::Interrupted)
}

/// How the container was left, then why.
fn told(scene: &Scene<'_>, retirement: &Retirement, decided: &Save, kept: Kept) -> CliError {
    let mut output = scene.settings.output();
    let name = retirement.name();
    output.note(&match &kept.left {
        Left::AsItWas => format!("{name} was not saved; it is kept"),
        Left::Restarted(Ok(())) => format!("{name} was not saved; it is kept, and runs again"),
        Left::Restarted(Err(error)) => {
            format!("{name} was not saved; it is kept, but does not run: {error}")
        }
        Left::Stopped => format!(
            "{name} was not saved; it is kept, but stopped, since nobody keeps its GPUs for it: \
             `ds01-build container start {name}` starts it if they are free"
        ),
    });
    kept.notes.iter().for_each(|note| output.note(&format!("note: {note}")));
    refused(decided, kept.failed)
}

fn refused(decided: &Save, failed: Failed) -> CliError {
    let problem = |failed: &Failed| {
        let problem = Problem::new(format!("{} cannot be made: {failed}", decided.target()));
        match failed.help() {
            Some(help) => problem.help(help),
            None => problem,
        }
    };
    match failed {
        Failed::BaseGone | Failed::TooLarge { .. } => CliError::Refused(problem(&failed)),
        Failed::Engine(error) => CliError::Engine(error),
        Failed::Unsound(message) => {
            CliError::Engine(engine::Error::Refused { action: format!("make {}", decided.target()), message })
        }
        Failed::Cancelled => CliError::Interrupted,
    }
}
