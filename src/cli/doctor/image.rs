//! `doctor IMAGE`: one image, by its name in the spec or by reference.

use super::super::deploy;
use super::super::load::{self, CliError};
use super::super::plan;
use super::super::settings::Settings;
use crate::admin::doctor::{self, Diagnosis, Finding};
use crate::engine::{Container, Engine, ImageDetail};
use crate::image::user_layer;
use crate::model::account::Account;
use crate::model::labels::read::UserSetup;
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::Planned;
use crate::plan::why;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// What the spec says of a name: its node, and its account if it has one.
struct Declared<'a> {
    spec: &'a Spec,
    graph: &'a Graph,
    node: NodeId,
}

impl Declared<'_> {
    fn account(&self) -> Option<&Account> {
        match SpecEntry::of(self.spec, self.graph, self.node) {
            SpecEntry::Project(project) => Some(&project.account),
            SpecEntry::Base(_) | SpecEntry::Image(_) => None,
        }
    }
}

/// # Errors
/// Neither spec nor engine has an image of that name, or the engine cannot be
/// asked at all.
pub(crate) async fn look(settings: &Settings, name: &str) -> Result<Diagnosis, CliError> {
    let stack = load::spec(settings);
    let engine = load::engine(settings).await?;
    let declared = match &stack {
        Ok((spec, graph)) => {
            deploy::find(spec, graph, name, settings.uid).ok().map(|node| Declared { spec, graph, node })
        }
        Err(_) => None,
    };
    let spec = stack.as_ref().ok().map(|(spec, _)| spec);
    let mut report = Diagnosis::default();
    let (found, standing) = match &declared {
        Some(declared) => of_spec(settings, declared, name, engine.as_ref()).await,
        None => (engine.image(name).await?, None),
    };
    report.extend(standing);
    let Some(image) = found else {
        if declared.is_none() {
            return Err(unknown(settings, name, stack.err()));
        }
        report.extend([doctor::image::identity(name, None)]);
        return Ok(report);
    };
    report.extend([doctor::image::identity(name, Some(&image)), doctor::image::labels(name, &image)]);
    match doctor::image::setup(name, &image) {
        Ok(setup) => {
            let account = declared.as_ref().and_then(Declared::account);
            let account = account.cloned().unwrap_or_else(|| told(&setup));
            report.extend([files(engine.as_ref(), name, &account, &image).await]);
            report.extend(doctor::image::settings(name, &account, &image));
            report.extend([doctor::images::account(name, &setup, spec, settings.people.as_ref())]);
        }
        Err(finding) => report.extend([*finding]),
    }
    match engine.containers().await {
        Ok(all) => report.extend(containers(name, declared.as_ref(), &image, &all)),
        Err(error) => report.extend([doctor::machine::engine_error(name, &error, &error.to_string())]),
    }
    Ok(report)
}

fn unknown(settings: &Settings, name: &str, trouble: Option<CliError>) -> CliError {
    let name = name.escape_debug();
    let problem = match trouble {
        Some(trouble) if settings.spec_file.is_some() => Problem::new(format!(
            "the engine has no image `{name}`, and the spec cannot be read: {}",
            trouble.to_string()
        ))
        .help("see `ds01-build check`"),
        _ => Problem::new(format!("neither the spec nor the engine has an image `{name}`"))
            .help("`ds01-build graph` shows those of the spec, `docker images` those of the engine"),
    };
    CliError::usage(problem)
}

/// The image that stands for a node, and whether it is up to date. A plan that
/// cannot be made leaves the project's own tag to look at.
async fn of_spec(
    settings: &Settings,
    declared: &Declared<'_>,
    name: &str,
    engine: &dyn Engine,
) -> (Option<ImageDetail>, Option<Finding>) {
    let Declared { spec, graph, node } = declared;
    let detail = async |reference: String| engine.image(&reference).await.ok().flatten();
    let subject = SpecEntry::of(spec, graph, *node);
    if let Some(external) = subject.external() {
        return (detail(external.to_string()).await, None);
    }
    let latest = match subject {
        SpecEntry::Project(project) => detail(project.repository.with_tag("latest").to_string()).await,
        SpecEntry::Base(_) | SpecEntry::Image(_) => None,
    };
    let planned = planned(settings, declared, engine).await;
    match planned {
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
            let node = graph.node(*node).name.as_str();
            (image, Some(doctor::image::up_to_date(name, node, Ok(reasons))))
        }
        Err(trouble) => (latest, Some(doctor::image::up_to_date(name, name, Err(trouble.to_string())))),
    }
}

async fn planned(
    settings: &Settings,
    declared: &Declared<'_>,
    engine: &dyn Engine,
) -> Result<Planned, CliError> {
    let Declared { spec, graph, node } = declared;
    let selection = plan::select_nodes(spec, graph, &[*node], None);
    let mut run = plan::make(settings, spec, graph, engine, &selection).await?;
    let planned = run.position(*node).map(|position| run.plan.images.swap_remove(position));
    planned.ok_or_else(|| CliError::bug("what was selected is not in the plan"))
}

/// The account as the image's own labels tell it.
fn told(setup: &UserSetup) -> Account {
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
    let Some(reference): Option<&Reference> = image.tags.first() else {
        return doctor::image::files(name, account, Err("it has no tag".into()));
    };
    let files = engine.read_files(reference, &user_layer::verify_inputs(account)).await;
    doctor::image::files(name, account, files.as_ref().map_err(ToString::to_string))
}

fn containers(
    name: &str,
    declared: Option<&Declared<'_>>,
    image: &ImageDetail,
    all: &[Container],
) -> Vec<Finding> {
    let is_of_node = |container: &Container| {
        declared.is_some_and(|d| why::node_of(d.spec, d.graph, container) == Some(d.node))
    };
    let (on_it, others): (Vec<_>, Vec<_>) = all.iter().partition(|container| container.image_id == image.id);
    let behind: Vec<_> = others.into_iter().filter(|container| is_of_node(container)).collect();
    doctor::image::containers(name, &on_it, &behind)
}
