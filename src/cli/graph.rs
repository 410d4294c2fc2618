//! `graph`: the images with their states.

use std::collections::HashMap;

use super::args::{GraphArgs, GraphFormat};
use super::error::CliError;
use super::exit::Exit;
use super::plan;
use super::session::Session;
use crate::plan::Selection;
use crate::spec::Spec;
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
    let planned = plan::make(session, spec, graph, engine.as_ref(), &Selection::all(graph)).await?;
    planned.warnings.iter().for_each(|text| session.output().note(&format!("warning: {text}")));
    Ok(planned.states(spec, graph))
}
