//! Container images for shared GPU servers: a graph of images read from one
//! spec, built only where something changed, and containers made from them.
//!
//! Data flows one way: spec → graph → plan → build → deploy. The core decides
//! and does no I/O; the edges (`engine`, `buildkit`, `context`) act. See
//! `docs/design.md`.

pub mod account;
pub mod audit;
pub mod build;
pub mod buildkit;
pub mod catalog;
pub mod cli;
pub mod containers;
pub mod context;
pub mod credentials;
pub mod deploy;
pub mod dockerfile;
pub mod doctor;
pub mod engine;
pub mod equivalent;
pub mod event;
pub mod gpus;
pub mod graph;
pub mod history;
pub mod ignore;
pub mod images;
pub mod impact;
pub mod labels;
pub mod llb;
pub mod lock;
pub mod metrics;
pub mod names;
pub mod nvml;
pub mod observe;
pub mod packages;
pub mod people;
pub mod pins;
pub mod plan;
pub mod problem;
pub mod recipe;
pub mod records;
pub mod reference;
pub mod registry;
pub mod report;
pub mod setup;
pub mod since;
pub mod solve;
pub mod spec;
pub mod subject;
pub mod sweep;
pub mod tags;
pub mod userlayer;
pub mod why;
