//! The machine that the program runs on: its people and the locks between runs.

pub mod lock;
pub mod people;
