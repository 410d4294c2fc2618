//! TLS to an engine: which files are used, and what a refusal means.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const CA: &str = "ca.pem";
const CERT: &str = "cert.pem";
const KEY: &str = "key.pem";

/// Opens TLS to one host with the files of one folder.
pub(super) struct Dialer {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Dialer {
    /// Trusts `ca.pem` and nobody else. Shows `cert.pem` with `key.pem`; a
    /// folder with neither is for engines that ask for no certificate.
    ///
    /// # Errors
    /// Names the file that is missing or wrong.
    pub(super) fn new(host: &str, folder: &Path) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is no name that a certificate can be for"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots(folder)?);
        let shows_none = !folder.join(CERT).exists() && !folder.join(KEY).exists();
        let config = if shows_none {
            builder.with_no_client_auth()
        } else {
            let chain = certificates(folder, CERT)?;
            let key = PrivateKeyDer::from_pem_file(folder.join(KEY)).map_err(|e| wrong(folder, KEY, &e))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| wrong(folder, CERT, &e))?
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(super) async fn connect(self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name, stream).await
    }
}

fn roots(folder: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for root in certificates(folder, CA)? {
        roots.add(root).map_err(|e| wrong(folder, CA, &e))?;
    }
    Ok(roots)
}

fn certificates(folder: &Path, file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(folder.join(file)).and_then(Iterator::collect);
    match read {
        Ok(all) if all.is_empty() => Err(wrong(folder, file, &"there is no certificate in it")),
        Ok(all) => Ok(all),
        Err(e) => Err(wrong(folder, file, &e)),
    }
}

fn wrong(folder: &Path, file: &str, cause: &dyn Display) -> String {
    format!(
        "{} cannot be used: {cause}. DOCKER_CERT_PATH or the Docker context says in which folder the certificates are",
        folder.join(file).display()
    )
}

/// What a refusal means for who connects to `host` with the files of `folder`.
pub(super) fn explain(error: &rustls::Error, host: &str, folder: &Path) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    match error {
        rustls::Error::InvalidCertificate(cause) => refusal(cause, host, &file(CA)),
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

fn refusal(cause: &CertificateError, host: &str, ca: &str) -> String {
    match cause {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("the engine's certificate is not signed by {ca}")
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let names: Vec<_> = presented.iter().map(|name| shown(name)).collect();
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
fn shown(name: &str) -> &str {
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
