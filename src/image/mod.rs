//! What an image is made of: packages, the user layer, the recipe that names
//! its content, and the request that BuildKit gets. Knows no graph and no
//! engine.

pub(crate) mod export;
pub(crate) mod packages;
pub(crate) mod recipe;
pub(crate) mod secret;
pub(crate) mod solve;
pub(crate) mod user_layer;
