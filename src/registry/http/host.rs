//! One registry: asked by many at once, with patience, and not again for a
//! while once it has stayed silent. Knows nothing of images.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use super::auth::Auth;
use super::wire::{Answer, Fault, Method, Patience, StatusCode, Url, Wire};
use super::{Error, Options};
use crate::registry::credentials::Credentials;

/// Questions that are open at a time, each on a connection that is kept.
const LANES: usize = 32;
const HUB: &str = "docker.io";
const HUB_SERVER: &str = "registry-1.docker.io";

/// A question.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    /// Media type and content.
    pub(crate) body: Option<(String, Vec<u8>)>,
    /// What a token must allow: `repository:ds01/vision:pull`.
    pub(crate) scope: String,
    /// For an error: what was to be done to what.
    pub(crate) action: &'static str,
    pub(crate) what: String,
}

pub(crate) struct Host {
    name: String,
    base: Url,
    wire: Wire,
    auth: Auth,
    patience: Patience,
    /// One until the first answer: who asks first finds out whether it is
    /// there and how to log in, for all others.
    lanes: Semaphore,
    met: AtomicBool,
    /// By repository. While one tag is put on a manifest, distribution 2.8 on
    /// a disk cannot read that manifest in that repository, and answers 500.
    writing: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When and why it was found silent.
    lost: Option<(Instant, String)>,
    /// It asked to be left alone until then.
    rest: Option<Instant>,
}

impl Host {
    /// # Errors
    /// The name is none, or a certificate for it cannot be used.
    pub(crate) fn new(name: &str, options: &Options) -> Result<Self, Error> {
        let broken = |cause: String| Error::Unreachable { host: name.to_owned(), cause };
        let wire = Wire::new(name, options).map_err(broken)?;
        let scheme = if wire.secure { "https" } else { "http" };
        let server = if name == HUB { HUB_SERVER } else { name };
        let base = Url::parse(&format!("{scheme}://{server}")).map_err(|e| broken(e.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            base,
            wire,
            auth: Auth::new(name, Credentials::new(options.docker_config.clone())),
            patience: options.patience,
            lanes: Semaphore::new(1),
            met: AtomicBool::new(false),
            writing: Mutex::default(),
            state: Mutex::default(),
        })
    }

    /// Asks, again and with pauses where that may help.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, Error> {
        self.auth.will_need(&ask.scope);
        let mut tried = 0;
        loop {
            tried += 1;
            let fault = match self.in_turn(ask).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let pause = match &fault {
                Fault::Cut(_) | Fault::Busy { pause: None, .. } => self.patience.after(tried),
                Fault::Busy { pause: Some(pause), .. } => {
                    self.rest(*pause);
                    *pause
                }
                _ => return Err(self.error(fault, ask)),
            };
            if tried >= self.patience.tries || pause > self.patience.longest {
                if let Fault::Cut(cause) = &fault {
                    self.lost(cause);
                }
                return Err(self.error(fault, ask));
            }
            sleep(pause).await;
        }
    }

    /// The right to write into a repository, until it is dropped.
    pub(crate) async fn write(&self, repository: &str) -> OwnedMutexGuard<()> {
        let turns = {
            let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            writing.entry(repository.to_owned()).or_default().clone()
        };
        turns.lock_owned().await
    }

    async fn in_turn(&self, ask: &Ask) -> Result<Answer, Fault> {
        let _lane = self.lanes.acquire().await.map_err(|e| Fault::Failed(e.to_string()))?;
        self.rested().await?;
        let answer = self.once(ask).await;
        match &answer {
            Err(Fault::Lost(cause)) => self.lost(cause),
            Err(Fault::Cut(_) | Fault::Busy { .. }) => {}
            _ if self.met.swap(true, Ordering::Relaxed) => {}
            _ => self.lanes.add_permits(LANES - 1),
        }
        answer
    }

    fn lost(&self, cause: &str) {
        self.state().lost = Some((Instant::now(), cause.to_owned()));
    }

    /// Waits as long as the host wants to be left alone.
    async fn rested(&self) -> Result<(), Fault> {
        let (now, rest) = {
            let state = self.state();
            let now = Instant::now();
            if let Some((when, cause)) = &state.lost
                && now - *when < self.patience.lost
            {
                return Err(Fault::Lost(cause.clone()));
            }
            (now, state.rest)
        };
        let Some(rest) = rest.filter(|rest| *rest > now) else { return Ok(()) };
        if rest - now > self.patience.longest {
            let cause = format!("it wants not to be asked for {} s", (rest - now).as_secs());
            return Err(Fault::Failed(cause));
        }
        sleep_until(rest).await;
        Ok(())
    }

    fn rest(&self, pause: std::time::Duration) {
        let mut state = self.state();
        state.rest = state.rest.max(Instant::now().checked_add(pause));
    }

    /// Asks once, and logs in where it is told to.
    async fn once(&self, ask: &Ask) -> Result<Answer, Fault> {
        let mut offer = self.auth.offer(&self.wire, &ask.scope).await?;
        loop {
            let url = self.base.join(&ask.path).map_err(|e| Fault::Failed(e.to_string()))?;
            let mut request = self.wire.request(ask.method.clone(), url).header(ACCEPT, ask.accept);
            if let Some((kind, content)) = &ask.body {
                request = request.header(CONTENT_TYPE, kind).body(content.clone());
            }
            if let Some(header) = offer.header() {
                request = request.header(AUTHORIZATION, header);
            }
            let answer = self.wire.send(request).await?;
            match answer.status {
                StatusCode::UNAUTHORIZED => {
                    offer = self.auth.better(&self.wire, &ask.scope, &answer, offer).await?;
                }
                StatusCode::FORBIDDEN => return Err(Fault::Denied(answer.said())),
                _ => return Ok(answer),
            }
        }
    }

    fn error(&self, fault: Fault, ask: &Ask) -> Error {
        match fault {
            Fault::Lost(cause) | Fault::Cut(cause) => Error::Unreachable { host: self.name.clone(), cause },
            Fault::Busy { cause, pause: Some(pause) } => {
                let cause = format!("{cause} (it wants not to be asked for {} s)", pause.as_secs());
                self.failed(ask.action, &ask.what, cause)
            }
            Fault::Busy { cause, pause: None } | Fault::Failed(cause) => {
                self.failed(ask.action, &ask.what, cause)
            }
            Fault::Denied(cause) => Error::Denied {
                host: self.name.clone(),
                action: ask.action.to_owned(),
                what: ask.what.clone(),
                cause,
            },
            Fault::Credentials(cause) => Error::Credentials(cause),
        }
    }

    pub(crate) fn failed(&self, action: &str, what: &str, cause: String) -> Error {
        Error::Failed { host: self.name.clone(), action: action.to_owned(), what: what.to_owned(), cause }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
