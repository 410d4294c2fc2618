//! `image …`: people's own images, one file for each command.

mod create;
mod draft;
mod form;
mod list;
mod look;
mod options;
mod outdated;
mod retire;
mod show;
mod update;

use super::args::ImageCommand;
use super::exit::Exit;
use super::load::CliError;
use super::settings::Settings;

pub(crate) async fn run(settings: &Settings, command: &ImageCommand) -> Result<Exit, CliError> {
    match command {
        ImageCommand::Create(args) => create::run(settings, args).await,
        ImageCommand::Update(args) => update::run(settings, args).await,
        ImageCommand::List(args) => list::run(settings, args).await,
        ImageCommand::Show(args) => show::run(settings, args).await,
        ImageCommand::Retire(args) => retire::run(settings, args).await,
    }
}
