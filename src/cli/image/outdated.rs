//! After an update: which containers still run the project's old image, and
//! how they get the new one; where it has none, how one is made.

use crate::cli::load::{self, CliError};
use crate::cli::settings::Settings;
use crate::container::Caller;
use crate::engine::{Container, ImageDetail};
use crate::model::labels;
use crate::spec::{Project, Spec};

/// Says it.
///
/// # Errors
/// The engine cannot be asked.
pub(crate) async fn say(settings: &Settings, spec: &Spec, project: &Project) -> Result<(), CliError> {
    let engine = load::engine(settings).await?;
    let latest = project.repository.with_tag("latest").to_string();
    let (image, containers) = tokio::join!(engine.image(&latest), engine.containers());
    let (Some(image), containers) = (image?, containers?) else { return Ok(()) };
    let mut output = settings.output();
    let caller = settings.caller(Some(spec));
    for line in lines(&containers, &image, project, &caller) {
        output.note(&line);
    }
    if !containers.iter().any(|container| is_of(container, project)) {
        output.note(&format!("to run it: ds01-build deploy {}", called(project, &caller)));
    }
    output.finish()?;
    Ok(())
}

/// A line for each container that runs another image of the project.
fn lines(containers: &[Container], image: &ImageDetail, project: &Project, caller: &Caller) -> Vec<String> {
    let uid = project.account.uid;
    let running = |container: &Container| container.state.is_running();
    let old = containers
        .iter()
        .filter(|container| is_of(container, project) && running(container) && is_old(container, image));
    let line = |container: &Container| {
        let name = match caller.uid == uid {
            true => container.short_name(),
            false => container.name.as_str(),
        };
        let deploy = called(project, caller);
        format!(
            "{} still runs the old image; what is not in /workspace goes when you move it to the new one:\n  \
             ds01-build container retire {name} && ds01-build deploy {deploy}",
            container.name
        )
    };
    old.map(line).collect()
}

/// By which the caller deploys it.
fn called(project: &Project, caller: &Caller) -> String {
    match caller.uid == project.account.uid {
        true => project.name.to_string(),
        false => format!("{}/{}", project.account.name, project.name),
    }
}

fn is_of(container: &Container, project: &Project) -> bool {
    let owner = container.uid();
    let named = container.project() == project.name.as_str();
    named && owner == Some(project.account.uid)
}

/// Of another image, and not just of the same recipe built once more.
fn is_old(container: &Container, image: &ImageDetail) -> bool {
    let recipe = labels::RECIPE.name;
    let same = |recipe: &String| image.labels.get(labels::RECIPE.name) == Some(recipe);
    container.image_id != image.id && !container.labels.get(recipe).is_some_and(same)
}
