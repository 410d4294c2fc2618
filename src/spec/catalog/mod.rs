//! The catalogue of framework images: framework, version and architecture
//! class to an image.
//!
//! A value; where it came from and who asks is not known here. Its rows carry
//! no digests: `spec.lock` pins what was built on.

pub(crate) mod host;
mod read;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

pub(crate) use host::HostArch;
pub(crate) use read::{ParsedCatalog, read};

use crate::model::problem::SourceFile;
use crate::model::reference::Reference;

/// What people write for the newest version.
pub(crate) const LATEST: &str = "latest";

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatalogRow {
    pub(crate) framework: String,
    pub(crate) version: String,
    /// CUDA driver classes or ROCm major versions; at least one.
    pub(crate) archs: Vec<String>,
    /// Without a tag it means `latest`.
    pub(crate) image: Reference,
    /// In its file, from 1.
    pub(crate) line: usize,
}

impl CatalogRow {
    /// An architecture as the row writes it.
    pub(crate) fn arch(&self, arch: &str) -> Option<&str> {
        self.archs.iter().map(String::as_str).find(|known| known.eq_ignore_ascii_case(arch))
    }

    /// Whether it is of the framework, in any case of letters.
    pub(crate) fn is_of(&self, framework: &str) -> bool {
        self.framework.eq_ignore_ascii_case(framework)
    }
}

/// Rows, the newest of a framework and architecture first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Catalog {
    rows: Vec<CatalogRow>,
    /// As shown to people; `None`: the program's own.
    file: Option<PathBuf>,
}

/// A row that was found, and the architecture it was found for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CatalogMatch<'c> {
    pub(crate) row: &'c CatalogRow,
    /// As the catalogue writes it.
    pub(crate) arch: &'c str,
}

static OWN: LazyLock<Catalog> = LazyLock::new(|| Catalog { file: None, ..own().catalog });

fn own() -> ParsedCatalog {
    let text = include_str!("builtin.txt").to_owned();
    read(&Arc::new(SourceFile::new("builtin.txt", text)))
}

impl Catalog {
    /// The one that the program carries.
    pub(crate) fn own() -> &'static Self {
        &OWN
    }

    /// In the order of the file.
    pub(crate) fn rows(&self) -> &[CatalogRow] {
        &self.rows
    }

    /// How a sentence names it.
    pub(crate) fn title(&self) -> String {
        match &self.file {
            Some(file) => format!("the catalogue {}", file.display()),
            None => "the catalogue".into(),
        }
    }

    /// Looks an image up. Frameworks and architectures match in any case of
    /// letters; `latest` is the first row of the framework and architecture,
    /// also where that row names several.
    ///
    /// # Errors
    /// Which part is not there, and what is.
    pub(crate) fn find(
        &self,
        framework: &str,
        version: &str,
        arch: &str,
    ) -> Result<CatalogMatch<'_>, CatalogMiss> {
        let of_framework = || self.rows.iter().filter(|row| row.is_of(framework));
        let of_arch = || of_framework().filter_map(|row| Some(CatalogMatch { row, arch: row.arch(arch)? }));
        let found = of_arch().find(|found| version == LATEST || found.row.version == version);
        found.ok_or_else(|| {
            if of_framework().next().is_none() {
                return CatalogMiss::Framework {
                    known: distinct(self.rows.iter().map(|row| &row.framework)),
                };
            }
            if of_arch().next().is_none() {
                return CatalogMiss::Arch { known: distinct(of_framework().flat_map(|row| &row.archs)) };
            }
            let elsewhere = of_framework().filter(|row| row.version == version);
            CatalogMiss::Version {
                known: distinct(of_arch().map(|found| &found.row.version)),
                elsewhere: distinct(elsewhere.flat_map(|row| &row.archs)),
            }
        })
    }

    /// The architectures for which a row of this catalogue is the newest of
    /// its framework.
    pub(crate) fn latest_for<'r>(&self, row: &'r CatalogRow) -> Vec<&'r str> {
        let first = |arch: &&str| self.find(&row.framework, LATEST, arch).is_ok_and(|f| f.row == row);
        row.archs.iter().map(String::as_str).filter(first).collect()
    }
}

fn distinct<'n>(names: impl Iterator<Item = &'n String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        if !seen.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            seen.push(name.clone());
        }
    }
    seen
}

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
