//! Where an engine answers.
// PLACEHOLDER until the branch that reads addresses is merged; take theirs.

use std::path::PathBuf;

/// An engine's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Unix(PathBuf),
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, cert_dir: PathBuf },
}
