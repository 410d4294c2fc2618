//! Labels: the keys, reading and writing them, and the page that shows them.

mod keys;
pub(crate) mod read;
pub(crate) mod schema_page;
pub(crate) mod write;

pub(crate) use keys::*;
pub(crate) use write::{ContainerLabels, ImageLabels, SavedLabels, is_saved};
