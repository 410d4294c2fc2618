//! TLS as a client: whom a connection trusts and what it shows, from the
//! machine's roots and from PEM files. Knows no server.

use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::model::problem::causes;

const EMPTY: &str = "there is no certificate in it";

/// Trusts the machine's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded),
/// if `system`, and every certificate of `authorities`; shows the certificate
/// of the first file of `identity` with the key of the second.
///
/// # Errors
/// Names the file that is missing or wrong.
pub(crate) fn client_config(
    system: bool,
    authorities: &[PathBuf],
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if system {
        // Of some hundred roots, one that is odd or unreadable is no loss.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for path in authorities {
        for root in certificates(path)? {
            roots.add(root).map_err(|e| unusable(path, &e))?;
        }
        if roots.is_empty() {
            return Err(unusable(path, &EMPTY));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots);
    let Some((certificate, key)) = identity else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate)?;
    if chain.is_empty() {
        return Err(unusable(certificate, &EMPTY));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, &e))?;
    builder.with_client_auth_cert(chain, secret).map_err(|e| unusable(certificate, &e))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|e| unusable(path, &e))
}

fn unusable(path: &Path, cause: &dyn Display) -> String {
    format!("{} cannot be used: {cause}", path.display())
}

/// The error of TLS among the causes of another.
pub(crate) fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|error| match error.downcast_ref::<rustls::Error>() {
        Some(error) => Some(error),
        None => error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref(),
    })
}
