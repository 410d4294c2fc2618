//! Streams to an engine's BuildKit: the upgrade from HTTP/1.1 to gRPC's HTTP/2.

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode, header};

use crate::engine::Error;
use crate::engine::address::Address;
use crate::engine::stream;

/// Asks the engine to speak HTTP/2 on a new stream.
///
/// # Errors
/// `Unreachable` when nobody is there or answers in time, `Certificates` when
/// the sides do not trust each other, `NoBuildKit` when it declines.
pub(super) async fn upgrade(
    address: &Address,
    path: &str,
    headers: &[(&'static str, String)],
) -> Result<Upgraded, Error> {
    let mut request =
        Request::post(path).header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "h2c");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let no_buildkit = |cause: String| Error::NoBuildKit { address: address.to_string(), cause };
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| no_buildkit(e.to_string()))?;
    let response = stream::in_time(address, stream::request(address, request)).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(no_buildkit(format!("it answers {} to {path}", response.status())));
    }
    hyper::upgrade::on(response).await.map_err(|e| no_buildkit(e.to_string()))
}
