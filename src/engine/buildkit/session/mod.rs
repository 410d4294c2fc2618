//! The session: the connection on which BuildKit asks us for files,
//! credentials and secrets while it builds.
//!
//! One session serves a whole run of the program, so that a context shared by
//! many images is asked for once. Knows nothing of images and solves.

pub(super) mod files;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse, health_check_response,
    health_server,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{
    GetSecretRequest, GetSecretResponse, secrets_server,
};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse, auth_server,
};
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::dockerfile::context::{Context, Tree};
use crate::engine::{Error, http};
use crate::image::secret::Secret;
use crate::registry::credentials::{Credentials, Login};

/// What BuildKit may call; it does not try what is not listed.
const METHODS: [&str; 4] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
];

/// How long calls get to say themselves what a lost session means for them.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// A context and the files of it that may be sent.
type OfferedContext = (Arc<Context>, Arc<Tree>);

/// What can be asked for, filled as solves come along.
#[derive(Debug)]
pub(super) struct SessionContent {
    contexts: Mutex<HashMap<String, OfferedContext>>,
    secrets: Mutex<HashMap<String, Secret>>,
    pub(super) credentials: Credentials,
    /// Why credentials that were asked for could not be read.
    unread: Mutex<Option<String>>,
    sent: AtomicU64,
}

impl SessionContent {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            contexts: Mutex::default(),
            secrets: Mutex::default(),
            credentials,
            unread: Mutex::default(),
            sent: AtomicU64::new(0),
        }
    }

    /// Offers a folder under its id, as it was hashed.
    pub(super) fn add_context(&self, context: &Arc<Context>, files: &Arc<Tree>) {
        lock(&self.contexts).insert(context.id.clone(), (context.clone(), files.clone()));
    }

    /// Offers secrets by id.
    pub(super) fn add_secrets<'a>(&self, secrets: impl IntoIterator<Item = (&'a String, &'a Secret)>) {
        lock(&self.secrets).extend(secrets.into_iter().map(|(id, secret)| (id.clone(), secret.clone())));
    }

    /// Why BuildKit was given no credentials, if they could not be read.
    pub(super) fn unread_credentials(&self) -> Option<String> {
        lock(&self.unread).clone()
    }

    /// Bytes of file content sent so far.
    #[cfg(test)]
    pub(super) fn bytes_sent(&self) -> u64 {
        self.sent.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// The maps hold no half-done change, so that a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open session; dropping it closes it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    over: CancellationToken,
    _stop: DropGuard,
}

impl Session {
    /// Opens a session of a new `id`. With an equal `shared_key` BuildKit
    /// compares a context with the copy that an earlier session left.
    pub(super) async fn open(
        http: &http::Client,
        id: String,
        shared_key: &str,
        content: Arc<SessionContent>,
    ) -> Result<Self, Error> {
        let mut headers = vec![
            ("X-Docker-Expose-Session-Uuid", id.clone()),
            ("X-Docker-Expose-Session-Name", "ds01-build".to_owned()),
            ("X-Docker-Expose-Session-Sharedkey", shared_key.to_owned()),
        ];
        headers.extend(METHODS.map(|m| ("X-Docker-Expose-Session-Grpc-Method", m.to_owned())));
        let stream = super::upgrade(http, "/session", &headers).await?;

        let routes = Routes::new(health_server::HealthServer::new(Health))
            .add_service(FileSyncServer::new(files::FileSync(content.clone())))
            .add_service(auth_server::AuthServer::new(Auth(content.clone())))
            .add_service(secrets_server::SecretsServer::new(Secrets(content)));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(stream, TowerToHyperService::new(routes));
        let (over, stop) = (CancellationToken::new(), CancellationToken::new());
        let (ended, stopped) = (over.clone(), stop.clone());
        tokio::spawn(async move {
            let _end = ended.drop_guard();
            tokio::select! {
                _ = connection => {}
                () = stopped.cancelled() => {}
            }
        });
        Ok(Self { id, over, _stop: stop.drop_guard() })
    }

    /// Whether the engine is still there to ask.
    pub(super) fn is_open(&self) -> bool {
        !self.over.is_cancelled()
    }

    /// Waits until the engine has hung up, and a little longer: calls that
    /// failed with the same connection know better why.
    pub(super) async fn lost(&self) {
        self.over.cancelled().await;
        tokio::time::sleep(LAST_CALLS).await;
    }
}

/// Registry credentials for the pulls that BuildKit does.
struct Auth(Arc<SessionContent>);

#[tonic::async_trait]
impl auth_server::Auth for Auth {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        let login = self.0.credentials.of(&host).await.unwrap_or_else(|error| {
            // BuildKit asks before it knows whether some are needed.
            *lock(&self.0.unread) = Some(error.to_string());
            None
        });
        Ok(Response::new(match login.map(|(login, _)| login) {
            Some(Login::Password { username, password }) => {
                CredentialsResponse { username, secret: password }
            }
            // By convention an identity token is a secret without a name.
            Some(Login::IdentityToken(secret)) => CredentialsResponse { username: String::new(), secret },
            None => CredentialsResponse::default(),
        }))
    }

    // The engine then fetches tokens itself, with the credentials above.

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("only Credentials"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("only Credentials"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("only Credentials"))
    }
}

/// Secrets, handed out at the moment a step mounts them.
struct Secrets(Arc<SessionContent>);

#[tonic::async_trait]
impl secrets_server::Secrets for Secrets {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let secret = lock(&self.0.secrets).get(&id).cloned();
        // BuildKit goes on without an optional secret only if it is `not found`.
        let secret =
            secret.ok_or_else(|| Status::not_found(format!("the spec declares no secret `{id}`")))?;
        Ok(Response::new(GetSecretResponse { data: secret.value.to_vec() }))
    }
}

/// Answers the session manager's question whether we are still there.
struct Health;

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let status = health_check_response::ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("only Check"))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only Check"))
    }
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::moby::filesync::v1::auth_server::Auth as _;

    use super::*;

    #[tokio::test]
    async fn credentials_that_cannot_be_read_are_none_and_the_cause_is_kept() {
        let content = Arc::new(SessionContent::new(Credentials::new(Some("no JSON".into()), [])));
        assert_eq!(content.unread_credentials(), None);
        let asked = Request::new(CredentialsRequest { host: "docker.io".into() });
        let answer = Auth(content.clone()).credentials(asked).await.unwrap().into_inner();
        assert_eq!(answer, CredentialsResponse::default());
        let cause = content.unread_credentials().unwrap();
        assert!(cause.contains("DOCKER_AUTH_CONFIG"), "{cause}");
    }
}
