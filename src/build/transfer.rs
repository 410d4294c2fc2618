//! Pushes and pulls of single images, tried again when a registry fails for a
//! moment. Nothing here knows why an image is sent or fetched.

use tokio_util::sync::CancellationToken;

use super::retry::{self, OF_TRANSFERS};
use super::{Run, worker};
use crate::engine::{self, SolveError};
use crate::model::event::{Events, Failure};
use crate::model::labels;
use crate::model::names::ImageId;
use crate::plan::Planned;
use crate::registry;

/// Words of engines about a registry that says no or is not there, and what
/// to do; `HOST` is the registry.
const HELP: [(&str, &str); 6] = [
    (
        "HTTP response to HTTPS client",
        "the engine wants TLS of HOST: name it under `insecure-registries` in the engine's daemon.json",
    ),
    (
        "x509: ",
        "the engine does not trust the certificate of HOST; its CA belongs into /etc/docker/certs.d/HOST on the engine's machine",
    ),
    ("unauthorized", "log in with `docker login HOST`"),
    ("no basic auth credentials", "log in with `docker login HOST`"),
    ("denied", "log in with `docker login HOST`, as somebody who may do this"),
    ("dial tcp", "is HOST right, and can the engine's machine reach it?"),
];

/// Sends an image's content tag; gives the digest that the registry then has
/// under it.
pub(super) async fn push(
    run: &Run,
    image: &Planned,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<String, SolveError> {
    let sent = retry::patiently(&image.name, OF_TRANSFERS, events, cancel, || send(run, image, events));
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(SolveError::Cancelled),
        sent = sent => sent,
    }
}

async fn send(run: &Run, image: &Planned, events: &Events) -> Result<String, SolveError> {
    let sent = run.engine.push(&image.content, &image.name, events).await;
    sent.map_err(|error| refused(image, error))?;
    // Only what it gives back does it have.
    let digest = run.registry.digest(&image.content).await.map_err(|error| of_registry(&error))?;
    digest.ok_or_else(|| {
        let message = format!("the registry does not have {} after the push", image.content);
        SolveError::Failed(Box::new(Failure { message, engine: true, ..Failure::default() }))
    })
}

/// Pulls an image by its digest, checks it, and puts its content tag on it.
pub(super) async fn pull(
    run: &Run,
    image: &Planned,
    digest: &str,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<ImageId, SolveError> {
    let reference = image.repository().with_digest(digest);
    let fetch = || async {
        let pulled = run.engine.pull(&reference, &image.name, events).await;
        pulled.map_err(|error| refused(image, error))
    };
    let fetched = retry::patiently(&image.name, OF_TRANSFERS, events, cancel, fetch);
    let id = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(SolveError::Cancelled),
        id = fetched => id?,
    };
    let detail = run.engine.image(id.as_str()).await?;
    let base = match &detail {
        Some(detail) => base_of(run, &detail.labels).await?,
        None => None,
    };
    worker::check(image, detail.as_ref(), base.as_ref(), None).map_err(worker::failed)?;
    run.engine.tag(&id, &image.content).await?;
    Ok(id)
}

/// The very image that a fetched one was built on, if the engine has it. One
/// of the same name that was built here has other layers, and rightly so.
async fn base_of(
    run: &Run,
    labels: &std::collections::BTreeMap<String, String>,
) -> Result<Option<engine::ImageDetail>, engine::Error> {
    let Some(name) = labels.get(labels::BASE_NAME.name) else { return Ok(None) };
    let found = run.engine.image(name).await?;
    Ok(found.filter(|base| labels.get(labels::BASE_DIGEST.name).is_some_and(|id| id == base.id.as_str())))
}

/// What an engine refuses about a registry is the registry's failure or that
/// of the way to it, not the image's.
fn refused(image: &Planned, error: engine::Error) -> SolveError {
    let engine::Error::Refused { .. } = &error else { return SolveError::Engine(error) };
    let (message, host) = (error.to_string(), image.content.registry());
    let help = HELP.iter().find(|(sign, _)| message.contains(sign));
    let help = help.map(|(_, help)| help.replace("HOST", host));
    SolveError::Failed(Box::new(Failure { message, help, engine: true, ..Failure::default() }))
}

fn of_registry(error: &registry::Error) -> SolveError {
    let (message, help) = (error.to_string(), error.help());
    SolveError::Failed(Box::new(Failure { message, help, engine: true, ..Failure::default() }))
}
