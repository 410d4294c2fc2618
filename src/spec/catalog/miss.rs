//! What to say when a catalogue does not have what was asked for.

use super::Catalog;

/// Which part of a request a catalogue does not have, and what it has instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CatalogMiss {
    Framework {
        known: Vec<String>,
    },
    /// Architectures of the framework.
    Arch {
        known: Vec<String>,
    },
    Version {
        /// Versions of the framework for the architecture, newest first.
        known: Vec<String>,
        /// Architectures for which the version is there.
        elsewhere: Vec<String>,
    },
}

impl CatalogMiss {
    /// What is missing: a lowercase fragment. The texts are those asked for,
    /// fit to be shown.
    pub(crate) fn message(&self, catalog: &Catalog, framework: &str, version: &str, arch: &str) -> String {
        let what = match self {
            Self::Framework { .. } => format!("framework `{framework}`"),
            Self::Arch { .. } => format!("{framework} for `{arch}`"),
            Self::Version { .. } => format!("{framework} `{version}` for {arch}"),
        };
        format!("{} has no {what}", catalog.title())
    }

    /// What there is.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Framework { known } | Self::Arch { known } => format!("it has: {}", known.join(", ")),
            Self::Version { known, elsewhere } if elsewhere.is_empty() => {
                format!("it has: {}", known.join(", "))
            }
            Self::Version { known, elsewhere } => {
                format!("it has: {}; that version is there for {}", known.join(", "), elsewhere.join(", "))
            }
        }
    }
}
