//! Tests of the program as people run it, against a real engine. Each test has
//! names of its own and removes what it made. The edges by themselves are tested
//! in `src/engine/tests`, with the helpers of this folder.

mod account_layer;
mod assigning;
mod bad_input;
mod base;
mod build;
mod certificates;
mod client;
mod container_list;
mod containers;
mod context_files;
mod datahub;
mod deploying;
mod doctor;
mod entering;
mod equal_checkouts;
mod gpus;
mod image_create;
mod images;
mod impact;
mod jupyter;
mod labels;
mod metrics;
mod no_buildkit;
#[path = "../nvml/mod.rs"]
mod nvml;
mod package_index;
mod packages;
mod password_registry;
mod pins;
mod pushing;
#[path = "../race/mod.rs"]
#[expect(dead_code, reason = "the figures use more of it")]
mod race;
mod refreshing;
#[expect(dead_code, reason = "tests of the edges use more of it")]
mod registries;
mod relay;
mod saving;
mod second_engine;
mod since;
mod stack;
mod sweep;
mod terminal;
mod transport;
mod user_layer;
mod why;
