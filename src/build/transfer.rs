//! Pushes and pulls of single images, tried again when a registry fails for a
//! moment. Nothing here knows why an image is sent or fetched.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::retry::{self, OF_TRANSFERS};
use super::{Run, worker};
use crate::engine::{self, SolveError};
use crate::model::event::{Event, Events, Failure};
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

/// How often a content tag is looked at while it is sent.
const LOOK: Duration = Duration::from_millis(200);

/// Sends an image's content tag; gives the digest that the registry then has
/// under it.
pub(super) async fn push(
    run: &Run,
    image: &Planned,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<String, SolveError> {
    let send = || send(run, image, events);
    let sent = retry::patiently(&image.name, OF_TRANSFERS, events, cancel, send);
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(SolveError::Cancelled),
        sent = sent => sent,
    }
}

/// Sends it unless the registry has the content tag: the first there counts.
/// Registries know no push that replaces nothing, so the tag is looked at all
/// the while, and put back if another run was quicker.
async fn send(run: &Run, image: &Planned, events: &Events) -> Result<String, SolveError> {
    if let Some(digest) = there(run, image).await? {
        return settled(run, image, digest, events).await;
    }
    check_base(run, image).await?;
    let mut first = None;
    let push = run.engine.push(&image.content, &image.name, events);
    tokio::pin!(push);
    let mut looks = tokio::time::interval(LOOK);
    let sent = loop {
        tokio::select! {
            biased;
            sent = &mut push => break sent,
            _ = looks.tick(), if first.is_none() => {
                first = run.registry.digest(&image.content).await.ok().flatten();
            }
        }
    };
    sent.map_err(|error| refused(image, error))?;
    // Only what it gives back does it have.
    let Some(now) = there(run, image).await? else {
        return Err(of_others(format!("the registry does not have {} after the push", image.content)));
    };
    let first = first.unwrap_or_else(|| now.clone());
    if first != now {
        let tag = image.content.tag().unwrap_or_default();
        let put_back = run.registry.tag(&image.repository(), &first, tag).await;
        put_back.map_err(|error| of_registry(&error))?;
    }
    settled(run, image, first, events).await
}

/// What the registry has under the content tag.
async fn there(run: &Run, image: &Planned) -> Result<Option<String>, SolveError> {
    run.registry.digest(&image.content).await.map_err(|error| of_registry(&error))
}

/// The registry has this under the content tag. Where it is another image than
/// the engine's, that stays for this run, since others are built on it: the
/// next plan pulls the one that counts.
async fn settled(run: &Run, image: &Planned, digest: String, events: &Events) -> Result<String, SolveError> {
    let theirs = run.engine.image(&image.repository().with_digest(&digest).to_string()).await?;
    let ours = run.engine.image(&image.content.to_string()).await?;
    if theirs.map(|image| image.id) != ours.map(|image| image.id) {
        let text = format!(
            "another run sent {} first, so its image counts, and the next run pulls it in place of this one",
            image.content
        );
        let _ = events.send(Event::Warning { image: Some(image.name.clone()), text });
    }
    Ok(digest)
}

/// An image is sent only on the layers that the registry has of its parent.
async fn check_base(run: &Run, image: &Planned) -> Result<(), SolveError> {
    let Some(ours) = run.engine.image(&image.content.to_string()).await? else { return Ok(()) };
    let Some(name) = ours.labels.get(labels::BASE_NAME.name) else { return Ok(()) };
    let parents = image.parents.iter().map(|&parent| &run.plan.images[parent]);
    let in_registry = |parent: &&Planned| parent.repository().host().is_some();
    let Some(base) = parents.filter(in_registry).find(|p| p.content.to_string() == *name) else {
        return Ok(());
    };
    let theirs = run.registry.image(&base.content, &run.platform).await;
    let (content, parent) = (&base.content, &base.name);
    match theirs.map_err(|error| of_registry(&error))? {
        Some(theirs) if ours.diff_ids.starts_with(&theirs.diff_ids) => Ok(()),
        Some(_) => {
            let message = format!(
                "it is not sent, since it is based on another image of {parent} than {content} in the registry"
            );
            let help = Some("run it again: it is then built on that one".to_owned());
            Err(SolveError::Failed(Box::new(Failure { message, help, engine: true, ..Failure::default() })))
        }
        None => Err(of_others(format!("it is not sent, since the registry does not have {content}"))),
    }
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
        pulled.map_err(|error| match error.to_string() {
            why if BROKEN.iter().any(|sign| why.contains(sign)) => broken(image, why),
            _ => refused(image, error),
        })
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
    worker::check(image, detail.as_ref(), base.as_ref(), None).map_err(|why| broken(image, why))?;
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

/// Words of engines about an image of which a registry has not all, or has
/// something else.
const BROKEN: [&str; 5] =
    ["manifest unknown", "blob unknown", "unknown blob", "does not match", "verification failed"];

/// What a registry has under a content tag cannot be used, and stays.
fn broken(image: &Planned, why: String) -> SolveError {
    let message = format!("{} in the registry cannot be used: {why}", image.content);
    let name = &image.name;
    let help =
        format!("build it anew under another tag: ds01-build update --packages {name}, and commit spec.lock");
    let help = Some(help);
    SolveError::Failed(Box::new(Failure { message, help, engine: true, ..Failure::default() }))
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

/// Not the image's fault.
fn of_others(message: String) -> SolveError {
    SolveError::Failed(Box::new(Failure { message, engine: true, ..Failure::default() }))
}

fn of_registry(error: &registry::Error) -> SolveError {
    let (message, help) = (error.to_string(), error.help());
    SolveError::Failed(Box::new(Failure { message, help, engine: true, ..Failure::default() }))
}
