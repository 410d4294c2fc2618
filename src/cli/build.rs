//! `build`: plans, then carries the plan out and reports.

use std::path::PathBuf;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::args::BuildArgs;
use super::check;
use super::environment::now;
use super::error::CliError;
use super::exit::Exit;
use super::plan;
use super::report;
use super::session::Session;
use super::signals::{self, Signals};
use crate::build::{self, BuildEnvironment, GivenEnvironment, Options, RunEnd, WholeRun, space};
use crate::model::event::Event;
use crate::plan::pins::PinnedPlan;
use crate::plan::registries::may_push;
use crate::plan::{Plan, PlannedRun};
use crate::spec::Spec;
use crate::ui::{self, log};

/// A key of the data, and what stands there.
pub(super) type DataField = (&'static str, Value);

pub(crate) async fn run(session: &Session, args: &BuildArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    run_for(session, &signals, args, None).await
}

/// The same for a command that builds what it wrote: `facts` of that command
/// are put into the data.
pub(super) async fn run_for(
    session: &Session,
    signals: &Signals,
    args: &BuildArgs,
    facts: Option<DataField>,
) -> Result<Exit, CliError> {
    let (spec, graph) = session.spec()?;
    let mut selected = plan::select(session, signals, &spec, &graph, &args.selection, !args.dry_run).await?;
    if let Some(unchanged) = &selected.unchanged {
        return nothing(session, args, unchanged).await;
    }
    selected.selection.push = args.push;
    if args.push {
        let stand_in = session.bases.keys().next().map(String::as_str);
        may_push(&graph, &selected.selection.nodes, stand_in).map_err(CliError::usage)?;
    }
    let environment = surroundings(session, args, &spec)?;
    let engine = session.engine().await?;
    let registry = session.registry(&spec);
    let mut pins = session.pins()?;
    pins.locked = args.locked;
    let stack = (&spec, &graph);
    let context = plan::context(session, stack, engine.as_ref(), registry.as_ref(), &pins);
    if args.dry_run {
        let planned = crate::plan::plan(&context, &selected.selection).await?;
        let mut output = session.output();
        plan::show(&planned, None, selected.branchless.as_deref(), &mut output);
        planned.snapshot.unpinned().iter().for_each(|note| output.note(note));
        output.finish()?;
        return Ok(Exit::Done);
    }
    let pinned = PinnedPlan::make(&context, &selected.selection).await?;
    if pinned.planned.plan.builds().next().is_some() {
        space::check(&pinned.planned.snapshot).map_err(CliError::engine)?;
        let missing = environment.missing_secrets(&spec, &graph, &pinned.planned);
        if !missing.is_empty() {
            return Err(CliError::problems(missing));
        }
        check::uids(session, &spec, pinned.planned.new_owners(&spec, &graph))?;
    }
    let locks = session.locks(&pinned.planned.snapshot.engine.id)?;
    // From here on something is written: nothing stands in the way any more.
    let (lock, shown) = (session.lock_file(), session.shown(&session.lock_file()));
    let (planned, new) = pinned.write(&context, &selected.selection, &lock, &shown).await?;
    new.and_then(|new| new.note(&shown)).iter().for_each(|note| session.output().note(note));
    planned.snapshot.moved_tags().iter().for_each(|remark| session.remark(remark));
    session.save_hashes();
    let mut warnings = planned.warnings.clone();
    warnings.extend(environment.exposed(&spec.build, &|file| session.shown(file)));
    let logs = log_folder(session);
    let run = WholeRun {
        spec: &spec,
        graph: &graph,
        environment: &environment,
        locks,
        records: session.records(&planned.snapshot.engine.id),
        options: Options {
            jobs: args.jobs.map_or_else(build::default_jobs, usize::from),
            fail_fast: args.fail_fast,
        },
        engine: engine.clone(),
        registry: registry.clone(),
        logs: &logs,
        log: log::path,
        now: || now().as_second(),
        branchless: selected.branchless,
    };
    carry_out(session, run, planned, warnings, facts, &signals.building()).await
}

async fn carry_out(
    session: &Session,
    run: WholeRun<'_>,
    planned: PlannedRun,
    warnings: Vec<String>,
    facts: Option<DataField>,
    stop: &CancellationToken,
) -> Result<Exit, CliError> {
    let progress = report::start(session, Some(run.logs));
    for text in warnings {
        let _ = progress.events.send(Event::Warning { image: None, text });
    }
    let end = run.carry_out(planned, &progress.events, stop).await;
    let _ = progress.events.send(end.summary());
    report::finish(progress).await?;
    if let Err(error) = &end.recorded {
        let folder = session.cache_dir.display();
        session.remark(&format!("how this run ended is not kept below {folder}: {error}"));
    }
    let exit = if stop.is_cancelled() {
        Exit::Interrupted
    } else if end.outcomes.only_engine_failed() {
        Exit::Engine
    } else if end.outcomes.any_failed() {
        Exit::BuildFailed
    } else {
        Exit::Done
    };
    if !session.json || is_told_by_events(session) {
        end.moved?;
        return Ok(exit);
    }
    let mut output = session.output();
    let mut data = end.to_json();
    if let Some((key, facts)) = facts {
        data[key] = facts;
    }
    output.value(&data);
    // Data is one document, whatever went wrong after it was planned.
    let error = end.moved.err().map(CliError::from);
    error.iter().for_each(|error| output.note(&error.to_string()));
    output.finish()?;
    Ok(error.map_or(exit, |error| error.exit))
}

/// Whether data on stdout is the events themselves.
fn is_told_by_events(session: &Session) -> bool {
    session.progress.resolve(&session.screen) == ui::Progress::Json
}

/// A run that selects nothing still ends as runs end, for those who read its data.
async fn nothing(session: &Session, args: &BuildArgs, why: &str) -> Result<Exit, CliError> {
    let end = RunEnd::default();
    if args.dry_run {
        return plan::nothing(session, why, &Plan::default().to_json());
    }
    if !is_told_by_events(session) {
        return plan::nothing(session, why, &end.to_json());
    }
    let progress = report::start(session, None);
    let _ = progress.events.send(end.summary());
    report::finish(progress).await?;
    session.output().note(why);
    Ok(Exit::Done)
}

/// What holds for every image, by the command line and the spec.
///
/// # Errors
/// A file cannot be read.
pub(super) fn surroundings(
    session: &Session,
    args: &BuildArgs,
    spec: &Spec,
) -> Result<BuildEnvironment, CliError> {
    let file = |file: &PathBuf| session.here.join(file);
    let given = GivenEnvironment {
        ca_bundle: args.ca_bundle.as_ref().map(file),
        secrets: args.secrets.iter().map(|(id, path)| (id.clone(), session.here.join(path))).collect(),
        proxy: session.proxy.clone(),
        no_cache: args.no_cache,
    };
    BuildEnvironment::of_site(given, &spec.build, &|file| session.shown(file)).map_err(CliError::usage)
}

/// One folder for each run, by time, so that old logs are easy to find.
fn log_folder(session: &Session) -> PathBuf {
    let name = format!("{}-{}", now().strftime("%Y%m%dT%H%M%SZ"), std::process::id());
    session.state_dir.join("logs").join(name)
}
