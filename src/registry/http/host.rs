//! One registry: asked by many at once, with patience, and not again for a
//! while once it has stayed silent. Knows nothing of images.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use super::auth::Auth;
use super::transport::{Method, RequestError, Response, RetryPolicy, StatusCode, Transport, Url};
use super::{Error, Options};

/// Requests that are open at a time, each on a connection that is kept.
const AT_ONCE: usize = 32;
const HUB: &str = "docker.io";
const HUB_SERVER: &str = "registry-1.docker.io";

/// A request for the registry.
pub(crate) struct ApiRequest {
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
    transport: Transport,
    auth: Auth,
    retry: RetryPolicy,
    /// One until the first answer: who asks first finds out whether it is
    /// there and how to log in, for all others.
    permits: Semaphore,
    has_answered: AtomicBool,
    /// By repository. While one tag is put on a manifest, distribution 2.8 on
    /// a disk cannot read that manifest in that repository, and answers 500.
    writing: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    state: Mutex<HostState>,
}

#[derive(Default)]
struct HostState {
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
        let transport = Transport::new(name, options).map_err(broken)?;
        let scheme = if transport.secure { "https" } else { "http" };
        let server = if name == HUB { HUB_SERVER } else { name };
        let base = Url::parse(&format!("{scheme}://{server}")).map_err(|e| broken(e.to_string()))?;
        Ok(Self {
            name: name.to_owned(),
            base,
            auth: Auth::new(name, transport.clone(), options.credentials.clone()),
            transport,
            retry: options.retry,
            permits: Semaphore::new(1),
            has_answered: AtomicBool::new(false),
            writing: Mutex::default(),
            state: Mutex::default(),
        })
    }

    /// Asks, again and with pauses where that may help.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    pub(crate) async fn send(&self, request: &ApiRequest) -> Result<Response, Error> {
        self.auth.will_need(&request.scope);
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match self.send_once(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = match &error {
                RequestError::Broken(_) | RequestError::Busy { pause: None, .. } => self.retry.after(tried),
                RequestError::Busy { pause: Some(pause), .. } => {
                    self.rest(*pause);
                    *pause
                }
                _ => return Err(self.error(error, request)),
            };
            if tried >= self.retry.tries || pause > self.retry.longest {
                if let RequestError::Broken(cause) = &error {
                    self.lost(cause);
                }
                return Err(self.error(error, request));
            }
            sleep(pause).await;
        }
    }

    /// The right to write into a repository, until it is dropped.
    pub(crate) async fn write(&self, repository: &str) -> OwnedMutexGuard<()> {
        let writers = {
            let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            writing.entry(repository.to_owned()).or_default().clone()
        };
        writers.lock_owned().await
    }

    async fn send_once(&self, request: &ApiRequest) -> Result<Response, RequestError> {
        let _permit = self.permits.acquire().await.map_err(|e| RequestError::Failed(e.to_string()))?;
        self.wait_for_rest().await?;
        let answer = self.log_in_and_send(request).await;
        match &answer {
            Err(RequestError::Silent(cause)) => self.lost(cause),
            Err(RequestError::Broken(_) | RequestError::Busy { .. }) => {}
            _ if self.has_answered.swap(true, Ordering::Relaxed) => {}
            _ => self.permits.add_permits(AT_ONCE - 1),
        }
        answer
    }

    fn lost(&self, cause: &str) {
        self.state().lost = Some((Instant::now(), cause.to_owned()));
    }

    /// Waits as long as the host wants to be left alone.
    async fn wait_for_rest(&self) -> Result<(), RequestError> {
        let (now, rest) = {
            let state = self.state();
            let now = Instant::now();
            if let Some((when, cause)) = &state.lost
                && now - *when < self.retry.lost
            {
                return Err(RequestError::Silent(cause.clone()));
            }
            (now, state.rest)
        };
        let Some(rest) = rest.filter(|rest| *rest > now) else { return Ok(()) };
        if rest - now > self.retry.longest {
            let cause = format!("it wants not to be asked for {} s", (rest - now).as_secs());
            return Err(RequestError::Failed(cause));
        }
        sleep_until(rest).await;
        Ok(())
    }

    fn rest(&self, pause: std::time::Duration) {
        let mut state = self.state();
        state.rest = state.rest.max(Instant::now().checked_add(pause));
    }

    /// Sends once more with a login where the registry asks for one.
    async fn log_in_and_send(&self, api: &ApiRequest) -> Result<Response, RequestError> {
        let mut authorization = self.auth.authorization(&api.scope).await?;
        loop {
            let url = self.base.join(&api.path).map_err(|e| RequestError::Failed(e.to_string()))?;
            let mut request = self.transport.request(api.method.clone(), url).header(ACCEPT, api.accept);
            if let Some((kind, content)) = &api.body {
                request = request.header(CONTENT_TYPE, kind).body(content.clone());
            }
            if let Some(header) = authorization.header() {
                request = request.header(AUTHORIZATION, header);
            }
            let answer = self.transport.send(request).await?;
            match answer.status {
                StatusCode::UNAUTHORIZED => {
                    authorization = self.auth.after_refusal(&api.scope, &answer, authorization).await?;
                }
                StatusCode::FORBIDDEN => return Err(RequestError::Denied(answer.message())),
                _ => return Ok(answer),
            }
        }
    }

    fn error(&self, error: RequestError, request: &ApiRequest) -> Error {
        match error {
            RequestError::Silent(cause) | RequestError::Broken(cause) => {
                Error::Unreachable { host: self.name.clone(), cause }
            }
            RequestError::Busy { cause, pause: Some(pause) } => {
                let cause = format!("{cause} (it wants not to be asked for {} s)", pause.as_secs());
                self.failed(request.action, &request.what, cause)
            }
            RequestError::Busy { cause, pause: None } | RequestError::Failed(cause) => {
                self.failed(request.action, &request.what, cause)
            }
            RequestError::Denied(cause) => Error::Denied {
                host: self.name.clone(),
                action: request.action.to_owned(),
                what: request.what.clone(),
                cause,
            },
            RequestError::Credentials(cause) => Error::Credentials(cause),
        }
    }

    pub(crate) fn failed(&self, action: &str, what: &str, cause: String) -> Error {
        Error::Failed { host: self.name.clone(), action: action.to_owned(), what: what.to_owned(), cause }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, HostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
