//! Registry credentials for the pulls that BuildKit does.

use std::sync::Arc;

use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse, auth_server,
};
use tonic::{Request, Response, Status};

use super::Offer;
use crate::registry::credentials::Login;

pub(super) struct Auth(pub(super) Arc<Offer>);

#[tonic::async_trait]
impl auth_server::Auth for Auth {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        let login = self.0.credentials.of(&host).await.map_err(|e| Status::internal(e.to_string()))?;
        Ok(Response::new(match login {
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
