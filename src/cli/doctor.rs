//! `doctor`.

use super::args::DoctorArgs;
use super::exit::Exit;
use super::load::Trouble;
use super::settings::Settings;

pub async fn run(_settings: &Settings, args: &DoctorArgs) -> Result<Exit, Trouble> {
    Err(Trouble::bug(format!("{args:?} cannot be run")))
}
