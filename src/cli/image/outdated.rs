//! After an update: which containers still run the project's old image, and
//! how they get the new one; where it has none, how one is made.

use crate::admin::inventory::{is_of_project, running_old_image};
use crate::cli::load::{self, CliError};
use crate::cli::settings::Settings;
use crate::container::Caller;
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
    let deploy = called(project, &caller);
    let own = caller.uid == project.account.uid;
    for container in running_old_image(project, &image, &containers) {
        let name = if own { container.short_name() } else { &container.name };
        output.note(&format!(
            "{} still runs the old image; what is not in /workspace goes when you move it to the new one:\n  \
             ds01-build container retire {name} && ds01-build deploy {deploy}",
            container.name
        ));
    }
    let uid = project.account.uid;
    if !containers.iter().any(|container| is_of_project(container, uid, project.name.as_str())) {
        output.note(&format!("to run it: ds01-build deploy {deploy}"));
    }
    output.finish()?;
    Ok(())
}

/// By which the caller deploys it.
fn called(project: &Project, caller: &Caller) -> String {
    if caller.uid == project.account.uid {
        return project.name.to_string();
    }
    format!("{}/{}", project.account.name, project.name)
}
