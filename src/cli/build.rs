//! `build`: plans, then carries the plan out and reports.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::args::BuildArgs;
use super::check;
use super::error::CliError;
use super::exit::Exit;
use super::package_index;
use super::pins;
use super::plan::{self, Hashes};
use super::session::Session;
use super::signals::{self, Signals};
use crate::build::recorder::RunRecorder;
use crate::build::request::{BuildEnvironment, Requests};
use crate::build::{self, MoveError, Options, Outcomes, Run, space};
use crate::engine::Engine;
use crate::model::event::{Event, Events};
use crate::model::problem::Problem;
use crate::model::reference::Repository;
use crate::plan::observe::Snapshot;
use crate::plan::pins::PinnedPlan;
use crate::plan::{Plan, PlannedRun, Selection};
use crate::registry::Registry;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::Graph;
use crate::ui::{self, log};

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
    let mut selected = plan::select(session, signals, &spec, &graph, &args.selection).await?;
    if let Some(unchanged) = &selected.unchanged {
        return nothing(session, args, unchanged).await;
    }
    selected.selection.push = args.push;
    if args.push {
        may_send(session, &graph, &selected.selection)?;
    }
    let environment = surroundings(session, args, &spec)?;
    let engine = session.engine().await?;
    let registry = session.registry(&spec);
    let mut pins = session.pins()?;
    pins.locked = args.locked;
    let hashes = Hashes::open(session);
    let stack = (&spec, &graph);
    let context = plan::context(session, stack, engine.as_ref(), registry.as_ref(), &pins, &hashes);
    if args.dry_run {
        let planned = crate::plan::plan(&context, &selected.selection).await?;
        hashes.save(session);
        let mut output = session.output();
        plan::show(&planned, None, selected.branchless.as_deref(), &mut output);
        pins::note_unpinned(&planned.snapshot, &mut output);
        output.finish()?;
        return Ok(Exit::Done);
    }
    let pinned = PinnedPlan::make(&context, &selected.selection).await?;
    hashes.save(session);
    if pinned.planned.plan.builds().next().is_some() {
        room(&pinned.planned.snapshot)?;
        secrets_given(&spec, &graph, &pinned.planned, &environment)?;
        check::uids_of_builds(session, &spec, &graph, &pinned.planned)?;
    }
    // From here on something is written: nothing stands in the way any more.
    let planned = pins::write(session, pinned, &context, &selected.selection).await?;
    pins::remark(&planned.snapshot, session);
    let mut warnings = planned.warnings.clone();
    warnings.extend(package_index::exposed(session, &spec, &environment));
    let (run, recorder) = prepare(session, args, &spec, &graph, planned, &environment, (engine, registry))?;
    let notes = RunNotes { first: warnings, last: selected.branchless, facts };
    carry_out(session, run, &recorder, notes, &signals.building()).await
}

/// A run that selects nothing still ends as runs end, for those who read its data.
async fn nothing(session: &Session, args: &BuildArgs, why: &str) -> Result<Exit, CliError> {
    let (plan, outcomes) = (Plan::default(), Outcomes::default());
    if args.dry_run {
        return plan::nothing(session, why, &plan.to_json());
    }
    let progress = session.progress.resolve(&session.screen);
    if progress == ui::Progress::Json {
        let (events, received) = mpsc::unbounded_channel();
        let _ = events.send(outcomes.summary(&plan));
        drop(events);
        let reporter = ui::reporter(progress, session.screen.stderr_style());
        ui::drive(received, vec![reporter], None).await;
        session.output().note(why);
        return Ok(Exit::Done);
    }
    plan::nothing(session, why, &outcomes.to_json(&plan))
}

/// Whether there is anything to send, and others may have it.
///
/// # Errors
/// No selected image lives in a registry; or `--base` stands another image
/// in, on which nobody else's branch tag should come to stand.
fn may_send(session: &Session, graph: &Graph, selection: &Selection) -> Result<(), CliError> {
    if let Some(name) = session.bases.keys().next() {
        let problem =
            Problem::new(format!("--push sends nothing that is based on a stand-in (--base {name}=…)"));
        return Err(CliError::usage(
            problem.help(
                "leave --push out to build here; or change the base in the spec, and all have the same",
            ),
        ));
    }
    let lives = |repository: &Repository| repository.host().is_some();
    if selection.nodes.iter().any(|&node| graph.node(node).repository.as_ref().is_some_and(lives)) {
        return Ok(());
    }
    let problem = Problem::new("--push: no selected image lives in a registry");
    Err(CliError::usage(problem.help(
        "say `registry: reg.example.org/NAME` in the spec; a project's own image always stays on the engine",
    )))
}

/// The CA bundle and secrets, each a file that can be read now.
pub(super) fn surroundings(
    session: &Session,
    args: &BuildArgs,
    spec: &Spec,
) -> Result<BuildEnvironment, CliError> {
    let ca_bundle = args.ca_bundle.as_ref().map(|file| session.here.join(file));
    let ca_bundle = ca_bundle.or_else(|| spec.build.ca_bundle.clone());
    let secrets: BTreeMap<_, _> =
        args.secrets.iter().map(|(id, file)| (id.clone(), session.here.join(file))).collect();
    for file in ca_bundle.iter().chain(secrets.values()) {
        std::fs::File::open(file).map_err(|error| {
            let problem = Problem::new(format!("{} cannot be read: {error}", session.shown(file).display()));
            CliError::usage(
                problem.help("name a file for --ca-bundle, --secret or `build.ca_bundle` that exists"),
            )
        })?;
    }
    Ok(BuildEnvironment {
        ca_bundle,
        pip_index: package_index::read(session, "pip_index", spec.build.pip_index.as_ref())?,
        apt_mirror: package_index::read(session, "apt_mirror", spec.build.apt_mirror.as_ref())?,
        secrets,
        proxy: session.proxy.clone(),
        no_cache: args.no_cache,
    })
}

/// A step without its secret would fail, or worse, go on without it.
fn secrets_given(
    spec: &Spec,
    graph: &Graph,
    planned: &PlannedRun,
    environment: &BuildEnvironment,
) -> Result<(), CliError> {
    let mut problems = Vec::new();
    for position in planned.plan.builds() {
        let SpecEntry::Image(image) = SpecEntry::of(spec, graph, planned.nodes[position]) else { continue };
        for id in image.secrets.iter().filter(|id| !environment.has_secret(id)) {
            let problem =
                Problem::new(format!("`{}` needs the secret `{id}`, which was not given", image.name));
            problems.push(problem.at(&image.place).help(format!("say --secret {id}=FILE")));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(CliError::problems(problems)) }
}

/// Refuses to begin where the largest base would not even fit.
fn room(snapshot: &Snapshot) -> Result<(), CliError> {
    let largest = snapshot.bases.values().filter_map(|base| base.size).max().unwrap_or(0);
    let root = snapshot.engine.local.then_some(snapshot.engine.root.as_path());
    let Some(free) = root.and_then(|root| space::free(root).ok()) else { return Ok(()) };
    space::enough(free, largest).map_err(|why| {
        let help = format!(
            "make room in {}, e.g. with `docker image rm` for images nobody uses",
            snapshot.engine.root.display()
        );
        CliError::engine(Problem::new(why).help(help))
    })
}

fn prepare(
    session: &Session,
    args: &BuildArgs,
    spec: &Spec,
    graph: &Graph,
    planned: PlannedRun,
    environment: &BuildEnvironment,
    (engine, registry): (Arc<dyn Engine>, Arc<dyn Registry>),
) -> Result<(Run, RunRecorder), CliError> {
    let solves = Requests { spec, graph, planned: &planned, environment }.solves();
    let PlannedRun { plan, snapshot, nodes, .. } = planned;
    let locks = session.locks(&snapshot.engine.id)?;
    let folder = log_folder(session);
    let work: HashSet<_> = plan.work().collect();
    let log = |at: usize| work.contains(&at).then(|| log::path(&folder, &plan.images[at].name));
    let recorder = RunRecorder::new(session.records(&snapshot.engine.id), &plan, &nodes, snapshot);
    let jobs = args.jobs.map_or_else(default_jobs, usize::from);
    let run = Run {
        logs: (0..plan.images.len()).map(log).collect(),
        plan: Arc::new(plan),
        solves,
        engine,
        registry,
        locks,
        options: Options { jobs, fail_fast: args.fail_fast },
    };
    Ok((run, recorder))
}

/// So many images are built at once where nobody says: one for each core.
pub(crate) fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// One folder for each run, by time, so that old logs are easy to find.
fn log_folder(session: &Session) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "log folders are named by the time of the run")]
    let now = jiff::Timestamp::now();
    let name = format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), std::process::id());
    session.state_dir.join("logs").join(name)
}

/// What is told besides what happens.
struct RunNotes {
    /// Warnings before the first image.
    first: Vec<String>,
    /// Why no branch tag moved.
    last: Option<String>,
    facts: Option<DataField>,
}

/// A key of the data, and what stands there.
pub(super) type DataField = (&'static str, Value);

async fn carry_out(
    session: &Session,
    run: Run,
    recorder: &RunRecorder,
    notes: RunNotes,
    stop: &CancellationToken,
) -> Result<Exit, CliError> {
    let (events, received) = mpsc::unbounded_channel();
    for text in notes.first {
        let _ = events.send(Event::Warning { image: None, text });
    }
    let progress = session.progress.resolve(&session.screen);
    let reporter = ui::reporter(progress, session.screen.stderr_style());
    let writer = run.logs.iter().flatten().next().and_then(|log| log.parent()).map(Path::to_owned);
    let reports = tokio::spawn(ui::drive(received, vec![reporter], writer.map(log::LogWriter::new)));
    let plan = run.plan.clone();
    let (outcomes, moved) = build_and_tag(run, notes.last, &events, stop).await;
    keep(session, recorder, &plan, &outcomes);
    let _ = events.send(outcomes.summary(&plan));
    drop(events);
    reports.await.map_err(|e| CliError::bug(format!("the report broke off: {e}")))?;
    if session.json && progress != ui::Progress::Json {
        let mut output = session.output();
        let mut data = outcomes.to_json(&plan);
        if let Some((key, facts)) = notes.facts {
            data[key] = facts;
        }
        output.value(&data);
        // Data is one document, whatever went wrong after it was planned.
        let error = moved.err().map(CliError::from);
        error.iter().for_each(|error| output.note(&error.to_string()));
        output.finish()?;
        return Ok(error.map_or_else(|| exit(&outcomes, stop), |error| error.exit));
    }
    moved?;
    Ok(exit(&outcomes, stop))
}

/// Keeps how each image ended, for the reasons of later runs.
fn keep(session: &Session, recorder: &RunRecorder, plan: &Plan, outcomes: &Outcomes) {
    #[expect(clippy::disallowed_methods, reason = "a record says when it was written")]
    let now = jiff::Timestamp::now().as_second();
    if let Err(error) = recorder.keep(plan, outcomes, now) {
        session.remark(&format!(
            "how this run ended is not kept below {}: {error}",
            session.cache_dir.display()
        ));
    }
}

/// Builds; and if all of the plan is there, puts its tags.
async fn build_and_tag(
    run: Run,
    branchless: Option<String>,
    events: &Events,
    stop: &CancellationToken,
) -> (Outcomes, Result<(), MoveError>) {
    let (plan, engine, registry) = (run.plan.clone(), run.engine.clone(), run.registry.clone());
    let outcomes = build::run(run, events, stop).await;
    let warn = |text: String| {
        let _ = events.send(Event::Warning { image: None, text });
    };
    let complete = match outcomes.complete(&plan) {
        Ok(complete) if !stop.is_cancelled() => complete,
        _ => {
            if !plan.tags.is_empty() || !plan.registry_tags.is_empty() {
                warn("no branch tag and no `latest` moved, since not every selected image is done".into());
            }
            return (outcomes, Ok(()));
        }
    };
    let moved = build::move_tags(&plan, &complete, engine.as_ref(), registry.as_ref(), events).await;
    branchless.into_iter().for_each(warn);
    (outcomes, moved)
}

fn exit(outcomes: &Outcomes, stop: &CancellationToken) -> Exit {
    if stop.is_cancelled() {
        Exit::Interrupted
    } else if outcomes.only_engine_failed() {
        Exit::Engine
    } else if outcomes.any_failed() {
        Exit::BuildFailed
    } else {
        Exit::Done
    }
}
