//! The image that a container is made from: pulled, and with its owner's
//! account put on. What is done is told as the events of a run of one image.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::DeployError;
use super::target::Source;
use crate::build::BuildEnvironment;
use crate::build::account_image::{self, AccountImage, AccountImageInput, Decision, LayerReason};
use crate::engine::{self, Engine, ImageDetail, SolveError};
use crate::host::lock::Locks;
use crate::model::account::Account;
use crate::model::event::{Event, Events, Failure, Outcome};
use crate::model::names::NodeName;
use crate::model::reference::Reference;

/// What an image needs before its owner can run in it.
pub(crate) enum AccountLayer {
    /// It has the account.
    Present,
    /// An image with the account was made from it before.
    Made {
        image: Box<ImageDetail>,
        why: LayerReason,
    },
    Missing {
        layer: Box<AccountImage>,
        why: LayerReason,
    },
}

impl AccountLayer {
    /// Whether the image has the account, or another one with it is there.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) async fn find(
        source: &Source,
        account: &Account,
        platform: &str,
        environment: &BuildEnvironment,
        engine: &dyn Engine,
    ) -> Result<Self, DeployError> {
        let why = match account_image::decide(&source.image.labels, account) {
            Decision::Skip => return Ok(Self::Present),
            Decision::Apply(why) => why,
        };
        let layer = account_image::layer(&AccountImageInput {
            image: &source.image,
            reference: &source.reference,
            name: &account_image::derived(&source.name),
            account,
            project: source.project.as_ref(),
            catalogue: source.catalogue.clone(),
            platform,
            environment,
        });
        Ok(match account_image::found(engine, &layer).await? {
            Some(image) => Self::Made { image: Box::new(image), why },
            None => Self::Missing { layer: Box::new(layer), why },
        })
    }

    /// The image to run, as far as it is known.
    pub(crate) fn image<'a>(&'a self, source: &'a Source) -> &'a ImageDetail {
        match self {
            Self::Present => &source.image,
            Self::Made { image, .. } => image,
            Self::Missing { layer, .. } => &layer.expected,
        }
    }

    /// LayerReason the image as it is would not do.
    pub(crate) fn why(&self) -> Option<&LayerReason> {
        match self {
            Self::Present => None,
            Self::Made { why, .. } | Self::Missing { why, .. } => Some(why),
        }
    }
}

/// Puts the account on an image, unless somebody else does; `reason` is for
/// people.
///
/// # Errors
/// It cannot be put there; the events tell why.
pub(crate) async fn put_account(
    engine: &dyn Engine,
    locks: &Locks,
    base: &ImageDetail,
    layer: &AccountImage,
    reason: &str,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<ImageDetail, DeployError> {
    let run = Run { image: &layer.solve.node, reason, fetches: false, events };
    run.of(cancel, account_image::run(engine, locks, base, layer, events, cancel)).await
}

/// Pulls an image.
///
/// # Errors
/// The engine's, or the registry's by its words; the events tell it.
pub(crate) async fn pull(
    engine: &dyn Engine,
    reference: &Reference,
    events: &Events,
) -> Result<ImageDetail, DeployError> {
    let name = NodeName::new(reference.to_string());
    let run = Run { image: &name, reason: "asked for with --pull", fetches: true, events };
    run.of(&CancellationToken::new(), async {
        let id = engine.pull(reference, &name, events).await?;
        let lost = || engine::Error::Refused {
            action: format!("pull {reference}"),
            message: "it does not have the image after the pull".into(),
        };
        let image = engine.image(id.as_str()).await?.ok_or_else(lost)?;
        Ok((Outcome::Fetched { id }, image))
    })
    .await
}

/// A run of one image.
struct Run<'a> {
    image: &'a NodeName,
    reason: &'a str,
    fetches: bool,
    events: &'a Events,
}

impl Run<'_> {
    async fn of<T>(
        self,
        cancel: &CancellationToken,
        work: impl Future<Output = Result<(Outcome, T), SolveError>>,
    ) -> Result<T, DeployError> {
        let (started, image) = (Instant::now(), self.image);
        let one = vec![image.clone()];
        let (build, fetch) = if self.fetches { (vec![], one) } else { (one, vec![]) };
        let _ = self.events.send(Event::RunStarted { build, fetch, push: vec![], keep: vec![], jobs: 1 });
        let reasons = vec![self.reason.to_owned()];
        let _ = self.events.send(Event::ImageStarted { image: image.clone(), reasons, log: None });
        let (outcome, done) = match work.await {
            Ok((outcome, value)) => (outcome, Ok(value)),
            Err(error) => (failed(&error), Err(error)),
        };
        let took = started.elapsed();
        let end = summary(&outcome, took);
        let _ = self.events.send(Event::ImageFinished { image: image.clone(), outcome, took });
        let _ = self.events.send(end);
        done.map_err(|error| {
            DeployError::Image(if cancel.is_cancelled() { SolveError::Cancelled } else { error })
        })
    }
}

fn failed(error: &SolveError) -> Outcome {
    let failure = match error {
        SolveError::Cancelled => return Outcome::Cancelled,
        SolveError::Failed(failure) => (**failure).clone(),
        SolveError::Engine(error) => {
            Failure { message: error.to_string(), help: error.help(), engine: true, ..Failure::default() }
        }
    };
    Outcome::Failed { failure, log: None }
}

fn summary(outcome: &Outcome, took: Duration) -> Event {
    let one = |is: bool| usize::from(is);
    Event::RunFinished {
        built: one(matches!(outcome, Outcome::Built { .. } | Outcome::BuiltElsewhere { .. })),
        fetched: one(matches!(outcome, Outcome::Fetched { .. })),
        kept: 0,
        failed: one(matches!(outcome, Outcome::Failed { .. })),
        blocked: 0,
        cancelled: one(matches!(outcome, Outcome::Cancelled)),
        pushed: 0,
        took,
    }
}
