//! Builds images as a gateway client of the engine's BuildKit: the protocol
//! and role of the official front ends.
//!
//! One connection and one session serve the whole run of the program; each
//! image is one job. Generated messages do not leave this module and `llb`.
//! Decides nothing about what is built, and moves no tag.

mod account;
mod build;
mod config;
mod failure;
mod job;
mod progress;
mod session;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::upgrade::Upgraded;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use self::build::{BuildError, ImageBuild};
use self::job::{Export, Job};
use self::progress::{ProgressReader, Redactor};
use self::session::{Session, SessionContent};
use crate::engine::address::Address;
use crate::engine::{Error, SolveError, Solved, UserLayer, http, llb};
use crate::image::solve::Solve;
use crate::image::user_layer::{BaseFacts, UserLayerInput};
use crate::model::digest::sha256;
use crate::model::event::Events;
use crate::model::reference::Reference;
use crate::registry::credentials::Credentials;

/// An engine's HTTP/2 server takes 250 streams at once. A solve holds two until
/// its end and needs more now and then: with more solves than this they would
/// wait for each other for ever.
const MOST_AT_ONCE: usize = 100;
/// How long the rest of a finished job's progress is waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long, and how often, an engine that was there is waited for.
const COMING_BACK: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4)];

/// BuildKit at one address. Cheap to make: it connects at the first use.
pub(crate) struct Builder {
    http: http::Client,
    shared_key: String,
    content: Arc<SessionContent>,
    connection: Mutex<Slot>,
    permits: Semaphore,
    bases: Bases,
}

/// What is known of bases, by what they are made of. Each is filled by whoever
/// comes first, the others wait for it.
type Bases = std::sync::Mutex<HashMap<String, Arc<Mutex<BaseFacts>>>>;

/// The connection for what comes next.
#[derive(Default)]
struct Slot {
    current: Option<Arc<Connection>>,
    /// There was one, and it broke.
    lost: bool,
}

/// An open connection with its session. They end together.
struct Connection {
    channel: Channel,
    session: Session,
}

impl Builder {
    /// A builder for an engine, not connected yet. BuildKit logs in to
    /// registries with these credentials.
    pub(crate) fn new(address: &Address, credentials: Credentials) -> Self {
        Self {
            http: http::Client::new(address),
            shared_key: shared_key(),
            content: Arc::new(SessionContent::new(credentials)),
            connection: Mutex::default(),
            permits: Semaphore::new(MOST_AT_ONCE),
            bases: Bases::default(),
        }
    }

    pub(crate) fn http(&self) -> &http::Client {
        &self.http
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.content.credentials
    }

    /// Makes one image and puts it into the engine's store without a tag.
    ///
    /// # Errors
    /// `Failed` when the image or a registry is at fault, `Engine` when the
    /// engine is, `Cancelled` when `cancel` was. Its steps are then stopped.
    pub(crate) async fn solve(
        &self,
        solve: &Solve,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Solved, SolveError> {
        tokio::select! {
            biased;
            // Dropping the calls is how BuildKit is told to stop.
            () = cancel.cancelled() => Err(SolveError::Cancelled),
            outcome = self.with(solve, events, async |build| build.run().await) => outcome,
        }
    }

    /// The files of the account's layer, as a solve would add them; no image
    /// is made.
    ///
    /// # Errors
    /// As for a solve.
    pub(crate) async fn user_layer(&self, solve: &Solve, events: &Events) -> Result<UserLayer, SolveError> {
        self.with(solve, events, async |build| build.user_layer().await).await
    }

    /// Does something in a job of its own, and sends its progress.
    async fn with<T>(
        &self,
        solve: &Solve,
        events: &Events,
        action: impl AsyncFnOnce(&ImageBuild<'_>) -> Result<T, BuildError>,
    ) -> Result<T, SolveError> {
        let _permit = self.permits.acquire().await.map_err(|e| self.broken("build", &e))?;
        let connection = self.connection().await?;
        let job = Job::new(&connection.channel).importing(&solve.cache_from);
        let reader = ProgressReader::new(&solve.node, events).hiding(Redactor::of(solve));
        let build = ImageBuild {
            solve,
            events,
            job: &job,
            reader: &reader,
            content: &self.content,
            session: &connection.session.id,
            bases: &self.bases,
            address: self.http.address(),
        };
        let mut running = std::pin::pin!(action(&build));
        let mut following = std::pin::pin!(reader.follow(&job));
        let mut followed = false;
        let outcome = loop {
            tokio::select! {
                outcome = &mut running => break outcome,
                () = &mut following, if !followed => followed = true,
                () = connection.session.lost() => {
                    let lost = self.broken(&format!("build {}", solve.node), &"its session ended");
                    break Err(BuildError::Solve(lost.into()));
                }
            }
        };
        if !followed {
            let _ = tokio::time::timeout(LAST_WORDS, following).await;
        }
        let explained = outcome.map_err(|error| error.explain(solve, &reader.progress()));
        if let Err(SolveError::Engine(Error::Broken { .. })) = &explained {
            self.forget(&connection).await;
        }
        explained.map_err(|error| match error {
            SolveError::Failed(mut failure) => {
                if let (Some(help), Some(cause)) = (&mut failure.help, self.content.unread_credentials())
                    && failure.engine
                {
                    help.push_str(&format!("; {cause}"));
                }
                SolveError::Failed(Box::new(Redactor::of(solve).failure(*failure)))
            }
            error => error,
        })
    }

    /// Asks the registry for the manifest digest of a reference; the engine's
    /// own store is not looked at. `None`: the registry has no such image.
    ///
    /// # Errors
    /// When the engine or the registry cannot be asked.
    pub(crate) async fn resolve(&self, reference: &Reference) -> Result<Option<String>, Error> {
        let resolved =
            self.in_job("resolve", async |job| job.resolve(&reference.canonical(), "pull").await).await?;
        match resolved {
            Ok(resolved) => Ok(Some(resolved.digest).filter(|d| !d.is_empty())),
            Err(status) if status.message().ends_with(": not found") => Ok(None),
            Err(status) => Err(failure::refused(&format!("resolve {reference}"), &status)),
        }
    }

    /// What every solve needs and this BuildKit lacks.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub(crate) async fn lacks(&self) -> Result<Vec<String>, Error> {
        let lacks = self.in_job("ask for capabilities", async |job| job.opened().await).await?;
        let lacks = lacks.map_err(|status| failure::refused("say what its BuildKit can do", &status))?;
        Ok(lacks.into_iter().map(str::to_owned).collect())
    }

    /// Reads files of an image of the store.
    ///
    /// # Errors
    /// When there is no such image, or the engine cannot be asked.
    pub(crate) async fn read_files(
        &self,
        image: &Reference,
        wants: &[UserLayerInput],
    ) -> Result<BaseFacts, Error> {
        let read = self
            .in_job("read files", async |job| {
                let definition = llb::State::image(image).definition();
                let result = match definition {
                    Some(definition) => job.solve(definition).await?,
                    None => job::Ref::default(),
                };
                account::read_back(job, &result.id, wants).await
            })
            .await?;
        read.map_err(|status| failure::refused(&format!("read files of {image}"), &status))
    }

    /// A job that makes nothing and only answers.
    async fn in_job<T>(
        &self,
        action: &str,
        read: impl AsyncFnOnce(&Job) -> Result<T, Status>,
    ) -> Result<Result<T, Status>, Error> {
        let _permit = self.permits.acquire().await.map_err(|e| self.broken(action, &e))?;
        let connection = self.connection().await?;
        let job = Job::new(&connection.channel);
        let answer = async {
            job.opened().await?;
            let answer = read(&job).await;
            let _ = job.succeed("", None).await;
            answer
        };
        let answer = tokio::select! {
            answer = answer => answer,
            Err(status) = job.run(&connection.session.id, Export::Nothing) => Err(status),
        };
        if answer.as_ref().is_err_and(failure::is_broken) {
            self.forget(&connection).await;
        }
        Ok(answer)
    }

    /// Bytes of context files sent so far.
    #[cfg(test)]
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.content.bytes_sent()
    }

    /// Closes session and connection. Dropping the builder does the same.
    #[cfg(test)]
    pub(crate) async fn close(self) {
        self.connection.lock().await.current.take();
    }

    /// The open connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.current.as_ref().filter(|connection| connection.session.is_open()) {
            return Ok(connection.clone());
        }
        // An engine that was there may be starting again. Only the first waits
        // for it: where it stays away, the others know.
        let lost = slot.current.take().is_some() || std::mem::take(&mut slot.lost);
        let mut pauses = COMING_BACK.iter().filter(|_| lost);
        let connection = loop {
            match (self.connect().await, pauses.next()) {
                (Err(Error::Unreachable { .. }), Some(pause)) => tokio::time::sleep(*pause).await,
                (connected, _) => break Arc::new(connected?),
            }
        };
        slot.current = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let (session, channel) = tokio::try_join!(
            Session::open(&self.http, job::random_id(), &self.shared_key, self.content.clone()),
            channel(&self.http)
        )?;
        Ok(Connection { channel, session })
    }

    /// Opens a new connection for what comes next: the engine may be back, and
    /// a session can outlive the calls beside it.
    async fn forget(&self, broken: &Arc<Connection>) {
        let mut slot = self.connection.lock().await;
        if slot.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, broken)) {
            *slot = Slot { current: None, lost: true };
        }
    }

    fn broken(&self, action: &str, cause: &dyn std::fmt::Display) -> Error {
        Error::Broken { action: action.to_owned(), cause: cause.to_string() }
    }
}

/// Asks the engine to speak HTTP/2 on a new connection.
///
/// # Errors
/// `Unreachable` when nobody is there or answers in time, `Certificates` when
/// the sides do not trust each other, `NoBuildKit` when it declines.
async fn upgrade(
    http: &http::Client,
    path: &str,
    headers: &[(&'static str, String)],
) -> Result<Upgraded, Error> {
    let request = Request::builder().uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let address = http.address();
    let upgraded = http::in_time(address, http.upgrade(request, "h2c", String::new())).await?;
    upgraded.map_err(|refusal| {
        let cause = format!("it answers {} to {path}", refusal.status);
        Error::NoBuildKit { address: address.to_string(), cause }
    })
}

/// gRPC to the engine.
async fn channel(http: &http::Client) -> Result<Channel, Error> {
    let stream = upgrade(http, "/grpc", &[]).await?;
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        // A new stream would know nothing of our jobs: the builder opens a
        // new connection with a new session instead.
        let stream = stream.take().ok_or_else(|| std::io::Error::other("the engine closed the connection"));
        std::future::ready(stream)
    });
    Endpoint::from_static("http://engine").connect_with_connector(connector).await.map_err(|e| {
        let cause = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
        Error::NoBuildKit { address: http.address().to_string(), cause }
    })
}

/// The same for one person on one machine from run to run, so that BuildKit
/// compares a context with the copy that the last run left.
fn shared_key() -> String {
    let machine = std::fs::read("/etc/machine-id")
        .unwrap_or_else(|_| rustix::system::uname().nodename().to_bytes().to_vec());
    let user = rustix::process::geteuid().as_raw().to_le_bytes();
    sha256(&[b"ds01-build", machine.as_slice(), &user].concat())
}
