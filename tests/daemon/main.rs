//! Tests against a real engine: the edges by themselves, then the program as
//! people run it. Each test has names of its own and removes what it made.

mod bad_input;
mod build;
mod buildkit;
mod certificates;
mod containers;
mod engine;
mod images;
mod no_buildkit;
mod packages;
mod relay;
mod stack;
mod transport;
