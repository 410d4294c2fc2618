//! One request and its answer, or the reason why there is none. Knows no
//! registry's ways; what was sent is never part of a reason.

use std::error::Error as Cause;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder};
pub(crate) use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::patience::{self, Patience};
use super::tls;

const DIGEST: &str = "docker-content-digest";
/// Manifests and configs are far smaller.
const MAX_BODY: usize = 8 << 20;
/// Of what a registry says.
const MAX_SAID: usize = 200;

/// Why a request has no answer that can be used.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nobody is there, or is silent. To ask again is no use.
    Lost(String),
    /// The connection broke. It may be better the next time.
    Cut(String),
    /// It asks for patience, or fails for now.
    Busy {
        cause: String,
        pause: Option<Duration>,
    },
    /// It failed for good.
    Failed(String),
    Denied(String),
    /// Docker's credentials are needed and broken.
    Credentials(String),
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Connections to one registry and its token server.
pub(crate) struct Wire {
    host: String,
    client: Client,
    patience: Patience,
    pub(crate) secure: bool,
}

impl Wire {
    /// # Errors
    /// Names the certificate that cannot be used.
    pub(crate) fn new(host: &str, trust: tls::Trust, patience: Patience) -> Result<Self, String> {
        let secure = matches!(trust, tls::Trust::Tls(_));
        let client = Client::builder()
            .user_agent(concat!("ds01-build/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .timeout(patience.answer);
        let client = match trust {
            tls::Trust::Loopback(config) => client.no_proxy().tls_backend_preconfigured(config),
            tls::Trust::Plain(config) | tls::Trust::Tls(config) => client.tls_backend_preconfigured(config),
        };
        Ok(Self { host: host.to_owned(), client: client.build().map_err(|e| chain(&e))?, patience, secure })
    }

    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends it. Every status that no pause can better is an answer.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, Fault> {
        let mut response = request.send().await.map_err(|e| self.fault(e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.fault(e))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Fault::Failed(format!("its answer has more than {} MiB", MAX_BODY >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Answer { status, headers, body };
        match status.as_u16() {
            429 | 500 | 502..=504 => Err(Fault::Busy { cause: answer.said(), pause: answer.pause() }),
            _ => Ok(answer),
        }
    }

    fn fault(&self, error: reqwest::Error) -> Fault {
        if let Some(cause) = causes(&error).find_map(|error| tls::refusal(error, &self.host)) {
            return Fault::Lost(cause);
        }
        let limit = match (error.is_connect(), error.is_timeout()) {
            (true, true) => Some(("there is no connection", self.patience.connect)),
            (false, true) => Some(("it has not answered", self.patience.answer)),
            (_, false) => None,
        };
        if let Some((what, limit)) = limit {
            return Fault::Lost(format!("{what} within {limit:?}"));
        }
        let lost = error.is_connect();
        // An address may hold the signature that lets one read a blob.
        let cause = chain(&error.without_url());
        if lost { Fault::Lost(cause) } else { Fault::Cut(cause) }
    }
}

#[derive(Deserialize)]
struct Said {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Answer {
    /// The content's digest, if it says so.
    pub(crate) fn digest(&self) -> Option<String> {
        let digest = self.text(DIGEST)?;
        let hex = digest.strip_prefix("sha256:")?;
        (hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then(|| digest.to_owned())
    }

    pub(crate) fn media_type(&self) -> Option<String> {
        let text = self.text(CONTENT_TYPE.as_str())?;
        let kind = text.split(';').next().unwrap_or(text).trim();
        ["manifest", "image.index"].iter().any(|word| kind.contains(word)).then(|| kind.to_owned())
    }

    pub(crate) fn text(&self, header: &str) -> Option<&str> {
        self.headers.get(header)?.to_str().ok()
    }

    fn pause(&self) -> Option<Duration> {
        patience::retry_after(self.text(RETRY_AFTER.as_str())?, self.text(DATE.as_str()))
    }

    /// What it says of a failure: the status, and a registry's own words.
    pub(crate) fn said(&self) -> String {
        let mut text = self.status.to_string();
        if let Ok(said) = serde_json::from_slice::<Said>(&self.body) {
            let errors =
                said.errors.into_iter().map(|e| if e.message.is_empty() { e.code } else { e.message });
            let words = errors.collect::<Vec<_>>().join("; ");
            let plain = words.chars().filter(|c| !c.is_control()).take(MAX_SAID);
            text = format!("{text}: {}", plain.collect::<String>());
        }
        text
    }
}

fn causes<'a>(error: &'a (dyn Cause + 'static)) -> impl Iterator<Item = &'a (dyn Cause + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error's causes, without the headlines of the libraries, which only say
/// that a request failed.
fn chain(error: &(dyn Cause + 'static)) -> String {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let telling = texts.iter().skip(usize::from(texts.len() > 1));
    telling.filter(|text| !text.starts_with("client error")).fold(String::new(), |told, text| {
        match told.as_str() {
            "" => text.clone(),
            known if known.contains(text.as_str()) => told,
            known => format!("{known}: {text}"),
        }
    })
}
