//! One request and its answer, or the reason why there is none; how long is
//! waited, and how often it is asked again. Knows no registry's ways; what was
//! sent is never part of a reason.

use std::error::Error as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder};
pub(crate) use reqwest::{Method, StatusCode, Url};
use rustls::{CertificateError, ClientConfig};
use serde::Deserialize;

use super::Options;
use crate::model::problem::chain;
use crate::registry::tls::{client_config, tls_error};

/// Docker's own place for registries' certificates, beside the user's.
const SYSTEM: &str = "/etc/docker";
const DIGEST: &str = "docker-content-digest";
/// Manifests and configs are far smaller.
const LONGEST_BODY: usize = 8 << 20;
/// Characters that are shown of a registry's message.
const LONGEST_MESSAGE: usize = 200;

/// Why a request has no answer that can be used.
#[derive(Clone, Debug)]
pub(crate) enum RequestError {
    /// Nobody is there, or is silent. To ask again is no use.
    Silent(String),
    /// The connection broke. It may be better the next time.
    Broken(String),
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
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Connections to one registry and its token server. Clones share them.
#[derive(Clone)]
pub(crate) struct Transport {
    host: String,
    client: Client,
    retry: RetryPolicy,
    pub(crate) secure: bool,
}

impl Transport {
    /// # Errors
    /// Names the certificate that cannot be used.
    pub(crate) fn new(host: &str, options: &Options) -> Result<Self, String> {
        let (loopback, retry) = (is_loopback(host), options.retry);
        let client = Client::builder()
            .user_agent(concat!("ds01-build/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(retry.connect)
            .timeout(retry.answer)
            .tls_backend_preconfigured(trust(host, options)?);
        let client = if loopback { client.no_proxy() } else { client };
        Ok(Self {
            host: host.to_owned(),
            client: client.build().map_err(|e| cause(&e))?,
            retry,
            secure: !loopback && !options.insecure.contains(host),
        })
    }

    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends it. Every status that no pause can better is an answer.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, RequestError> {
        let mut response = request.send().await.map_err(|e| self.error_of(e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.error_of(e))? {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(RequestError::Failed(format!(
                    "its answer has more than {} MiB",
                    LONGEST_BODY >> 20
                )));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Response { status, headers, body };
        match status.as_u16() {
            429 | 500 | 502..=504 => {
                Err(RequestError::Busy { cause: answer.message(), pause: answer.pause() })
            }
            _ => Ok(answer),
        }
    }

    fn error_of(&self, error: reqwest::Error) -> RequestError {
        if let Some(error) = tls_error(&error) {
            return RequestError::Silent(refusal(error, &self.host));
        }
        let limit = match (error.is_connect(), error.is_timeout()) {
            (true, true) => Some(("there is no connection", self.retry.connect)),
            (false, true) => Some(("it has not answered", self.retry.answer)),
            (_, false) => None,
        };
        if let Some((what, limit)) = limit {
            return RequestError::Silent(format!("{what} within {limit:?}"));
        }
        let silent = error.is_connect();
        // An address may hold the signature that lets one read a blob.
        let cause = cause(&error.without_url());
        if silent { RequestError::Silent(cause) } else { RequestError::Broken(cause) }
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Response {
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
        retry_after(self.text(RETRY_AFTER.as_str())?, self.text(DATE.as_str()))
    }

    /// What a failure is about: the status, and the registry's own words.
    pub(crate) fn message(&self) -> String {
        let mut text = self.status.to_string();
        if let Ok(body) = serde_json::from_slice::<ErrorBody>(&self.body) {
            let errors =
                body.errors.into_iter().map(|e| if e.message.is_empty() { e.code } else { e.message });
            let words = errors.collect::<Vec<_>>().join("; ");
            let plain = words.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE);
            text = format!("{text}: {}", plain.collect::<String>());
        }
        text
    }
}

/// Without the headline, which only says that a request failed.
fn cause(error: &reqwest::Error) -> String {
    error.source().map_or_else(|| error.to_string(), chain)
}

/// Whom to trust in TLS. What an insecure registry refers to may still be under
/// it; for loopback nobody is trusted, so that no roots are read.
///
/// # Errors
/// Names the certificate that cannot be used.
pub(super) fn trust(host: &str, options: &Options) -> Result<ClientConfig, String> {
    if is_loopback(host) {
        client_config(false, &[], None)
    } else {
        client_config(true, &authorities(host, options), None)
    }
}

/// Every `*.crt` for a host, as Docker's engine has it.
fn authorities(host: &str, options: &Options) -> Vec<PathBuf> {
    let folders = options.docker_config.iter().map(PathBuf::as_path).chain([Path::new(SYSTEM)]);
    let entries = folders.filter_map(|folder| std::fs::read_dir(folder.join("certs.d").join(host)).ok());
    let paths = entries.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "crt")).collect()
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// What an error of TLS means.
pub(super) fn refusal(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!(
                "its certificate is signed by nobody this machine trusts; put the authority's certificate \
                 into /etc/docker/certs.d/{host}/ca.crt or, for yourself, below Docker's config.json into \
                 certs.d/{host}/ca.crt"
            )
        }
        rustls::Error::InvalidMessage(_) => format!(
            "it does not speak TLS; if it is to be asked in plain text, write {host} under \
             `insecure_registries` in the spec"
        ),
        other => format!("TLS failed: {other}"),
    }
}

/// Limits of time, and how often a request is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For a whole answer.
    pub(crate) answer: Duration,
    /// Asked at most this often.
    pub(crate) tries: u32,
    /// Before the second try; twice as long before each further one.
    pub(crate) pause: Duration,
    /// The longest pause that a registry may ask for.
    pub(crate) longest: Duration,
    /// A host that did not answer is not asked again for so long.
    pub(crate) lost: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            tries: 3,
            pause: Duration::from_millis(200),
            longest: Duration::from_secs(10),
            // A plan does not wait for each of its images; a push at the end
            // of a long build tries again.
            lost: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// What to wait after the nth try.
    pub(crate) fn after(&self, tried: u32) -> Duration {
        self.pause * 2u32.saturating_pow(tried.saturating_sub(1))
    }
}

/// `Retry-After` is in seconds or a date. A date counts from the answer's own
/// `Date`: the clocks of two machines differ.
pub(crate) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text: &str| rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok();
    let (then, now) = (time(value)?, time(date?)?);
    Some(Duration::from_secs(u64::try_from(then.as_second() - now.as_second()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_with_and_without_a_port() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.9.1", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["docker.io", "127.example.org", "localhost.example.org:5000", "10.0.0.1:5000"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn retry_after_is_in_seconds_or_a_date() {
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(retry_after("7", date), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:05 GMT", date), Some(Duration::from_secs(5)));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:27:05 GMT", date), Some(Duration::ZERO));
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:05 GMT", None), None);
        assert_eq!(retry_after("soon", date), None);
        assert_eq!(retry_after("-1", date), None);
    }

    #[test]
    fn pauses_double() {
        let retry = RetryPolicy::default();
        assert_eq!([1, 2, 3].map(|n| retry.after(n).as_millis()), [200, 400, 800]);
    }
}
