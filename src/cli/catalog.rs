//! `catalog list` and `catalog check`.

use super::args::CatalogCommand;
use super::exit::Exit;
use super::load::Trouble;
use super::settings::Settings;

pub fn run(_settings: &Settings, command: &CatalogCommand) -> Result<Exit, Trouble> {
    Err(Trouble::bug(format!("{command:?} cannot be run")))
}
