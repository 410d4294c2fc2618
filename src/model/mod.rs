//! Words that every module uses: names, references, tags, accounts, labels,
//! events and problems. Knows no other module.

pub mod account;
pub mod digest;
pub mod event;
pub mod labels;
pub mod names;
pub mod problem;
pub mod reference;
pub mod tags;
