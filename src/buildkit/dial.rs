//! Streams to an engine, and their upgrade from HTTP/1.1 to gRPC's HTTP/2.

use std::path::Path;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::engine::Error;
use crate::engine::address::Address;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Asks the engine to speak HTTP/2 on a new stream.
///
/// # Errors
/// `Unreachable` when nobody is there, `NoBuildKit` when it declines.
pub(super) async fn upgrade(
    address: &Address,
    path: &str,
    headers: &[(&'static str, String)],
) -> Result<Upgraded, Error> {
    let unreachable = |cause: String| Error::Unreachable { address: address.to_string(), cause };
    let stream = open(address).await.map_err(|e| unreachable(explain(address, &e)))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| unreachable(e.to_string()))?;
    tokio::spawn(connection.with_upgrades());

    let mut request = Request::post(path)
        .header(header::HOST, "engine")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "h2c");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let no_buildkit = |cause: String| Error::NoBuildKit { address: address.to_string(), cause };
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| no_buildkit(e.to_string()))?;
    let response = sender.send_request(request).await.map_err(|e| unreachable(e.to_string()))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(no_buildkit(format!("it answers {} to {path}", response.status())));
    }
    hyper::upgrade::on(response).await.map_err(|e| no_buildkit(e.to_string()))
}

async fn open(address: &Address) -> std::io::Result<Box<dyn Stream>> {
    match address {
        Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        Address::Tcp { host, port } => Ok(Box::new(tcp(host, *port).await?)),
        Address::Tls { host, port, cert_dir } => {
            let config = tls(cert_dir)?;
            let name = ServerName::try_from(host.clone()).map_err(std::io::Error::other)?;
            let stream = tcp(host, *port).await?;
            Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?))
        }
    }
}

async fn tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn tls(cert_dir: &Path) -> std::io::Result<std::sync::Arc<rustls::ClientConfig>> {
    let named = |file: &str, cause: &dyn std::fmt::Display| {
        std::io::Error::other(format!("{}: {cause}", cert_dir.join(file).display()))
    };
    let certificates = |file: &str| -> std::io::Result<Vec<CertificateDer<'static>>> {
        CertificateDer::pem_file_iter(cert_dir.join(file))
            .and_then(Iterator::collect)
            .map_err(|e| named(file, &e))
    };
    let mut roots = rustls::RootCertStore::empty();
    for root in certificates("ca.pem")? {
        roots.add(root).map_err(|e| named("ca.pem", &e))?;
    }
    let key = PrivateKeyDer::from_pem_file(cert_dir.join("key.pem")).map_err(|e| named("key.pem", &e))?;
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates("cert.pem")?, key)
        .map_err(|e| named("cert.pem", &e))?;
    Ok(std::sync::Arc::new(config))
}

fn explain(address: &Address, error: &std::io::Error) -> String {
    match (address, error.kind()) {
        (Address::Unix(path), std::io::ErrorKind::PermissionDenied) => {
            format!("no permission for {}: be a member of the group that owns it", path.display())
        }
        (Address::Unix(path), std::io::ErrorKind::NotFound) => {
            format!("there is no {}: is the engine running?", path.display())
        }
        _ => error.to_string(),
    }
}
