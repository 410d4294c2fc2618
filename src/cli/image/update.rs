//! `image update`.

use crate::cli::args::ImageUpdateArgs;
use crate::cli::exit::Exit;
use crate::cli::load::Trouble;
use crate::cli::settings::Settings;

pub async fn run(_settings: &Settings, args: &ImageUpdateArgs) -> Result<Exit, Trouble> {
    Err(Trouble::bug(format!("{args:?} cannot be run")))
}
