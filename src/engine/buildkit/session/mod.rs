//! The session: the connection on which BuildKit asks us for files,
//! credentials and secrets while it builds.
//!
//! One session serves a whole run of the program, so that a context shared by
//! many images is asked for once. Knows nothing of images and solves.

mod auth;
mod health;
mod secrets;
mod sync;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;

use super::dial;
use crate::dockerfile::context::Context;
use crate::engine::Error;
use crate::engine::address::Address;
use crate::image::solve::Secret;
use crate::registry::credentials::Credentials;

/// What BuildKit may call; it does not try what is not listed.
const METHODS: [&str; 4] = [
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
];

/// How long calls get to say themselves what a lost session means for them.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// What can be asked for, filled as solves come along.
#[derive(Debug)]
pub(super) struct Offer {
    contexts: Mutex<HashMap<String, Arc<Context>>>,
    secrets: Mutex<HashMap<String, Secret>>,
    credentials: Credentials,
    sent: AtomicU64,
}

impl Offer {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { contexts: Mutex::default(), secrets: Mutex::default(), credentials, sent: AtomicU64::new(0) }
    }

    /// Offers a folder under its id.
    pub(super) fn add_context(&self, context: &Arc<Context>) {
        lock(&self.contexts).insert(context.id.clone(), context.clone());
    }

    /// Offers secrets by id.
    pub(super) fn add_secrets<'a>(&self, secrets: impl IntoIterator<Item = (&'a String, &'a Secret)>) {
        lock(&self.secrets).extend(secrets.into_iter().map(|(id, secret)| (id.clone(), secret.clone())));
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
        address: &Address,
        id: String,
        shared_key: &str,
        offer: Arc<Offer>,
    ) -> Result<Self, Error> {
        let mut headers = vec![
            ("X-Docker-Expose-Session-Uuid", id.clone()),
            ("X-Docker-Expose-Session-Name", "ds01-build".to_owned()),
            ("X-Docker-Expose-Session-Sharedkey", shared_key.to_owned()),
        ];
        headers.extend(METHODS.map(|m| ("X-Docker-Expose-Session-Grpc-Method", m.to_owned())));
        let stream = dial::upgrade(address, "/session", &headers).await?;

        let routes = Routes::new(HealthServer::new(health::Health))
            .add_service(FileSyncServer::new(sync::FileSync(offer.clone())))
            .add_service(AuthServer::new(auth::Auth(offer.clone())))
            .add_service(SecretsServer::new(secrets::Secrets(offer)));
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
