//! `graph`: the images with their states.

use std::collections::HashMap;

use super::args::{GraphArgs, GraphFormat};
use super::error::CliError;
use super::exit::Exit;
use super::plan;
use super::session::Session;
use crate::plan::{Action, Location, PlannedRun, Reason, Selection};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

pub(crate) async fn run(session: &Session, args: &GraphArgs) -> Result<Exit, CliError> {
    let (spec, graph) = session.spec()?;
    // A graph is still a graph where no engine answers, or a base is missing.
    let (states, unknown) = match states(session, &spec, &graph).await {
        Ok(states) => (states, None),
        Err(error) => (HashMap::new(), Some(error)),
    };
    let state = |node: NodeId| states.get(&node).cloned().unwrap_or_else(|| "unknown".to_owned());
    let mut output = session.output();
    match args.format {
        GraphFormat::Tree if !session.json => output.text(&graph.to_tree(&state)),
        GraphFormat::Tree | GraphFormat::Json => output.value(&graph.to_json(&state)),
        GraphFormat::Dot => output.text(&graph.to_dot(&state)),
        GraphFormat::Mermaid => output.text(&graph.to_mermaid(&state)),
    }
    if let Some(error) = unknown {
        // Data is one document: the graph.
        if session.json {
            output.note(&format!("the states are unknown: {}", error));
            output.finish()?;
            return Ok(error.exit);
        }
        output.note("the states are unknown:");
        output.finish()?;
        return Ok(error.report(session.output()));
    }
    output.finish()?;
    Ok(Exit::Done)
}

async fn states(session: &Session, spec: &Spec, graph: &Graph) -> Result<HashMap<NodeId, String>, CliError> {
    let engine = session.engine().await?;
    let PlannedRun { plan, snapshot, nodes, warnings } =
        plan::make(session, spec, graph, engine.as_ref(), &Selection::all(graph)).await?;
    warnings.iter().for_each(|text| session.output().note(&format!("warning: {text}")));
    let mut states: HashMap<_, _> =
        nodes.into_iter().zip(&plan.images).map(|(node, image)| (node, state(&image.action))).collect();
    for node in graph.nodes() {
        if let Some(external) = SpecEntry::of(spec, graph, node.id).external() {
            let place = match snapshot.bases.get(&external.canonical()) {
                Some(base) if base.id.is_some() => "here",
                Some(_) => "to be pulled",
                // Nothing is based on it, so it was not looked for.
                None => "not used",
            };
            states.insert(node.id, format!("{external}, {place}"));
        }
    }
    Ok(states)
}

fn state(action: &Action) -> String {
    match action {
        Action::Keep(Location::Engine(_)) => "up to date".to_owned(),
        Action::Keep(Location::Registry(_)) | Action::Fetch { .. } => "in the registry".to_owned(),
        Action::Build(reasons) => first(reasons),
    }
}

fn first(reasons: &[Reason]) -> String {
    let more = reasons.len() - 1;
    let first = reasons.first().map(Reason::to_string).unwrap_or_default();
    if more == 0 { first } else { format!("{first}, and {more} more") }
}
