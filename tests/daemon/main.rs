//! Tests against a real engine: the edges by themselves, then the program as
//! people run it. Each test has names of its own and removes what it made.

mod bad_input;
mod base;
mod build;
mod buildkit;
mod certificates;
mod containers;
mod datahub;
mod doctor;
mod engine;
mod gpus;
mod image_create;
mod images;
mod impact;
mod importing;
mod jupyter;
mod labels;
mod no_buildkit;
#[path = "../nvml/mod.rs"]
mod nvml;
mod packages;
mod pins;
mod pushing;
mod registries;
mod registry;
mod relay;
mod same_answer;
mod second_engine;
mod setup;
mod shelf;
mod since;
mod sites;
mod stack;
mod terminal;
mod transport;
mod userlayer;
mod why;
