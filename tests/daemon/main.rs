//! Tests against a real engine: the edges by themselves, then the program as
//! people run it. Each test has names of its own and removes what it made.

mod bad_input;
mod base;
mod build;
mod buildkit;
mod certificates;
mod containers;
mod datahub;
mod engine;
mod images;
mod impact;
mod importing;
mod no_buildkit;
mod packages;
mod pins;
mod pushing;
mod registries;
mod registry;
mod relay;
mod same_answer;
mod second_engine;
mod shelf;
mod since;
mod stack;
mod transport;
mod why;
