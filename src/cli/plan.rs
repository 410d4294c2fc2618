//! `plan`, and what `build` and `graph` share with it.

use std::collections::HashSet;

use super::args::{self, PlanArgs};
use super::branch;
use super::exit::Exit;
use super::hashes::Hashes;
use super::load::{self, Trouble};
use super::settings::Settings;
use crate::engine::Engine;
use crate::graph::{Graph, NodeId};
use crate::observe::{self, Seen};
use crate::plan::{self, Plan, Selection};
use crate::report::Output;
use crate::spec::Spec;
use crate::subject::Subject;

pub async fn run(settings: &Settings, args: &PlanArgs) -> Result<Exit, Trouble> {
    let (spec, graph) = load::spec(settings)?;
    let selected = select(&spec, &graph, &args.selection)?;
    let engine = load::engine(settings).await?;
    let made = make(settings, &spec, &graph, engine.as_ref(), &selected.selection).await?;
    let mut output = settings.output();
    show(&made.plan, selected.branchless.as_deref(), &mut output);
    output.finish()?;
    Ok(Exit::Done)
}

/// What a command line selects.
pub struct Selected {
    pub selection: Selection,
    /// Why no branch tag will be put, if none will.
    pub branchless: Option<String>,
}

/// Prints a plan, for people with a line that sums it up.
pub fn show(plan: &Plan, branchless: Option<&str>, output: &mut Output) {
    if output.json {
        return output.value(&plan.to_json());
    }
    output.text(&plan.to_string());
    let (build, all) = (plan.builds().count(), plan.images.len());
    output.note(&match build {
        0 if plan.is_noop() => format!("nothing to build: all {all} are up to date"),
        0 => format!("nothing to build: all {all} are up to date, but not all tags are"),
        _ => format!("{build} to build, {} up to date", all - build),
    });
    if let Some(why) = branchless {
        output.note(why);
    }
}

/// A plan with what it was made from.
pub struct Made {
    pub plan: Plan,
    pub seen: Seen,
    /// The node of each position of the plan.
    pub nodes: Vec<NodeId>,
}

/// Looks, and decides.
///
/// # Errors
/// Files, bases or the engine.
pub async fn make(
    settings: &Settings,
    spec: &Spec,
    graph: &Graph,
    engine: &dyn Engine,
    selection: &Selection,
) -> Result<Made, Trouble> {
    let hashes = Hashes::open(settings);
    let seen = observe::observe(spec, graph, &selection.nodes, engine, &hashes.cache).await?;
    hashes.save(settings);
    let questions = plan::questions(spec, graph, &seen, selection).map_err(Trouble::Usage)?;
    let (nodes, questions): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
    Ok(Made { plan: plan::plan(questions, &seen.store), seen, nodes })
}

/// What the command line selects.
///
/// # Errors
/// A name that the spec does not have.
pub fn select(spec: &Spec, graph: &Graph, args: &args::Selection) -> Result<Selected, Trouble> {
    let named = graph.select(&args.images).map_err(Trouble::Problems)?;
    let forced = if args.force.is_empty() {
        Vec::new()
    } else {
        graph.select(&args.force).map_err(Trouble::Problems)?
    };
    let wanted = if args.images.is_empty() { named } else { [named, forced.clone()].concat() };
    let nodes = closure(graph, &wanted);
    let forced: HashSet<_> =
        if args.force_all { nodes.iter().copied().collect() } else { forced.into_iter().collect() };
    let shared = nodes.iter().any(|&node| matches!(Subject::of(spec, graph, node), Subject::Image(_)));
    let (branch, branchless) = match args.branch.clone().map_or_else(|| branch::current(&spec.root), Ok) {
        Ok(branch) => (Some(branch), None),
        Err(why) => {
            (None, shared.then(|| format!("no branch tags are put, since {why}; --branch NAME names one")))
        }
    };
    Ok(Selected { selection: Selection { nodes, forced, branch }, branchless })
}

/// Every image of the spec, for commands that only look.
pub fn everything(graph: &Graph) -> Selection {
    Selection { nodes: graph.order().to_vec(), ..Selection::default() }
}

/// These nodes and all that they stand on, parents first.
fn closure(graph: &Graph, wanted: &[NodeId]) -> Vec<NodeId> {
    let mut all: HashSet<_> = graph.ancestors(wanted).into_iter().collect();
    all.extend(wanted);
    graph.order().iter().copied().filter(|node| all.contains(node)).collect()
}
