//! `image show`.

use std::time::Duration;

use tokio::sync::mpsc;

use super::look::Inventory;
use crate::admin::inventory::{self, GroupKey, ImageGroup, InventoryError};
use crate::build::request::Requests;
use crate::cli::args::{BuildArgs, ShowArgs};
use crate::cli::build;
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::pins;
use crate::cli::plan;
use crate::cli::settings::Settings;
use crate::engine::{SolveError, UserLayer};
use crate::image::export::{BaseConfig, DockerfileExport};
use crate::image::solve::Start;
use crate::model::event::Failure;
use crate::model::labels;
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::plan::Selection;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
use crate::ui::human;

pub(crate) async fn run(settings: &Settings, args: &ShowArgs) -> Result<Exit, CliError> {
    let inventory = Inventory::read(settings).await?;
    let snapshot = &inventory.snapshot;
    let groups = inventory::groups(snapshot);
    let found = inventory::find(&args.name, &groups, snapshot);
    let base = match &found {
        Err(InventoryError::NotFound { .. }) => base(&inventory, &args.name).await?,
        _ => None,
    };
    let group = match (&base, found) {
        (Some(base), _) => base,
        (None, found) => found.map_err(|refusal| refused(&refusal))?,
    };
    if args.dockerfile {
        return dockerfile(settings, &inventory, group).await;
    }
    let detail = match group.images.first() {
        Some(image) => inventory.engine.image(image.id.as_str()).await?,
        None => None,
    };
    let facts = inventory.facts(settings, &[group]).await?;
    // A lock that cannot be read keeps nobody from looking.
    let pins = pins::load(settings).ok();
    let pin = |image: &crate::model::reference::Reference| {
        Some(pins.as_ref()?.lock.get(image)?.digest().to_owned())
    };
    let shown = inventory::inspect(snapshot, &facts, group, detail.as_ref(), &pin);
    let mut output = settings.output();
    let age = |seconds| human::age(Duration::from_secs(seconds));
    output.data(&shown, |shown, _| shown.text(&human::bytes, &age));
    if let Err(cause) = &facts.states {
        output.note(&format!("whether it is up to date is not known: {cause}"));
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// A base of the spec, or what else is on the engine under a name or id.
async fn base<'a>(inventory: &'a Inventory, name: &str) -> Result<Option<ImageGroup<'a>>, CliError> {
    let bases = inventory.snapshot.spec.iter().flat_map(|(spec, _)| &spec.bases);
    let base = bases.into_iter().find(|base| base.name.as_str() == name);
    let reference = base.map_or_else(|| name.to_owned(), |base| base.source.reference().to_string());
    let Some(detail) = inventory.engine.image(&reference).await? else { return Ok(None) };
    let image = inventory.snapshot.images.iter().find(|image| image.id == detail.id);
    Ok(image.map(|image| ImageGroup::of_base(name, image)))
}

pub(super) fn refused(refusal: &InventoryError) -> CliError {
    let problem = Problem::new(refusal.to_string()).help(refusal.help());
    match refusal {
        InventoryError::NotFound { .. } | InventoryError::Ambiguous { .. } => CliError::usage(problem),
        _ => CliError::refused(problem),
    }
}

/// Prints what `docker build` makes the same image from.
async fn dockerfile(
    settings: &Settings,
    inventory: &Inventory,
    group: &ImageGroup<'_>,
) -> Result<Exit, CliError> {
    let (GroupKey::Node(node), Some((spec, graph))) = (&group.key, &inventory.snapshot.spec) else {
        let problem =
            Problem::new(format!("`{}` is not in the spec, so nothing says how it is made", group.name));
        return Err(CliError::usage(
            problem.help("`docker history` shows the steps of an image that is there"),
        ));
    };
    let text = equivalent(settings, inventory, spec, graph, *node).await?;
    let mut output = settings.output();
    output.data(&serde_json::json!({ "dockerfile": text }), |_, _| text.clone());
    output.finish()?;
    Ok(Exit::Done)
}

async fn equivalent(
    settings: &Settings,
    inventory: &Inventory,
    spec: &Spec,
    graph: &Graph,
    node: NodeId,
) -> Result<String, CliError> {
    let engine = inventory.engine.as_ref();
    let selection = Selection::with_bases(graph, &[node]);
    let made = plan::make(settings, spec, graph, engine, &selection).await?;
    let position = made.position(node).expect("what was selected is planned");
    let around = build::surroundings(settings, &BuildArgs::default(), spec)?;
    let requests = Requests { spec, graph, planned: &made, environment: &around };
    let mut solve = requests.solve_at(position);
    let planned = &made.plan.images[position];
    let mut parents = Vec::new();
    for &parent in &planned.parents {
        let parent = &made.plan.images[parent];
        // An account's files depend on what they are laid on.
        if solve.user.is_some() && parent.present.is_none() {
            let problem = Problem::new(format!(
                "`{}` stands on `{}`, which is not on the engine",
                planned.name, parent.name
            ));
            return Err(CliError::refused(
                problem.help(format!("make it first: ds01-build build {}", parent.name)),
            ));
        }
        parents.push((parent.name.clone(), parent.content.clone()));
    }
    // As a build does, once the parent is there.
    let built_on = planned.parents.first().and_then(|&parent| made.plan.images[parent].present.as_ref());
    if let Some(id) = built_on {
        solve.config.labels.entry(labels::BASE_DIGEST.name.to_owned()).or_insert_with(|| id.to_string());
    }
    let start = match &solve.start {
        Start::Image(base) => engine.image(&base.to_string()).await?,
        Start::Dockerfile(_) => None,
    };
    let UserLayer { layer, sudo } = layer(engine, &solve).await?;
    solve.steps.extend(solve.sudo.take().filter(|_| sudo));
    let tag = match SpecEntry::of(spec, graph, node).account() {
        Some(_) => planned.repository().with_tag("latest"),
        None => planned.content.clone(),
    };
    let written = DockerfileExport {
        solve: &solve,
        layer: &layer,
        tag: &tag,
        parents: &parents,
        below: start.as_ref().map(|image| BaseConfig { user: &image.user, labels: &image.labels }),
    };
    written.text().map_err(|why| {
        CliError::refused(Problem::new(format!("`{}` cannot be said as a Dockerfile: {why}", planned.name)))
    })
}

/// The account's files, as a build would lay them.
async fn layer(
    engine: &dyn crate::engine::Engine,
    solve: &crate::image::solve::Solve,
) -> Result<UserLayer, CliError> {
    let (events, _unread) = mpsc::unbounded_channel();
    engine.user_layer(solve, &events).await.map_err(|error| match error {
        SolveError::Engine(error) => error.into(),
        SolveError::Cancelled => CliError::interrupted(),
        SolveError::Failed(failure) => CliError::refused(not_laid(&solve.node, &failure)),
    })
}

/// Files of an account are laid on what the steps below leave, so these run
/// where they have not run yet; and may fail as in a build.
fn not_laid(node: &NodeName, failure: &Failure) -> Problem {
    let step = failure.step.iter().map(|step| format!("{step}: "));
    let said =
        format!("`{node}` is not made, and cannot be: {}{}", step.collect::<String>(), failure.message);
    let more = format!("`ds01-build build {node}` shows all that the step says");
    Problem::new(said).help(match &failure.help {
        Some(help) => format!("{help}; {more}"),
        None => more,
    })
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
        let problem = not_laid(&NodeName::new("ann/thesis"), &failure);
        insta::assert_snapshot!(
            format!("{}\n{}", problem.message, problem.help.unwrap()),
            @"
        `ann/thesis` is not made, and cannot be: pip install six: step failed with exit code 1
        `six` is asked for in r.txt:3; `ds01-build build ann/thesis` shows all that the step says
        "
        );
    }
}
