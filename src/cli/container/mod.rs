//! `container`: one file for each of its commands; `deploy` has a folder of
//! its own.

mod asked;
mod enter;
mod list;
mod logs;
mod retire;
mod session;
mod show;
mod start;
mod stop;
mod sweep;

use super::args::ContainerCommand;
use super::deploy;
use super::exit::Exit;
use super::load::CliError;
use super::settings::Settings;

pub(crate) async fn run(settings: &Settings, command: &ContainerCommand) -> Result<Exit, CliError> {
    match command {
        ContainerCommand::Deploy(args) => deploy::run(settings, args).await,
        ContainerCommand::List(args) => list::run(settings, args).await,
        ContainerCommand::Show(args) => show::run(settings, args).await,
        ContainerCommand::Enter(args) => enter::run(settings, args).await,
        ContainerCommand::Logs(args) => logs::run(settings, args).await,
        ContainerCommand::Stop(args) => stop::run(settings, args).await,
        ContainerCommand::Start(args) => start::run(settings, args).await,
        ContainerCommand::Retire(args) => retire::run(settings, args).await,
        ContainerCommand::Sweep(args) => sweep::run(settings, args).await,
    }
}
