//! Words that every module uses: names, references, tags, accounts, labels,
//! events and problems. Knows no other module.

pub(crate) mod account;
pub(crate) mod digest;
pub(crate) mod event;
pub(crate) mod field_list;
pub(crate) mod human;
pub(crate) mod labels;
pub(crate) mod names;
pub(crate) mod problem;
pub(crate) mod reference;
pub(crate) mod tags;
