//! The machine that the program runs on: its files, the programs of others,
//! its people and the locks between runs.

pub(crate) mod files;
pub(crate) mod lock;
pub(crate) mod people;
pub(crate) mod process;
