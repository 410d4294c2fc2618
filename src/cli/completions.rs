//! `completions SHELL`.

use clap::CommandFactory;

use super::args::Cli;
use super::exit::Exit;
use super::load::Trouble;
use super::settings::Settings;

pub fn run(settings: &Settings, shell: clap_complete::Shell) -> Result<Exit, Trouble> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ds01-build", &mut script);
    let mut output = settings.output();
    output.text(&String::from_utf8_lossy(&script));
    output.finish()?;
    Ok(Exit::Done)
}
