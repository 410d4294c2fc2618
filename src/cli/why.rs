//! `why`: the causes behind an image, or behind what a container runs.

use super::args::WhyArgs;
use super::container::not_found;
use super::error::CliError;
use super::exit::Exit;
use super::plan;
use super::session::Session;
use super::{deploy, git};
use crate::container::permission::{AccessError, look_up};
use crate::engine::{Container, Engine};
use crate::plan::PlannedRun;
use crate::plan::why::{self, ContainerExplanation, Explainer, SpecComparison};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// Files whose last commit is looked for.
const MOST_COMMITS: usize = 5;

pub(crate) async fn run(session: &Session, args: &WhyArgs) -> Result<Exit, CliError> {
    let stack = session.spec();
    let node = match &stack {
        Ok((spec, graph)) if !args.container => Some(deploy::find(spec, graph, &args.name, session.uid)),
        _ => None,
    };
    match (stack, node) {
        (Ok((spec, graph)), Some(Ok(node))) => image(session, args, &spec, &graph, node).await,
        (stack, node) => {
            let engine = session.engine().await?;
            let all = engine.containers().await?;
            let caller = session.caller(stack.as_ref().ok().map(|(spec, _)| spec));
            let found = look_up(&args.name, &all, &caller, &|uid| session.login(uid));
            match (found, node, stack) {
                (Ok(container), _, stack) => {
                    of_container(session, args, stack, container, engine.as_ref()).await
                }
                (Err(error @ AccessError::NotFound { .. }), Some(Err(unknown)), _) => {
                    Err(neither(unknown, &args.name, &error, &all))
                }
                // Without a readable spec it may have been an image's name.
                (Err(AccessError::NotFound { .. }), None, Err(error)) if !args.container => Err(error),
                (Err(error), ..) => Err(not_found(&error, &all)),
            }
        }
    }
}

/// No image and no container of that name.
fn neither(mut unknown: CliError, name: &str, error: &AccessError, all: &[Container]) -> CliError {
    let [problem] = &mut unknown.problems[..] else { return unknown };
    if problem.message.starts_with("no image") {
        problem.message = format!("no image and no container `{}`", name.escape_debug());
    }
    if let Some(near) = error.near(all) {
        problem.help = Some(format!("did you mean the container `{near}`?"));
    }
    unknown
}

async fn image(
    session: &Session,
    args: &WhyArgs,
    spec: &Spec,
    graph: &Graph,
    node: NodeId,
) -> Result<Exit, CliError> {
    let engine = session.engine().await?;
    let made = make(session, args, spec, graph, node, engine.as_ref()).await?;
    let known = known(spec, graph, &made);
    let mut output = session.output();
    let verbose = session.verbose > 0;
    if let Some(external) = SpecEntry::of(spec, graph, node).external() {
        output.data(&known.base(node, external), |answer, _| answer.text());
        output.finish()?;
        return Ok(Exit::Done);
    }
    let position = position(&made, node);
    let mut answer = known.image(position, since(session, &made, position));
    for file in answer.changed_files(MOST_COMMITS) {
        let commit = git::last_commit(&spec.root, &file);
        answer.commits.extend(commit.map(|commit| (file, commit)));
    }
    output.data(&answer, |answer, _| answer.text(verbose));
    let namesake = engine.containers().await?;
    if let Ok(container) =
        look_up(&args.name, &namesake, &session.caller(Some(spec)), &|uid| session.login(uid))
    {
        output.note(&format!("there is a container {} too; --container explains it", container.name));
    }
    output.finish()?;
    Ok(Exit::Done)
}

async fn of_container(
    session: &Session,
    args: &WhyArgs,
    stack: Result<(Spec, Graph), CliError>,
    container: &Container,
    engine: &dyn Engine,
) -> Result<Exit, CliError> {
    let mut answer = ContainerExplanation::new(container, &engine.images().await?);
    let (spec, graph) = match stack {
        Ok(stack) => stack,
        Err(error) => {
            // Without a spec in sight there is nothing to compare with.
            if session.spec_file.is_some() {
                answer.standing = SpecComparison::Unknown { cause: error.to_string() };
            }
            return show(session, &answer);
        }
    };
    if let Some(node) = why::node_of(&spec, &graph, container) {
        answer.declared_by(&spec, &graph, node);
        // A base that cannot be asked must not keep the rest from being told.
        answer.standing = match make(session, args, &spec, &graph, node, engine).await {
            Ok(made) => known(&spec, &graph, &made).standing(container, position(&made, node)),
            Err(error) => SpecComparison::Unknown { cause: error.to_string() },
        };
    }
    show(session, &answer)
}

fn show(session: &Session, answer: &ContainerExplanation) -> Result<Exit, CliError> {
    let mut output = session.output();
    output.data(answer, |answer, _| answer.text(session.verbose > 0));
    output.finish()?;
    Ok(Exit::Done)
}

/// The plan of one node and all that it is based on.
async fn make(
    session: &Session,
    args: &WhyArgs,
    spec: &Spec,
    graph: &Graph,
    node: NodeId,
    engine: &dyn Engine,
) -> Result<PlannedRun, CliError> {
    // A base is only looked for where something is based on it.
    let children = graph.children(node).into_iter().filter(|_| graph.node(node).repository.is_none());
    let nodes: Vec<_> = std::iter::once(node).chain(children).collect();
    let selection = plan::select_nodes(spec, graph, &nodes, args.branch.clone());
    plan::make(session, spec, graph, engine, &selection).await
}

fn known<'a>(spec: &'a Spec, graph: &'a Graph, made: &'a PlannedRun) -> Explainer<'a> {
    Explainer { spec, graph, planned: made }
}

fn position(made: &PlannedRun, node: NodeId) -> usize {
    made.position(node).expect("what was selected is planned")
}

/// When an image was built that is kept, by the records.
fn since(session: &Session, made: &PlannedRun, position: usize) -> Option<i64> {
    let image = &made.plan.images[position];
    if image.reasons().is_some() {
        return None;
    }
    let tries = session.records(&made.snapshot.engine.id).of(&image.repository(), &image.name);
    let digest = image.recipe.digest();
    tries.iter().rev().find(|record| record.recipe == digest.as_str()).map(|record| record.at)
}
