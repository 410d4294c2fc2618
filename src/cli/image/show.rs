//! `image show`.

use serde_json::json;

use super::Inventory;
use crate::admin::inventory::{self, ImageGroup, InventoryError};
use crate::build::export::{self, ExportError};
use crate::build::request::SolveInputs;
use crate::cli::args::{BuildArgs, ShowArgs};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::{build, plan};
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::Selection;

pub(crate) async fn run(session: &Session, args: &ShowArgs) -> Result<Exit, CliError> {
    let inventory = Inventory::read(session).await?;
    let snapshot = &inventory.snapshot;
    let groups = inventory::groups(snapshot);
    let found = inventory::find(&args.name, &groups, snapshot);
    let base = match &found {
        Err(InventoryError::NotFound { .. }) => base(&inventory, &args.name).await?,
        _ => None,
    };
    let group = match &base {
        Some(base) => base,
        None => found?,
    };
    let mut output = session.output();
    if args.dockerfile {
        let text = dockerfile(session, &inventory, group).await?;
        output.data(&json!({ "dockerfile": text }), |_, _| text.clone());
        output.finish()?;
        return Ok(Exit::Done);
    }
    let detail = match group.images.first() {
        Some(image) => inventory.engine.image(image.id.as_str()).await?,
        None => None,
    };
    let facts = inventory.facts(session, &[group]).await?;
    // A lock that cannot be read keeps nobody from looking.
    let pins = session.pins().ok();
    let pin = |image: &Reference| Some(pins.as_ref()?.lock.get(image)?.digest().to_owned());
    let inspect = inventory::inspect(snapshot, &facts, group, detail.as_ref(), &pin);
    output.data(&inspect, |inspect, _| inspect.text());
    if let Err(cause) = &facts.states {
        output.note(&format!("whether it is up to date is not known: {cause}"));
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// A base of the spec, or what else is on the engine under a name or id.
async fn base<'a>(inventory: &'a Inventory, name: &str) -> Result<Option<ImageGroup<'a>>, CliError> {
    let Inventory { engine, snapshot, .. } = inventory;
    let mut bases = snapshot.spec.iter().flat_map(|(spec, _)| &spec.bases);
    let base = bases.find(|base| base.name.as_str() == name);
    let reference = base.map_or_else(|| name.to_owned(), |base| base.source.reference().to_string());
    let Some(detail) = engine.image(&reference).await? else { return Ok(None) };
    let image = snapshot.images.iter().find(|image| image.id == detail.id);
    Ok(image.map(|image| ImageGroup::of_base(name, image)))
}

/// What `docker build` makes the same image from.
async fn dockerfile(
    session: &Session,
    inventory: &Inventory,
    group: &ImageGroup<'_>,
) -> Result<String, CliError> {
    let Some(node) = inventory.snapshot.node(&group.key) else {
        let problem =
            Problem::new(format!("`{}` is not in the spec, so nothing says how it is made", group.name));
        return Err(CliError::usage(
            problem.help("`docker history` shows the steps of an image that is there"),
        ));
    };
    let (spec, graph, engine) = (node.spec, node.graph, inventory.engine.as_ref());
    let selection = Selection::with_bases(graph, &[node.id]);
    let planned = plan::make(session, spec, graph, engine, &selection).await?;
    let environment = build::surroundings(session, &BuildArgs::default(), spec)?;
    let requests = SolveInputs { spec, graph, planned: &planned, environment: &environment };
    export::dockerfile(&requests, node.id, engine).await.map_err(|error| match error {
        ExportError::Engine(error) => error.into(),
        ExportError::Cancelled => CliError::interrupted(),
        ExportError::Impossible(problem) => CliError::refused(problem),
    })
}
