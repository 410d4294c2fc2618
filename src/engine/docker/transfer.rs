//! Pushes and pulls by the engine: what it is sent, and its messages while
//! they go on. Nothing secret is in an event or an error.

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error as BollardError;
use bollard::models::{CreateImageInfo, ErrorDetail, ProgressDetail, PushImageInfo};
use futures::{Stream, StreamExt};
use tokio::time::Instant;

use crate::model::event::{Event, Events, StepState};
use crate::model::names::NodeName;
use crate::registry::credentials::Login;

const AUTH: &str = "x-registry-auth";

/// How engines take a login for a host.
pub(crate) fn credentials(login: Option<Login>, host: &str) -> Option<DockerCredentials> {
    let to = DockerCredentials { serveraddress: Some(host.to_owned()), ..Default::default() };
    Some(match login? {
        Login::Password { username, password } => {
            DockerCredentials { username: Some(username), password: Some(password), ..to }
        }
        Login::IdentityToken(token) => DockerCredentials { identitytoken: Some(token), ..to },
    })
}

/// Engines read credentials in the alphabet of URLs, bollard writes the other
/// one. An engine takes what it cannot read for no credentials at all.
pub(crate) fn mend_credentials(request: &mut bollard::BollardRequest) {
    let headers = request.headers_mut();
    let sent = headers.get(AUTH).and_then(|value| value.to_str().ok());
    if let Some(Ok(mended)) = sent.map(|text| in_url_alphabet(text).parse()) {
        headers.insert(AUTH, mended);
    }
}

fn in_url_alphabet(base64: &str) -> String {
    base64.replace('+', "-").replace('/', "_")
}

/// One message of a transfer.
#[derive(Debug, Default)]
pub(crate) struct TransferMessage {
    /// The layer it is about, as far as the engine says.
    what: Option<String>,
    progress: Option<ProgressDetail>,
    error: Option<ErrorDetail>,
}

impl From<CreateImageInfo> for TransferMessage {
    fn from(info: CreateImageInfo) -> Self {
        let what = info.id.zip(info.status).map(|(id, doing)| format!("{doing} {id}"));
        Self { what, progress: info.progress_detail, error: info.error_detail }
    }
}

impl From<PushImageInfo> for TransferMessage {
    fn from(info: PushImageInfo) -> Self {
        // Which layer is not known here; its size tells it from others.
        let size = info.progress_detail.as_ref().and_then(|progress| progress.total);
        let what = size.map(|size| format!("layer of {size} bytes"));
        Self { what, progress: info.progress_detail, error: info.error_detail }
    }
}

/// A transfer as one step of an image.
pub(crate) struct TransferStep<'a> {
    pub(crate) node: &'a NodeName,
    pub(crate) events: &'a Events,
    /// `push reg.example.org/ds01/x:r-…`
    pub(crate) name: String,
}

impl TransferStep<'_> {
    /// Reads to the end; an error in it is an error, though it began well.
    pub(crate) async fn follow<S: Into<TransferMessage>>(
        &self,
        stream: impl Stream<Item = Result<S, BollardError>>,
    ) -> Result<(), BollardError> {
        let began = Instant::now();
        self.step(StepState::Started);
        let ended = self.read(stream).await;
        self.step(match &ended {
            Ok(()) => StepState::Done { cached: false, millis: millis(began.elapsed()) },
            Err(error) => StepState::Failed { message: error.to_string() },
        });
        ended
    }

    async fn read<S: Into<TransferMessage>>(
        &self,
        stream: impl Stream<Item = Result<S, BollardError>>,
    ) -> Result<(), BollardError> {
        let mut stream = std::pin::pin!(stream);
        while let Some(message) = stream.next().await {
            let message: TransferMessage = message?.into();
            if let Some(detail) = message.error {
                let error = detail.message.unwrap_or_else(|| "an error without words".into());
                return Err(BollardError::DockerStreamError { error });
            }
            self.report(message);
        }
        Ok(())
    }

    fn report(&self, message: TransferMessage) {
        let (Some(what), Some(progress)) = (message.what, message.progress) else { return };
        let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let (current, total) = (bytes(progress.current), bytes(progress.total));
        if current > 0 {
            // What is sent is a little more than the layer itself.
            let current = if total > 0 { current.min(total) } else { current };
            let (image, step) = (self.node.clone(), self.name.clone());
            let _ = self.events.send(Event::Transfer { image, step, what, current, total });
        }
    }

    fn step(&self, state: StepState) {
        let (image, id, name) = (self.node.clone(), self.name.clone(), self.name.clone());
        let _ = self.events.send(Event::Step { image, id, name, state });
    }
}

fn millis(took: Duration) -> u64 {
    took.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_in_the_alphabet_that_engines_read() {
        use base64::Engine as _;
        use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
        let password = "Zürich?>~ÿÿ";
        assert_ne!(BASE64_STANDARD.encode(password), BASE64_URL_SAFE.encode(password));
        assert_eq!(in_url_alphabet(&BASE64_STANDARD.encode(password)), BASE64_URL_SAFE.encode(password));
    }

    #[test]
    fn a_token_goes_as_a_token_and_a_password_as_one() {
        let token = credentials(Some(Login::IdentityToken("t".into())), "reg.local").unwrap();
        assert_eq!((token.identitytoken.as_deref(), token.password), (Some("t"), None));
        let login = Login::Password { username: "ada".into(), password: "pw".into() };
        let password = credentials(Some(login), "reg.local").unwrap();
        assert_eq!((password.username.as_deref(), password.password.as_deref()), (Some("ada"), Some("pw")));
        assert_eq!(password.serveraddress.as_deref(), Some("reg.local"));
        assert_eq!(credentials(None, "reg.local"), None);
    }

    #[tokio::test]
    async fn an_error_within_a_stream_is_an_error() {
        let (events, mut received) = tokio::sync::mpsc::unbounded_channel();
        let node = NodeName::new("x");
        let transfer = TransferStep { node: &node, events: &events, name: "push x".into() };
        let progress = ProgressDetail { current: Some(7), total: Some(5) };
        let fine = PushImageInfo { progress_detail: Some(progress), ..Default::default() };
        let wrong = PushImageInfo { error_detail: Some(ErrorDetail::default()), ..Default::default() };
        let stream = futures::stream::iter([Ok(fine.clone()), Ok(wrong), Ok(fine)]);
        let ended = transfer.follow(stream).await;
        assert!(matches!(ended, Err(BollardError::DockerStreamError { .. })), "{ended:?}");
        let mut seen = Vec::new();
        while let Ok(event) = received.try_recv() {
            seen.push(event);
        }
        let step = |event: &Event, wanted: &str| match event {
            Event::Step { state: StepState::Started, .. } => wanted == "started",
            Event::Transfer { current: 5, total: 5, .. } => wanted == "moved",
            Event::Step { state: StepState::Failed { .. }, .. } => wanted == "failed",
            _ => false,
        };
        assert_eq!(seen.len(), 3, "{seen:?}");
        for (event, wanted) in seen.iter().zip(["started", "moved", "failed"]) {
            assert!(step(event, wanted), "{event:?}");
        }
    }
}
