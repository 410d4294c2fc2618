//! For who runs the machine: what is wrong with it, figures for monitoring,
//! what old labels are still relied on, and which images take how much.

pub mod audit;
pub mod doctor;
pub mod inventory;
pub mod metrics;
