//! From an image and its owner to a container: finds the folders and whether
//! the image has the owner's account, and then makes what is missing, in the
//! order in which a refusal costs least. Knows neither the word that was typed
//! nor how free GPUs are found.

use std::path::Path;

use super::create::{self, Machine};
use super::folders::{self, Folders, TypedFolders};
use super::gpus::is_for_amd;
use super::image::{self, AccountLayer};
use super::owner::Owner;
use super::target::Source;
use super::{DeployError, DeployOptions, DeployRequest, Deployed};
use crate::build::BuildEnvironment;
use crate::engine::CreateContainer;
use crate::host::people::{Caller, People};
use crate::model::event::Events;
use crate::model::problem::Problem;

/// What was typed besides the image and its owner.
pub(crate) struct Arguments<'a> {
    /// The container's; `None`: as the image is called.
    pub(crate) name: Option<String>,
    pub(crate) folders: TypedFolders<'a>,
    pub(crate) options: DeployOptions,
}

/// A deploy of which nothing was made yet.
pub(crate) struct Prepared {
    pub(crate) source: Source,
    pub(crate) layer: AccountLayer,
    pub(crate) request: DeployRequest,
    folders: Folders,
}

/// Finds all that the container is made from, and makes nothing.
/// `environment` is what holds for builds; only who may become root needs it.
///
/// # Errors
/// A folder is missing or may not be mounted, the GPUs are on another machine,
/// or the engine's.
pub(crate) async fn prepare(
    machine: &mut Machine<'_>,
    (source, owner): (Source, Owner),
    arguments: Arguments<'_>,
    (people, caller): (&dyn People, &Caller),
    environment: Result<BuildEnvironment, Vec<Problem>>,
) -> Result<Prepared, DeployError> {
    let Arguments { name, folders: typed, options } = arguments;
    let name = name.unwrap_or_else(|| source.name.clone());
    let folders = folders::find(typed, &name, &owner, people, caller.is_administrator())?;
    let environment = match owner.account.sudo {
        true => environment.map_err(DeployError::Spec)?,
        false => BuildEnvironment::default(),
    };
    let platform = &machine.facts.platform;
    let layer = AccountLayer::find(&source, &owner.account, platform, &environment, machine.engine).await?;
    if is_for_amd(&source.image) {
        machine.gpus = None;
    }
    if machine.gpus.is_some() && !machine.facts.local {
        return Err(DeployError::Elsewhere);
    }
    let request = DeployRequest {
        name,
        project: source.project.clone(),
        owner,
        image: layer.image(&source).clone(),
        workspace: folders.workspace().to_owned(),
        mounts: folders.mounts.clone(),
        options,
    };
    Ok(Prepared { source, layer, request, folders })
}

impl Prepared {
    /// What would be created now.
    ///
    /// # Errors
    /// It would be refused, or what is there cannot be read.
    pub(crate) async fn preview(&self, machine: &Machine<'_>) -> Result<CreateContainer, DeployError> {
        create::preview(machine, &self.request).await
    }

    /// Makes the workspace and the image with the account where they are
    /// missing, then the container.
    ///
    /// # Errors
    /// As [`create::deploy`]; the image could not be made.
    pub(crate) async fn deploy(
        &mut self,
        machine: &Machine<'_>,
        events: &Events,
    ) -> Result<Deployed, DeployError> {
        let owner = &self.request.owner.account;
        let is_missing = matches!(self.layer, AccountLayer::Missing { .. });
        // Refused before anything is made for it; under the lock it is decided anew.
        if is_missing || !Path::is_dir(self.folders.workspace()) {
            self.preview(machine).await?;
        }
        folders::make(&self.folders, owner)?;
        if let AccountLayer::Missing { layer, why } = &self.layer {
            let Source { image, reference, .. } = &self.source;
            let reason = format!("{reference} gets the account of {}, since {why}", owner.login);
            let put = image::put_account(
                machine.engine,
                machine.locks,
                image,
                layer,
                &reason,
                events,
                machine.cancel,
            );
            self.request.image = put.await?;
        }
        create::deploy(machine, &self.request).await
    }
}
