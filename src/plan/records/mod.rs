//! What earlier tries built, and from what: a file for each try, in the
//! user's cache folder.
//!
//! An edge. Only explains: without it the same images are built, and the
//! reasons say less. Whatever cannot be read is not known. Decides nothing.

mod runs;
mod store;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use runs::Run;
pub use store::{MOST_FILES, Records};

use crate::image::recipe::Written;
use crate::model::names::ImageId;

/// One try to build an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Recipe digest, 64 hex digits.
    pub recipe: String,
    /// Version of the rules it was made by.
    pub scheme: u32,
    /// As on the label `ds01.build.ingredients`.
    pub ingredients: String,
    pub written: Written,
    /// Digest of the context; its files are kept beside the records.
    pub tree: Option<String>,
    /// The Dockerfile's text, masked.
    pub dockerfile: Option<String>,
    /// Milliseconds from start to end.
    pub took_ms: u64,
    /// Seconds since 1970.
    pub at: i64,
    pub ended: Ended,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ended {
    Built {
        id: ImageId,
    },
    /// It was built, and a check of the image failed.
    TestFailed {
        test: String,
    },
    /// A step failed.
    Failed {
        message: String,
    },
}
