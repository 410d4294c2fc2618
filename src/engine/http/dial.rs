//! New streams to an engine, plain, under TLS or through ssh, and why there is
//! none.

use std::error::Error as Cause;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::DropGuard;

use super::ssh::{Logins, SshStream};
use super::{ConnectionUse, in_time};
use crate::engine::Error;
use crate::engine::address::{Address, SshAddress};
use crate::model::problem::{causes, chain};
use crate::registry::tls::{client_config, tls_error};

/// An engine whose machine vanished is told apart from a busy one by the lack
/// of acknowledgements: after this long idle, asked this often, this many times.
pub(super) const IDLE: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;
/// The same limit for bytes that were sent; milliseconds.
pub(super) const UNACKNOWLEDGED: u32 = 30_000;

const CA: &str = "ca.pem";
const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";

/// Bytes in both directions, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new().extra(ConnectionUse::default())
    }
}

/// Opens streams to one address. Clones share what was read of certificates.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) address: Address,
    tls: Arc<OnceLock<Tls>>,
    logins: Logins,
}

#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Dialer {
    pub(super) fn new(address: &Address) -> Self {
        Self { address: address.clone(), tls: Arc::default(), logins: Logins::default() }
    }

    /// # Errors
    /// `Unreachable` when nobody is there or answers in time, `Certificates`
    /// when the sides do not trust each other.
    pub(super) async fn open(&self) -> Result<Box<dyn Stream>, Error> {
        let login = match self.address {
            Address::Ssh(_) => Some(self.logins.turn().await),
            _ => None,
        };
        in_time(&self.address, async {
            // Files first: what they lack is better known than what a server
            // says of it.
            let tls = self.tls()?;
            self.connect(tls, login).await.map_err(|e| self.explain(&e))
        })
        .await
    }

    async fn connect(&self, tls: Option<Tls>, login: Option<DropGuard>) -> std::io::Result<Box<dyn Stream>> {
        Ok(match (&self.address, tls) {
            (Address::Unix(path), _) => Box::new(UnixStream::connect(path).await?),
            (Address::Ssh(address), _) => Box::new(SshStream::open(address, login)?),
            (Address::Tcp { host, port } | Address::Tls { host, port, .. }, None) => {
                Box::new(tcp(host, *port).await?)
            }
            (Address::Tcp { host, port } | Address::Tls { host, port, .. }, Some(tls)) => {
                Box::new(tls.connector.connect(tls.name, tcp(host, *port).await?).await?)
            }
        })
    }

    /// Trusts the folder's `ca.pem` and nobody else. Shows `cert.pem` with
    /// `key.pem`; a folder with neither is for engines that ask for no
    /// certificate. The files are read once.
    fn tls(&self) -> Result<Option<Tls>, Error> {
        let Address::Tls { host, cert_dir, .. } = &self.address else { return Ok(None) };
        if let Some(tls) = self.tls.get() {
            return Ok(Some(tls.clone()));
        }
        let wrong = |cause| Error::Certificates { address: self.address.to_string(), cause };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| wrong(format!("`{host}` is no name that a certificate can be for")))?;
        let (cert, key) = (cert_dir.join(CERT), cert_dir.join(KEY));
        let identity = (cert.exists() || key.exists()).then_some((cert.as_path(), key.as_path()));
        let config = client_config(false, &[cert_dir.join(CA)], identity).map_err(|cause| {
            wrong(format!(
                "{cause}. DOCKER_CERT_PATH or the Docker context says in which folder the certificates are"
            ))
        })?;
        let tls = Tls { connector: TlsConnector::from(Arc::new(config)), name };
        Ok(Some(self.tls.get_or_init(|| tls).clone()))
    }

    /// `gpu1:2376`, as the server is named in requests.
    pub(super) fn authority(&self) -> String {
        match &self.address {
            // Engines look at none; a proxy in front of one may.
            Address::Unix(_) | Address::Ssh(_) => "engine".to_owned(),
            address => address.to_string().trim_start_matches("tcp://").to_owned(),
        }
    }

    /// Our words for a stream that could not be opened or broke before the answer.
    pub(super) fn explain(&self, error: &(dyn Cause + 'static)) -> Error {
        if let Some(error) = causes(error).find_map(|error| error.downcast_ref::<Error>()) {
            return error.clone();
        }
        let shown = self.address.to_string();
        if let Address::Tls { host, cert_dir, .. } = &self.address
            && let Some(error) = tls_error(error)
        {
            return Error::Certificates { address: shown, cause: refusal(error, host, cert_dir) };
        }
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let cause = match (&self.address, kind) {
            (Address::Unix(path), Some(std::io::ErrorKind::PermissionDenied)) => {
                format!("no permission for {}: be a member of the group that owns it", path.display())
            }
            (Address::Unix(path), Some(std::io::ErrorKind::NotFound)) => {
                format!("there is no {}: is the engine running?", path.display())
            }
            (Address::Ssh(SshAddress { user, host, port, .. }), _) => {
                let port = port.map(|port| format!("-p {port} ")).unwrap_or_default();
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let login = format!("{port}{user}{host}");
                format!(
                    "{}. `ssh {login} docker version` must work without a question; where Docker's client is \
                     not there, forward the socket with \
                     `ssh -L /tmp/engine.sock:/var/run/docker.sock {login}` and write `unix:///tmp/engine.sock`",
                    chain(error)
                )
            }
            _ => chain(error),
        };
        Error::Unreachable { address: shown, cause }
    }
}

impl tower::Service<Uri> for Dialer {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dialer = self.clone();
        async move { dialer.open().await.map(TokioIo::new) }.boxed()
    }
}

pub(super) async fn tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, IDLE)?;
    sockopt::set_tcp_keepintvl(&stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(&stream, PROBES)?;
    sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED)?;
    Ok(stream)
}

/// What an error of TLS means for who connects to `host` with the files of
/// `folder`.
fn refusal(error: &rustls::Error, host: &str, folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    match error {
        rustls::Error::InvalidCertificate(cause) => not_trusted(cause, host, &file(CA)),
        rustls::Error::AlertReceived(alert) if is_about_us(*alert) => {
            format!("the engine does not accept the client certificate {} ({alert:?})", file(CERT))
        }
        rustls::Error::InvalidMessage(_) => format!(
            "what listens at {host} does not speak TLS; for an engine without it, unset DOCKER_TLS_VERIFY and \
             DOCKER_CERT_PATH or write http://"
        ),
        other => format!("TLS failed: {other}"),
    }
}

fn not_trusted(cause: &CertificateError, host: &str, ca: &str) -> String {
    match cause {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("the engine's certificate is not signed by {ca}")
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let names: Vec<_> = presented.iter().map(|name| plain_name(name)).collect();
            format!("the engine's certificate is not for `{host}` but for {}", names.join(", "))
        }
        CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
            format!("the engine's certificate is not for `{host}`")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of the engine at {host} has expired")
        }
        other => format!("the certificate of the engine at {host} is not accepted: {other}"),
    }
}

/// `DnsName("gpu1")` as `gpu1`.
fn plain_name(name: &str) -> &str {
    name.split_once('(').map_or(name, |(_, rest)| rest.trim_end_matches(')')).trim_matches('"')
}

/// Alerts with which a server refuses what we showed it.
fn is_about_us(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired
            | Alert::DecryptError
            | Alert::HandshakeFailure
    )
}
