//! `plan`, and what `build` and `graph` share with it.

use serde_json::Value;

use super::args::{self, PlanArgs};
use super::error::CliError;
use super::exit::Exit;
use super::git;
use super::session::Session;
use super::signals::{self, Signals};
use super::since;
use crate::engine::Engine;
use crate::plan::pins::BaseCheck;
use crate::plan::{self, Context, Plan, PlannedRun, Selected, Selection, SelectionRequest};
use crate::registry::Registry;
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::Pins;
use crate::ui::{Output, human};

pub(crate) async fn run(session: &Session, args: &PlanArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    let (spec, graph) = session.spec()?;
    let selected = select(session, &signals, &spec, &graph, &args.selection, false).await?;
    if let Some(unchanged) = &selected.unchanged {
        return nothing(session, unchanged, &Plan::default().to_json());
    }
    let engine = session.engine().await?;
    let registry = session.registry(&spec);
    let pins = session.pins()?;
    let context = context(session, (&spec, &graph), engine.as_ref(), registry.as_ref(), &pins);
    let planned = plan::plan(&context, &selected.selection).await?;
    let mut checks = None;
    if args.check_bases {
        checks = Some(plan::pins::check(&context, &planned.snapshot, &selected.selection.nodes).await);
    }
    let mut output = session.output();
    show(&planned, checks.as_deref(), selected.branchless.as_deref(), &mut output);
    planned.snapshot.moved_tags().iter().for_each(|remark| session.remark(remark));
    planned.snapshot.unpinned().iter().for_each(|note| output.note(note));
    output.finish()?;
    Ok(Exit::Done)
}

/// Ends a command that has nothing to do, whatever the engine has.
pub(crate) fn nothing(session: &Session, why: &str, data: &Value) -> Result<Exit, CliError> {
    let mut output = session.output();
    if output.json {
        output.value(data);
    }
    output.note(why);
    output.finish()?;
    Ok(Exit::Done)
}

/// Prints a plan, for people with a line that sums it up; and what became of
/// its bases, if that was asked.
pub(crate) fn show(
    planned: &PlannedRun,
    bases: Option<&[BaseCheck]>,
    branchless: Option<&str>,
    output: &mut Output,
) {
    let plan = &planned.plan;
    planned.warnings.iter().for_each(|text| output.note(&format!("warning: {text}")));
    if output.json {
        let mut value = plan.to_json();
        if let Some(bases) = bases {
            value["bases"] = bases.iter().map(BaseCheck::to_json).collect();
        }
        return output.value(&value);
    }
    output.text(&plan.to_string());
    output.note(&sum(plan));
    if let Some(why) = branchless {
        output.note(why);
    }
    if let Some(bases) = bases {
        bases.iter().filter_map(BaseCheck::behind).for_each(|line| output.line(&line));
        let warnings = bases.iter().filter_map(BaseCheck::warning);
        warnings.for_each(|warning| output.note(&warning));
        BaseCheck::summary(bases).iter().for_each(|note| output.note(note));
    }
}

fn sum(plan: &Plan) -> String {
    let (build, fetch, push) = (plan.builds().count(), plan.fetches().count(), plan.pushes().count());
    let all = plan.images.len();
    let pushes = if push > 0 { format!(", {push} to push") } else { String::new() };
    match build {
        0 if plan.is_noop() || push > 0 => format!("nothing to build: {}{pushes}", human::up_to_date(all)),
        0 => format!("nothing to build: {}, but not all tags are", human::up_to_date(all)),
        _ if fetch > 0 => format!("{build} to build, {fetch} to pull, {} up to date{pushes}", all - build),
        _ => format!("{build} to build, {} up to date{pushes}", all - build),
    }
}

/// What plans of this command are made from.
pub(crate) fn context<'a>(
    session: &'a Session,
    (spec, graph): (&'a Spec, &'a Graph),
    engine: &'a dyn Engine,
    registry: &'a dyn Registry,
    pins: &'a Pins,
) -> Context<'a> {
    Context { spec, graph, engine, registry, pins, hashes: session.hashes(), records: session.records_dir() }
}

/// Observes and decides, with the pins of spec.lock.
///
/// # Errors
/// Files, spec.lock, bases, the engine; with `push`, registries.
pub(crate) async fn make(
    session: &Session,
    spec: &Spec,
    graph: &Graph,
    engine: &dyn Engine,
    selection: &Selection,
) -> Result<PlannedRun, CliError> {
    let (registry, pins) = (session.registry(spec), session.pins()?);
    let context = context(session, (spec, graph), engine, registry.as_ref(), &pins);
    Ok(plan::plan(&context, selection).await?)
}

/// What the command line selects, to be built or only to be looked at.
///
/// # Errors
/// A name that the spec does not have, or that is not the caller's to build;
/// with `--since`, files that are wrong.
pub(crate) async fn select(
    session: &Session,
    signals: &Signals,
    spec: &Spec,
    graph: &Graph,
    args: &args::Selection,
    builds: bool,
) -> Result<Selected, CliError> {
    let changed = match &args.since {
        Some(revision) => since::changed(session, signals, spec, graph, revision).await?,
        None => None,
    };
    let request = SelectionRequest {
        images: &args.images,
        force: &args.force,
        force_all: args.force_all,
        since: args.since.as_deref().zip(changed.as_deref()),
        branch: branch(session, spec, args.branch.as_deref()),
        caller: &session.caller(Some(spec)),
        builds,
    };
    let selected = request.select(spec, graph)?;
    selected.left_out.iter().for_each(|note| session.output().note(note));
    Ok(selected)
}

/// These nodes and all that they are based on, for commands that only look.
pub(crate) fn select_nodes(
    session: &Session,
    spec: &Spec,
    graph: &Graph,
    nodes: &[NodeId],
    said: Option<&str>,
) -> Selection {
    Selection { branch: branch(session, spec, said).ok(), ..Selection::with_bases(graph, nodes) }
}

/// The branch that branch tags are named after: the one that was said, that git
/// is on, or else that CI builds.
///
/// # Errors
/// Why git is on none.
fn branch(session: &Session, spec: &Spec, said: Option<&str>) -> Result<String, String> {
    if let Some(said) = said {
        return Ok(said.to_owned());
    }
    git::current_branch(&spec.root).or_else(|why| session.ci_branch.clone().ok_or(why))
}
