//! `completions SHELL`, for the program or for one of its installed names.

use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs};
use super::exit::Exit;
use super::installed::{self, NAMES, PROGRAM};
use super::load::CliError;
use super::settings::Settings;

pub(crate) fn run(settings: &Settings, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let installed = NAMES.into_iter().find(|installed| args.name.as_deref() == Some(installed.name));
    let (mut command, name) = match installed {
        Some(installed) => (installed::command(installed), installed.name),
        None => (Cli::command(), PROGRAM),
    };
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let mut output = settings.output();
    output.text(&String::from_utf8_lossy(&script));
    output.finish()?;
    Ok(Exit::Done)
}
