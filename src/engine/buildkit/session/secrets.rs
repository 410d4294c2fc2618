//! Secrets, handed out at the moment a step mounts them; only then is a file
//! read.

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::{
    GetSecretRequest, GetSecretResponse, secrets_server,
};
use tonic::{Request, Response, Status};

use super::{Offer, lock};
use crate::image::solve::Secret;

/// What BuildKit takes at most.
const LARGEST: usize = 500 * 1024;

pub(super) struct Secrets(pub(super) Arc<Offer>);

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
        let path = match secret {
            Secret::File(path) => path,
            Secret::Text { text, .. } => return Ok(Response::new(GetSecretResponse { data: text.into() })),
        };
        let data = tokio::fs::read(&path).await.map_err(|e| {
            let text = format!("the file of secret `{id}`, {}: {e}", path.display());
            match e.kind() {
                std::io::ErrorKind::NotFound => Status::not_found(text),
                _ => Status::failed_precondition(text),
            }
        })?;
        if data.len() > LARGEST {
            let text = format!(
                "secret `{id}` is {} bytes, more than the {LARGEST} that a secret may be",
                data.len()
            );
            return Err(Status::failed_precondition(text));
        }
        Ok(Response::new(GetSecretResponse { data }))
    }
}
