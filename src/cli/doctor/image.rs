//! `doctor IMAGE`: one image, by its name in the spec or by reference.

use crate::admin::doctor::{Diagnosis, Finding, image as findings, images, machine};
use crate::admin::inventory::SpecNode;
use crate::cli::error::CliError;
use crate::cli::session::Session;
use crate::cli::{deploy, plan};
use crate::engine::{Engine, ImageDetail};
use crate::image::user_layer;
use crate::model::account::Account;
use crate::model::labels::read::UserSetup;
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::plan::{Planned, why};
use crate::spec::SpecEntry;

/// # Errors
/// Neither spec nor engine has an image of that name, or the engine cannot be
/// asked at all.
pub(super) async fn diagnose(session: &Session, name: &str) -> Result<Diagnosis, CliError> {
    let read = session.spec();
    let engine = session.engine().await?;
    let node = read.as_ref().ok().and_then(|(spec, graph)| {
        let id = deploy::find(spec, graph, name, session.uid).ok()?;
        Some(SpecNode { spec, graph, id })
    });
    let mut diagnosis = Diagnosis::default();
    let image = match node {
        Some(node) => {
            let (image, finding) = of_spec(session, node, name, engine.as_ref()).await;
            diagnosis.extend(finding);
            image
        }
        None => match engine.image(name).await? {
            Some(image) => Some(image),
            None => return Err(unknown(session, name, read.err())),
        },
    };
    diagnosis.extend([findings::identity(name, image.as_ref())]);
    let Some(image) = image else { return Ok(diagnosis) };
    diagnosis.extend([findings::labels(name, &image)]);
    match findings::setup(name, &image) {
        Ok(setup) => {
            let account = node.and_then(|node| node.entry().account().cloned());
            let account = account.unwrap_or_else(|| labelled_account(&setup));
            diagnosis.extend([files(engine.as_ref(), name, &account, &image).await]);
            diagnosis.extend(findings::settings(name, &account, &image));
            let spec = read.as_ref().ok().map(|(spec, _)| spec);
            diagnosis.extend([images::account(name, &setup, spec, session.people.as_ref())]);
        }
        Err(finding) => diagnosis.extend([*finding]),
    }
    match engine.containers().await {
        Ok(containers) => {
            let (on_it, others): (Vec<_>, Vec<_>) =
                containers.iter().partition(|container| container.image_id == image.id);
            let of_node = |container: &&_| {
                node.is_some_and(|node| why::node_of(node.spec, node.graph, container) == Some(node.id))
            };
            let behind: Vec<_> = others.into_iter().filter(of_node).collect();
            diagnosis.extend(findings::containers(name, &on_it, &behind));
        }
        Err(error) => diagnosis.extend([machine::engine_error(name, &error, &error.to_string())]),
    }
    Ok(diagnosis)
}

fn unknown(session: &Session, name: &str, error: Option<CliError>) -> CliError {
    let name = name.escape_debug();
    CliError::usage(match error.filter(|_| session.spec_file.is_some()) {
        Some(error) => {
            Problem::new(format!("the engine has no image `{name}`, and the spec cannot be read: {error}"))
                .help("see `ds01-build check`")
        }
        None => Problem::new(format!("neither the spec nor the engine has an image `{name}`"))
            .help("`ds01-build graph` shows those of the spec, `docker images` those of the engine"),
    })
}

/// The image that stands for a node, and whether it is up to date. A plan that
/// cannot be made leaves the project's own tag to look at.
async fn of_spec(
    session: &Session,
    node: SpecNode<'_>,
    name: &str,
    engine: &dyn Engine,
) -> (Option<ImageDetail>, Option<Finding>) {
    let detail = async |reference: String| engine.image(&reference).await.ok().flatten();
    let entry = node.entry();
    if let Some(external) = entry.external() {
        return (detail(external.to_string()).await, None);
    }
    let latest = match entry {
        SpecEntry::Project(project) => detail(project.repository.with_tag("latest").to_string()).await,
        SpecEntry::Base(_) | SpecEntry::Image(_) => None,
    };
    let (image, reasons) = match planned(session, node, engine).await {
        Ok(planned) => {
            let image = match latest {
                Some(image) => Some(image),
                None => detail(planned.content.to_string()).await,
            };
            let mut reasons: Vec<String> =
                planned.reasons().unwrap_or_default().iter().map(ToString::to_string).collect();
            let current = image.as_ref().is_none_or(|image| planned.is_recipe_of(&image.labels));
            if reasons.is_empty() && !current {
                reasons.push("an image of the spec's recipe is there, and has not got this name yet".into());
            }
            (image, Ok(reasons))
        }
        Err(error) => (latest, Err(error.to_string())),
    };
    (image, Some(findings::up_to_date(name, node.name().as_str(), reasons)))
}

async fn planned(session: &Session, node: SpecNode<'_>, engine: &dyn Engine) -> Result<Planned, CliError> {
    let SpecNode { spec, graph, id } = node;
    let selection = plan::select_nodes(session, spec, graph, &[id], None);
    let planned = plan::make(session, spec, graph, engine, &selection).await?;
    let image = planned.position(id).map(|position| planned.plan.images[position].clone());
    image.ok_or_else(|| CliError::bug("what was selected is not in the plan"))
}

/// The account as the image's own labels say.
fn labelled_account(setup: &UserSetup) -> Account {
    let name = setup.username.clone().unwrap_or_default();
    Account {
        login: Login::new(&name),
        name,
        uid: setup.uid,
        gid: setup.gid,
        shell: "/bin/sh".into(),
        sudo: false,
        jupyter: None,
    }
}

async fn files(engine: &dyn Engine, name: &str, account: &Account, image: &ImageDetail) -> Finding {
    // Its files are read by a name; an image that has none is not deployed.
    let Some(reference) = image.tags.first() else {
        return findings::files(name, account, Err("it has no tag".into()));
    };
    let files = engine.read_files(reference, &user_layer::verify_inputs(account)).await;
    findings::files(name, account, files.as_ref().map_err(ToString::to_string))
}
