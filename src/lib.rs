//! Container images for shared GPU servers: a graph of images read from one
//! spec, built only where something changed, and containers made from them.
//!
//! Data flows one way: spec → graph → plan → build → deploy. Each module uses
//! only those below it; `tests/architecture.rs` has the table, and
//! `docs/design.md` the picture.

#![deny(unreachable_pub)]

mod admin;
mod build;
mod cli;
mod container;
mod deploy;
mod dockerfile;
mod engine;
mod gpu;
mod host;
mod image;
mod model;
mod plan;
mod registry;
mod spec;
mod ui;

pub use cli::installed_names::names as installed_names;
pub use cli::main;
