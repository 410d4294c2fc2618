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
use crate::plan::why::{self, ContainerExplanation, Explainer, Explanation, SpecComparison};
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
    let engine = session.engine().await?;
    let engine = engine.as_ref();
    let mut output = session.output();
    let show = |answer: &Explanation, _: &_| answer.text(session.verbose > 0);
    match (stack, node) {
        (Ok((spec, graph)), Some(Ok(node))) => {
            let answer = image(session, args, (&spec, &graph), node, engine).await?;
            output.data(&answer, show);
            if let Explanation::Image(_) = answer
                && let Ok(container) = find(session, args, Some(&spec), &engine.containers().await?)
            {
                let name = &container.name;
                output.note(&format!("there is a container {name} too; --container explains it"));
            }
        }
        (stack, node) => {
            let all = engine.containers().await?;
            let found = find(session, args, stack.as_ref().ok().map(|(spec, _)| spec), &all);
            let answer = match (found, node, stack) {
                (Ok(container), _, stack) => of_container(session, args, stack, container, engine).await?,
                (Err(error @ AccessError::NotFound { .. }), Some(Err(unknown)), _) => {
                    return Err(neither(unknown, &args.name, &error, &all));
                }
                // Without a readable spec it may have been an image's name.
                (Err(AccessError::NotFound { .. }), None, Err(error)) if !args.container => {
                    return Err(error);
                }
                (Err(error), ..) => return Err(not_found(&error, &all)),
            };
            output.data(&answer, show);
        }
    }
    output.finish()?;
    Ok(Exit::Done)
}

fn find<'a>(
    session: &Session,
    args: &WhyArgs,
    spec: Option<&Spec>,
    all: &'a [Container],
) -> Result<&'a Container, AccessError> {
    look_up(&args.name, all, &session.caller(spec), &|uid| session.login(uid))
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
    stack: (&Spec, &Graph),
    node: NodeId,
    engine: &dyn Engine,
) -> Result<Explanation, CliError> {
    let (spec, graph) = stack;
    let planned = make(session, args, stack, node, engine).await?;
    let explainer = Explainer { spec, graph, planned: &planned };
    if let Some(external) = SpecEntry::of(spec, graph, node).external() {
        return Ok(Explanation::Base(explainer.base(node, external)));
    }
    let position = explainer.position(node);
    let built = explainer.built_at(position, &session.records(&planned.snapshot.engine.id));
    let mut answer = explainer.image(position, built);
    for file in answer.changed_files(MOST_COMMITS) {
        let commit = git::last_commit(&spec.root, &file);
        answer.commits.extend(commit.map(|commit| (file, commit)));
    }
    Ok(Explanation::Image(answer))
}

async fn of_container(
    session: &Session,
    args: &WhyArgs,
    stack: Result<(Spec, Graph), CliError>,
    container: &Container,
    engine: &dyn Engine,
) -> Result<Explanation, CliError> {
    let mut answer = ContainerExplanation::new(container, &engine.images().await?);
    let unknown = |error: CliError| SpecComparison::Unknown { cause: error.to_string() };
    match stack {
        Ok((spec, graph)) => {
            if let Some(node) = why::node_of(&spec, &graph, container) {
                answer.declared_by(&spec, &graph, node);
                // A base that cannot be asked must not keep the rest from being told.
                answer.standing = match make(session, args, (&spec, &graph), node, engine).await {
                    Ok(planned) => {
                        let explainer = Explainer { spec: &spec, graph: &graph, planned: &planned };
                        explainer.standing(container, explainer.position(node))
                    }
                    Err(error) => unknown(error),
                };
            }
        }
        Err(error) if session.spec_file.is_some() => answer.standing = unknown(error),
        // Without a spec in sight there is nothing to compare with.
        Err(_) => {}
    }
    Ok(Explanation::Container(answer))
}

/// The plan of one node and all that it is based on.
async fn make(
    session: &Session,
    args: &WhyArgs,
    (spec, graph): (&Spec, &Graph),
    node: NodeId,
    engine: &dyn Engine,
) -> Result<PlannedRun, CliError> {
    let nodes = why::nodes(graph, node);
    let selection = plan::select_nodes(session, spec, graph, &nodes, args.branch.as_deref());
    plan::make(session, spec, graph, engine, &selection).await
}
