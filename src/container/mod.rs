//! Containers, new and legacy ones alike: who may do what with them, how they
//! are shown, started, saved, removed and swept.
//!
//! Whose a container is follows from its labels and its name (see
//! [`crate::model::labels::read`]); what may be done with it is decided here, before
//! anything is done. Never touches volumes, and no image but one that [`save`] makes.

pub(crate) mod enter;
mod images;
pub(crate) mod installed_packages;
pub(crate) mod list;
pub(crate) mod permission;
pub(crate) mod retire;
pub(crate) mod save;
pub(crate) mod show;
pub(crate) mod start;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;
