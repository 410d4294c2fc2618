//! For who runs the machine: what is wrong with it, figures for monitoring,
//! what old labels are still relied on, and which images take how much.

pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod inventory;
pub(crate) mod metrics;
