//! Which registries are spoken to in plain text, and whose certificates are
//! believed of the others.

use std::error::Error as Cause;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::Options;

/// Docker's own place for registries' certificates, beside the user's.
const SYSTEM: &str = "/etc/docker";

/// How a registry is spoken to.
pub(crate) enum Trust {
    /// Plain, and never through a proxy. Believes nobody, so no roots are read.
    Loopback(ClientConfig),
    /// Plain, since it is listed as insecure; what it refers to may be under TLS.
    Plain(ClientConfig),
    Tls(ClientConfig),
}

impl Trust {
    /// # Errors
    /// Names the certificate that cannot be used.
    pub(crate) fn of(host: &str, options: &Options) -> Result<Self, String> {
        if is_loopback(host) {
            return Ok(Self::Loopback(config(RootCertStore::empty())?));
        }
        let folders = options.docker_config.iter().map(PathBuf::as_path).chain([Path::new(SYSTEM)]);
        let folders: Vec<_> = folders.map(|folder| folder.join("certs.d").join(host)).collect();
        let config = config(roots(&folders)?)?;
        Ok(if options.insecure.contains(host) { Self::Plain(config) } else { Self::Tls(config) })
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn config(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|e| e.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

/// The machine's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded) and
/// every `*.crt` of the folders, as Docker's engine has it.
fn roots(folders: &[PathBuf]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // Of some hundred roots, one that is odd or unreadable is no loss.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|extension| extension == "crt") {
                add(&mut roots, &path)
                    .map_err(|cause| format!("{} cannot be used: {cause}", path.display()))?;
            }
        }
    }
    Ok(roots)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    for root in CertificateDer::pem_file_iter(path).map_err(|e| e.to_string())? {
        roots.add(root.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// What a failure means that is one of TLS.
pub(crate) fn refusal(error: &(dyn Cause + 'static), host: &str) -> Option<String> {
    let error = match error.downcast_ref::<rustls::Error>() {
        Some(error) => error,
        None => error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?,
    };
    Some(match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!(
                "its certificate is signed by nobody this machine trusts; put the authority's certificate \
                 into /etc/docker/certs.d/{host}/ca.crt or, for yourself, below Docker's config.json into \
                 certs.d/{host}/ca.crt"
            )
        }
        rustls::Error::InvalidMessage(_) => format!(
            "it does not speak TLS; if it is to be asked in plain text, write {host} under \
             `insecure_registries` in the spec"
        ),
        other => format!("TLS failed: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_with_and_without_a_port() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.9.1", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["docker.io", "127.example.org", "localhost.example.org:5000", "10.0.0.1:5000"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
