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

pub(crate) use runs::Run;
pub(crate) use store::{MOST_FILES, Records};

use crate::image::recipe::RecipeRecord;
use crate::model::names::ImageId;

/// One try to build an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Recipe digest, 64 hex digits.
    pub(crate) recipe: String,
    /// Version of the rules it was made by.
    pub(crate) scheme: u32,
    /// As on the label `ds01.build.ingredients`.
    pub(crate) ingredients: String,
    pub(crate) written: RecipeRecord,
    /// Digest of the context; its files are kept beside the records.
    pub(crate) tree: Option<String>,
    /// The Dockerfile's text, masked.
    pub(crate) dockerfile: Option<String>,
    /// Milliseconds from start to end.
    pub(crate) took_ms: u64,
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) ended: Ended,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ended {
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
