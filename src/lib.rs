//! Container images for shared GPU servers: a graph of images read from one
//! spec, built only where something changed, and containers made from them.
//!
//! Data flows one way: spec → graph → plan → build → deploy. Each module uses
//! only those below it; `tests/architecture.rs` has the table, and
//! `docs/design.md` the picture.

pub mod admin;
pub mod build;
pub mod cli;
pub mod container;
pub mod deploy;
pub mod dockerfile;
pub mod engine;
pub mod gpu;
pub mod host;
pub mod image;
pub mod model;
pub mod plan;
pub mod registry;
pub mod spec;
pub mod ui;
