//! Tests against a real engine: the edges by themselves, then the program as
//! people run it. Each test has names of its own and removes what it made.

mod assigning;
mod bad_input;
mod base;
mod build;
mod buildkit;
mod certificates;
mod container_list;
mod containers;
mod datahub;
mod deploying;
mod doctor;
mod engine;
mod entering;
mod gpus;
mod image_create;
mod images;
mod impact;
mod importing;
mod jupyter;
mod labels;
mod metrics;
mod no_buildkit;
#[path = "../nvml/mod.rs"]
mod nvml;
mod packages;
mod pins;
mod pushing;
#[path = "../race/mod.rs"]
#[expect(dead_code, reason = "the figures use more of it")]
mod race;
mod registries;
mod registry;
mod relay;
mod same_answer;
mod saving;
mod second_engine;
mod setup;
mod shelf;
mod since;
mod sites;
mod stack;
mod sweep;
mod terminal;
mod transport;
mod userlayer;
mod why;
