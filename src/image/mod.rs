//! What an image is made of: packages, the user layer, the recipe that names
//! its content, and the request that BuildKit gets. Knows no graph and no
//! engine.

pub mod export;
pub mod packages;
pub mod recipe;
pub mod solve;
pub mod user_layer;
