//! The Dockerfile that makes the same image as a build of a node does.
//! Plans nothing and writes nothing.

use tokio::sync::mpsc;

use super::request::SolveInputs;
use crate::engine::{self, Engine, SolveError, UserLayer};
use crate::image::export::{BaseConfig, DockerfileExport};
use crate::image::solve::{Solve, Start};
use crate::model::event::Failure;
use crate::model::labels;
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::spec::SpecEntry;
use crate::spec::graph::NodeId;

/// Why there is no Dockerfile.
#[derive(Debug)]
pub(crate) enum ExportError {
    Engine(engine::Error),
    Cancelled,
    /// What is missing, or cannot be said.
    Impossible(Problem),
}

/// The Dockerfile of a node that is planned. What an account's files depend on
/// is built, if need be.
///
/// # Errors
/// The engine's; or the image cannot be made of a Dockerfile alone.
pub(crate) async fn dockerfile(
    requests: &SolveInputs<'_>,
    node: NodeId,
    engine: &dyn Engine,
) -> Result<String, ExportError> {
    let plan = &requests.planned.plan;
    let position = requests.planned.position(node).expect("the node is planned");
    let mut solve = requests.solve_at(position);
    let image = &plan.images[position];
    let parents: Vec<_> = image.parents.iter().map(|&parent| &plan.images[parent]).collect();
    // An account's files depend on what they are put on.
    let missing = parents.iter().find(|parent| parent.present.is_none()).filter(|_| solve.user.is_some());
    if let Some(parent) = missing {
        let message = format!("`{}` is based on `{}`, which is not on the engine", image.name, parent.name);
        let help = format!("make it first: ds01-build build {}", parent.name);
        return Err(ExportError::Impossible(Problem::new(message).help(help)));
    }
    // As a build does, once the parent is there.
    if let Some(id) = parents.first().and_then(|parent| parent.present.as_ref()) {
        solve.config.labels.entry(labels::BASE_DIGEST.name.to_owned()).or_insert_with(|| id.to_string());
    }
    let start = match &solve.start {
        Start::Image(base) => engine.image(&base.to_string()).await.map_err(ExportError::Engine)?,
        Start::Dockerfile(_) => None,
    };
    let UserLayer { layer, sudo } = user_layer(engine, &solve).await?;
    solve.steps.extend(solve.sudo.take().filter(|_| sudo));
    let tag = match SpecEntry::of(requests.spec, requests.graph, node).account() {
        Some(_) => image.repository().with_tag("latest"),
        None => image.content.clone(),
    };
    let parents: Vec<_> =
        parents.iter().map(|parent| (parent.name.clone(), parent.content.clone())).collect();
    let equivalent = DockerfileExport {
        solve: &solve,
        layer: &layer,
        tag: &tag,
        parents: &parents,
        below: start.as_ref().map(|image| BaseConfig { user: &image.user, labels: &image.labels }),
    };
    equivalent.text().map_err(|why| {
        let message = format!("`{}` cannot be said as a Dockerfile: {why}", image.name);
        ExportError::Impossible(Problem::new(message))
    })
}

/// The account's files, as a build would make them. They depend on what the
/// steps below leave, so these run where they have not run yet; and may fail
/// as in a build.
async fn user_layer(engine: &dyn Engine, solve: &Solve) -> Result<UserLayer, ExportError> {
    let (events, _unread) = mpsc::unbounded_channel();
    engine.user_layer(solve, &events).await.map_err(|error| match error {
        SolveError::Engine(error) => ExportError::Engine(error),
        SolveError::Cancelled => ExportError::Cancelled,
        SolveError::Failed(failure) => ExportError::Impossible(step_failed(&solve.node, &failure)),
    })
}

fn step_failed(node: &NodeName, failure: &Failure) -> Problem {
    let step = failure.step.as_ref().map(|step| format!("{step}: ")).unwrap_or_default();
    let more = format!("`ds01-build build {node}` shows all that the step says");
    Problem::new(format!("`{node}` is not made, and cannot be: {step}{}", failure.message)).help(
        match &failure.help {
            Some(help) => format!("{help}; {more}"),
            None => more,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_below_the_account_is_named_with_its_image() {
        let failure = Failure {
            message: "step failed with exit code 1".into(),
            step: Some("pip install six".into()),
            help: Some("`six` is asked for in r.txt:3".into()),
            ..Failure::default()
        };
        let problem = step_failed(&NodeName::new("ann/thesis"), &failure);
        insta::assert_snapshot!(
            format!("{}\n{}", problem.message, problem.help.unwrap()),
            @"
        `ann/thesis` is not made, and cannot be: pip install six: step failed with exit code 1
        `six` is asked for in r.txt:3; `ds01-build build ann/thesis` shows all that the step says
        "
        );
    }
}
