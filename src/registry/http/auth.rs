//! Logging in to one registry: what it asks for, and tokens that are kept.
//!
//! A token is fetched for many repositories at once where many are about to
//! be asked for; a server that grants less than that is asked for one alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use tokio::time::Instant;

use super::transport::{Method, RequestError, Response, Transport, Url};
use crate::registry::credentials::{Credentials, Login, Source};

/// Scopes of one token. Each adds about 60 bytes to an address and 100 to a
/// token, and servers take headers of 8 KiB.
const MOST_SCOPES: usize = 50;
/// For a token that does not say how long it holds.
const HOLDS: u64 = 60;
/// A token is not used in its last seconds: it may end on the way.
const MARGIN: u64 = 5;
const CLIENT: &str = "ds01-build";

pub(crate) struct Auth {
    host: String,
    transport: Transport,
    credentials: Credentials,
    state: Mutex<AuthState>,
    /// Held while a token is fetched, so that the others wait for that one.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct AuthState {
    challenge: Option<Challenge>,
    /// For Basic.
    password: Option<HeaderValue>,
    tokens: HashMap<String, Token>,
    /// Scopes that will be asked for.
    needed: BTreeSet<String>,
    /// For the error, should it come to that.
    login: LoginState,
}

#[derive(Clone, Default)]
enum LoginState {
    #[default]
    None,
    Used(Source),
    Broken(String),
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

/// What a registry wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer(TokenServer),
}

/// Who gives tokens for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TokenServer {
    realm: Url,
    service: Option<String>,
}

/// What goes with a request.
pub(crate) enum Authorization {
    Nothing,
    /// A token that was kept, or is for many repositories at once.
    Token(HeaderValue),
    /// A password, or a token just fetched for this request: there is no better.
    Last(HeaderValue),
}

impl Authorization {
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Nothing => None,
            Self::Token(header) | Self::Last(header) => Some(header.clone()),
        }
    }
}

impl Auth {
    pub(crate) fn new(host: &str, transport: Transport, credentials: Credentials) -> Self {
        let (state, fetching) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { host: host.to_owned(), transport, credentials, state, fetching }
    }

    /// This will be asked for soon. No scope at all is nothing to ask for
    /// beside others.
    pub(crate) fn will_need(&self, scope: &str) {
        if !scope.is_empty() {
            self.state().needed.insert(scope.to_owned());
        }
    }

    /// What to send at once: what worked before.
    pub(crate) async fn authorization(&self, scope: &str) -> Result<Authorization, RequestError> {
        let (challenge, password) = {
            let state = self.state();
            (state.challenge.clone(), state.password.clone())
        };
        match challenge {
            None => Ok(Authorization::Nothing),
            Some(Challenge::Basic) => Ok(password.map_or(Authorization::Nothing, Authorization::Last)),
            Some(Challenge::Bearer(server)) => self.token(scope, &server).await.map(Authorization::Token),
        }
    }

    /// What to send after a 401 to `refused`.
    pub(crate) async fn after_refusal(
        &self,
        scope: &str,
        answer: &Response,
        refused: Authorization,
    ) -> Result<Authorization, RequestError> {
        let known = self.state().challenge.clone();
        match (refused, known) {
            (Authorization::Nothing, _) => {
                let headers = answer.headers.get_all(WWW_AUTHENTICATE).iter();
                let unknown = "it asks for a login of a kind that is not known here";
                let challenge = challenge(headers.filter_map(|value| value.to_str().ok()))
                    .ok_or_else(|| RequestError::Denied(unknown.into()))?;
                if challenge == Challenge::Basic {
                    let password = self.password().await?;
                    self.state().password = Some(password);
                }
                self.state().challenge = Some(challenge);
                self.authorization(scope).await
            }
            (Authorization::Token(_), Some(Challenge::Bearer(server))) => {
                let token = self.fetch(&[scope.to_owned()], &server).await?;
                self.state().tokens.insert(scope.to_owned(), token.clone());
                Ok(Authorization::Last(token.header))
            }
            _ => Err(self.denied(|| answer.message())),
        }
    }

    async fn login(&self) -> Option<Login> {
        let (state, login) = match self.credentials.of(&self.host).await {
            Ok(Some((login, source))) => (LoginState::Used(source), Some(login)),
            Ok(None) => (LoginState::None, None),
            // Not needed for what everybody may read.
            Err(error) => (LoginState::Broken(error.to_string()), None),
        };
        self.state().login = state;
        login
    }

    /// For Basic, which has no place for a token.
    async fn password(&self) -> Result<HeaderValue, RequestError> {
        match self.login().await {
            Some(Login::Password { username, password }) => basic(&username, &password),
            Some(Login::IdentityToken(_)) => {
                Err(self.denied(|| "it wants a password, and that is a token".into()))
            }
            None => Err(self.denied(|| "it wants a login, and there is none".into())),
        }
    }

    /// A refusal; the registry's message is shown only to those who logged in.
    fn denied(&self, message: impl FnOnce() -> String) -> RequestError {
        RequestError::Denied(match self.state().login.clone() {
            LoginState::Broken(cause) => return RequestError::Credentials(cause),
            LoginState::Used(source) => format!("the login from {source} is not enough: {}", message()),
            LoginState::None => "it is not there, or it needs a login and there is none".into(),
        })
    }

    /// A kept token, or a new one for this scope and others that are needed.
    async fn token(&self, scope: &str, server: &TokenServer) -> Result<HeaderValue, RequestError> {
        let _fetching = self.fetching.lock().await;
        let scopes = {
            let state = self.state();
            let kept = |scope: &str| state.tokens.get(scope).filter(|token| token.until > Instant::now());
            if let Some(token) = kept(scope) {
                return Ok(token.header.clone());
            }
            let missing = state.needed.iter().filter(|other| *other != scope && kept(other).is_none());
            std::iter::once(scope.to_owned()).chain(missing.cloned()).take(MOST_SCOPES).collect::<Vec<_>>()
        };
        let (token, scopes) = match self.fetch(&scopes, server).await {
            Err(RequestError::Denied(_) | RequestError::Failed(_)) if scopes.len() > 1 => {
                (self.fetch(&scopes[..1], server).await?, &scopes[..1])
            }
            fetched => (fetched?, &scopes[..]),
        };
        let mut state = self.state();
        for scope in scopes {
            state.tokens.insert(scope.clone(), token.clone());
        }
        Ok(token.header)
    }

    async fn fetch(&self, scopes: &[String], server: &TokenServer) -> Result<Token, RequestError> {
        let login = self.login().await;
        let name = server.realm.host_str().unwrap_or_default();
        if login.is_some() && self.transport.secure && server.realm.scheme() != "https" {
            let cause = format!("its token server {name} is without TLS, so no credentials are sent there");
            return Err(RequestError::Denied(cause));
        }
        let request = self.token_request(scopes, server, login.as_ref())?;
        let answer = self.transport.send(request).await.map_err(|error| match error {
            RequestError::Silent(cause) => RequestError::Silent(format!("its token server {name}: {cause}")),
            other => other,
        })?;
        match answer.status.as_u16() {
            200 => token(&answer),
            400 | 401 | 403 => Err(self.denied(|| answer.message())),
            _ => Err(RequestError::Failed(format!("its token server says {}", answer.message()))),
        }
    }

    /// With a refresh token a form, otherwise a query.
    fn token_request(
        &self,
        scopes: &[String],
        server: &TokenServer,
        login: Option<&Login>,
    ) -> Result<RequestBuilder, RequestError> {
        if let Some(Login::IdentityToken(refresh)) = login {
            let form = [
                ("grant_type", "refresh_token"),
                ("service", server.service.as_deref().unwrap_or_default()),
                ("client_id", CLIENT),
                ("scope", &scopes.join(" ")),
                ("refresh_token", refresh),
            ];
            return Ok(self.transport.request(Method::POST, server.realm.clone()).form(&form));
        }
        let mut url = server.realm.clone();
        let service = server.service.iter().map(|service| ("service", service));
        let scopes = scopes.iter().filter(|scope| !scope.is_empty()).map(|scope| ("scope", scope));
        url.query_pairs_mut().extend_pairs(service.chain(scopes));
        let request = self.transport.request(Method::GET, url);
        Ok(match login {
            Some(Login::Password { username, password }) => {
                request.header(AUTHORIZATION, basic(username, password)?)
            }
            _ => request,
        })
    }

    fn state(&self) -> MutexGuard<'_, AuthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn basic(username: &str, password: &str) -> Result<HeaderValue, RequestError> {
    secret(format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
}

fn secret(text: String) -> Result<HeaderValue, RequestError> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| RequestError::Failed("its token has characters that no header can have".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Deserialize)]
struct TokenResponse {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

fn token(answer: &Response) -> Result<Token, RequestError> {
    // The error of the parser would show what was sent.
    let unreadable = || RequestError::Failed("its token server's answer has no token".into());
    let response: TokenResponse = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    let text = [response.token, response.access_token].into_iter().find(|text| !text.is_empty());
    let holds = response.expires_in.unwrap_or(HOLDS).min(24 * 60 * 60).saturating_sub(MARGIN);
    let header = secret(format!("Bearer {}", text.ok_or_else(unreadable)?))?;
    Ok(Token { header, until: Instant::now() + Duration::from_secs(holds) })
}

/// The best of what is asked for: tokens before passwords.
fn challenge<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut found = None;
    for header in headers {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            let mut parameters = parameters(rest);
            let realm = parameters.remove("realm").and_then(|realm| Url::parse(&realm).ok());
            if let Some(realm) = realm {
                let service = parameters.remove("service");
                return Some(Challenge::Bearer(TokenServer { realm, service }));
            }
        } else if scheme.eq_ignore_ascii_case("basic") {
            found = Some(Challenge::Basic);
        }
    }
    found
}

/// `name="value", name=value`, where a quoted value may hold commas.
fn parameters(text: &str) -> HashMap<String, String> {
    let (mut found, mut rest) = (HashMap::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(name, value.trim().to_owned());
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_commas_in_quotes_and_in_any_order() {
        let header = r#"Bearer realm="https://auth.local/token",service="reg, the first",scope="repository:x:pull,push""#;
        let Some(Challenge::Bearer(TokenServer { realm, service })) = challenge([header].into_iter()) else {
            panic!("a bearer challenge")
        };
        assert_eq!(
            (realm.as_str(), service.as_deref()),
            ("https://auth.local/token", Some("reg, the first"))
        );
        let both = ["Basic realm=x", "bearer service=s, realm=https://a/t"];
        assert!(matches!(challenge(both.into_iter()), Some(Challenge::Bearer(_))));
        assert_eq!(challenge(["Basic realm=\"x\""].into_iter()), Some(Challenge::Basic));
        assert_eq!(challenge(["Negotiate"].into_iter()), None);
        assert_eq!(challenge(["Bearer realm=\"no address\""].into_iter()), None);
    }
}
