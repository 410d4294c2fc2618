//! Findings about the registries that a spec names.

use std::collections::BTreeMap;

use super::Finding;
use super::Severity::{Error, Note, Ok, Warning};
use crate::registry;
use crate::registry::credentials::{CredentialsError, Source};
use crate::spec::Spec;

/// What a registry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Images are built on bases from there.
    Bases,
    /// Images of the spec live there.
    Images,
}

/// The hosts of a spec, each with its more important use.
pub(crate) fn hosts(spec: &Spec) -> BTreeMap<String, Use> {
    let mut hosts = BTreeMap::new();
    for base in &spec.bases {
        hosts.entry(base.source.reference().registry().to_owned()).or_insert(Use::Bases);
    }
    for host in spec.images.iter().filter_map(|image| image.repository.host()) {
        hosts.insert(host.to_owned(), Use::Images);
    }
    hosts
}

/// Whether it answers and lets us in.
pub(crate) fn greeted(host: &str, of: Use, answer: &Result<(), registry::Error>) -> Finding {
    let new = |severity, message: String| Finding::new("registry", severity, host, message);
    match answer {
        Result::Ok(()) => new(Ok, "it answers and lets us in".into()),
        Err(error) => {
            let (severity, what) = match of {
                Use::Images => (Error, "images of the spec cannot be fetched from it nor sent to it"),
                Use::Bases => (Warning, "bases from it can be used only where the engine has them"),
            };
            let help = error.help().map_or_else(|| what.to_owned(), |help| format!("{what}; {help}"));
            new(severity, error.to_string()).help(help)
        }
    }
}

/// Whether there is a login for it, and where; never what it is.
pub(crate) fn login(host: &str, of: Use, found: &Result<Option<Source>, CredentialsError>) -> Finding {
    let new = |severity, message: String| Finding::new("credentials", severity, host, message);
    match found {
        Result::Ok(Some(source)) => new(Ok, format!("a login comes from {source}")),
        Result::Ok(None) if of == Use::Images => new(Note, "there is no login".into())
            .help("pushing mostly needs one")
            .command(format!("docker login {host}")),
        Result::Ok(None) => new(Ok, "there is no login, and mostly none is needed for bases".into()),
        Err(error) => new(Warning, error.to_string())
            .help("correct Docker's config.json, or install or unlock the helper that it names"),
    }
}
