//! The machine that the program runs on: its people and the locks between runs.

pub(crate) mod lock;
pub(crate) mod people;
