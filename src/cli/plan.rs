//! `plan`, and what `build` and `graph` share with it.

use std::collections::HashSet;

use serde_json::Value;

use super::args::{self, PlanArgs};
use super::branch;
use super::exit::Exit;
use super::hashes::Hashes;
use super::load::{self, CliError};
use super::pins;
use super::remote;
use super::settings::Settings;
use super::signals::{self, Signals};
use super::since;
use crate::build::history;
use crate::engine::Engine;
use crate::plan::observe::{self, Seen};
use crate::plan::{self, Plan, Selection};
use crate::registry::Registry;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::pins::Pins;
use crate::ui::{Output, human};

pub(crate) async fn run(settings: &Settings, args: &PlanArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    let (spec, graph) = load::spec(settings)?;
    let selected = select(settings, &signals, &spec, &graph, &args.selection).await?;
    if let Some(unchanged) = &selected.unchanged {
        return nothing(settings, unchanged, &Plan::default().to_json());
    }
    let engine = load::engine(settings).await?;
    let registry = load::registry(settings, &spec);
    let pins = pins::load(settings)?;
    let world = World { engine: engine.as_ref(), registry: registry.as_ref(), pins: &pins };
    let made = make_with(settings, &spec, &graph, &world, &selected.selection).await?;
    let checked = match args.check_bases {
        true => Some(pins::check(&spec, &graph, &selected.selection.nodes, &made.seen, &world).await),
        false => None,
    };
    let mut output = settings.output();
    show(&made, checked.as_ref(), selected.branchless.as_deref(), &mut output);
    pins::remark(&made.seen, settings);
    pins::note_unpinned(&made.seen, &mut output);
    output.finish()?;
    Ok(Exit::Done)
}

/// What a command line selects.
pub(crate) struct Selected {
    pub(crate) selection: Selection,
    /// Why no branch tag will be put, if none will.
    pub(crate) branchless: Option<String>,
    /// Says that nothing is selected, since nothing differs.
    pub(crate) unchanged: Option<String>,
}

/// Ends a command that has nothing to do, whatever the engine has.
pub(crate) fn nothing(settings: &Settings, why: &str, data: &Value) -> Result<Exit, CliError> {
    let mut output = settings.output();
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
    made: &Made,
    bases: Option<&pins::Checked>,
    branchless: Option<&str>,
    output: &mut Output,
) {
    let plan = &made.plan;
    made.warnings.iter().for_each(|text| output.note(&format!("warning: {text}")));
    if output.json {
        let mut value = plan.to_json();
        if let Some(bases) = bases {
            value["bases"] = bases.to_json();
        }
        return output.value(&value);
    }
    output.text(&plan.to_string());
    output.note(&sum(plan));
    if let Some(why) = branchless {
        output.note(why);
    }
    if let Some(bases) = bases {
        bases.show(output);
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

/// A plan with what it was made from.
pub(crate) struct Made {
    pub(crate) plan: Plan,
    pub(crate) seen: Seen,
    /// The node of each position of the plan.
    pub(crate) nodes: Vec<NodeId>,
    /// What people should know of registries that did not answer.
    pub(crate) warnings: Vec<String>,
}

/// What is looked at besides the files.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) registry: &'a dyn Registry,
    pub(crate) pins: &'a Pins,
}

/// Looks, and decides.
///
/// # Errors
/// Files, spec.lock, bases, the engine; with `push`, registries.
pub(crate) async fn make(
    settings: &Settings,
    spec: &Spec,
    graph: &Graph,
    engine: &dyn Engine,
    selection: &Selection,
) -> Result<Made, CliError> {
    let (registry, pins) = (load::registry(settings, spec), pins::load(settings)?);
    let world = World { engine, registry: registry.as_ref(), pins: &pins };
    make_with(settings, spec, graph, &world, selection).await
}

/// The same with pins that are not those of spec.lock.
///
/// # Errors
/// Files, bases or the engine.
pub(crate) async fn make_with(
    settings: &Settings,
    spec: &Spec,
    graph: &Graph,
    world: &World<'_>,
    selection: &Selection,
) -> Result<Made, CliError> {
    let hashes = Hashes::open(settings);
    let World { engine, registry, pins } = *world;
    let world = observe::World { engine, registry, pins, hashes: &hashes.cache };
    let seen = observe::observe(spec, graph, &selection.nodes, &world).await?;
    hashes.save(settings);
    let questions = plan::questions(spec, graph, &seen, selection).map_err(CliError::usage)?;
    let (nodes, questions): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
    let (remote, warnings) = remote::look(registry, &questions, &seen.store, selection.push).await?;
    let records = settings.records(&seen.engine.id);
    let memory = history::recall(&records, &seen, &nodes, &questions);
    let plan = plan::plan(questions, &seen.store, &remote, &memory);
    Ok(Made { plan, seen, nodes, warnings })
}

/// What the command line selects.
///
/// # Errors
/// A name that the spec does not have; with `--since`, files that are wrong.
pub(crate) async fn select(
    settings: &Settings,
    signals: &Signals,
    spec: &Spec,
    graph: &Graph,
    args: &args::Selection,
) -> Result<Selected, CliError> {
    let changed = match &args.since {
        Some(revision) => since::changed(settings, signals, spec, graph, revision).await?,
        None => None,
    };
    select_of(spec, graph, args, changed.as_deref())
}

/// The same of what is known to have changed; `None`: of everything.
///
/// # Errors
/// A name that the spec does not have.
pub(crate) fn select_of(
    spec: &Spec,
    graph: &Graph,
    args: &args::Selection,
    changed: Option<&[NodeId]>,
) -> Result<Selected, CliError> {
    let mut named = graph.select(&args.images).map_err(CliError::problems)?;
    let forced = if args.force.is_empty() {
        Vec::new()
    } else {
        graph.select(&args.force).map_err(CliError::problems)?
    };
    let mut unchanged = None;
    if let (Some(revision), Some(changed)) = (&args.since, changed) {
        named.retain(|node| changed.contains(node));
        let none = named.is_empty() && forced.is_empty();
        let what = if args.images.is_empty() { "nothing" } else { "nothing of what is named" };
        unchanged = none.then(|| format!("{what} changed since {revision}"));
    }
    let wanted = [named, forced.clone()].concat();
    let nodes = closure(graph, &wanted);
    let forced: HashSet<_> =
        if args.force_all { nodes.iter().copied().collect() } else { forced.into_iter().collect() };
    // Who builds a project of theirs only does not care for tags of what it stands on.
    let shared = wanted.iter().any(|&node| matches!(SpecEntry::of(spec, graph, node), SpecEntry::Image(_)));
    let (branch, branchless) = match args.branch.clone().map_or_else(|| branch::current(&spec.root), Ok) {
        Ok(branch) => (Some(branch), None),
        Err(why) => {
            (None, shared.then(|| format!("no branch tags are put, since {why}; --branch NAME names one")))
        }
    };
    let selection = Selection { nodes, forced, branch, push: false };
    Ok(Selected { selection, branchless, unchanged })
}

/// Every image of the spec, for commands that only look.
pub(crate) fn everything(graph: &Graph) -> Selection {
    Selection { nodes: graph.order().to_vec(), ..Selection::default() }
}

/// These nodes and all that they stand on, parents first.
fn closure(graph: &Graph, wanted: &[NodeId]) -> Vec<NodeId> {
    let mut all: HashSet<_> = graph.ancestors(wanted).into_iter().collect();
    all.extend(wanted);
    graph.order().iter().copied().filter(|node| all.contains(node)).collect()
}
