//! What `doctor` takes.

use clap::Args;

pub const EXAMPLES: &str = "Examples:\n  ds01-build doctor\n  ds01-build doctor thesis";

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Look at one image only
    pub image: Option<String>,
}
