//! The command line: what was typed, what it means, and one file for each
//! command. Commands return an exit code; `ui` prints.

pub(crate) mod args;
mod build;
mod catalog;
mod check;
mod container;
mod deploy;
mod doctor;
mod error;
pub(crate) mod exit;
mod git;
mod gpu;
mod graph;
mod image;
mod impact;
pub(crate) mod installed;
mod labels;
mod limits;
mod load;
mod metrics;
mod packaging;
mod pins;
mod plan;
mod settings;
mod signals;
mod since;
mod sites;
mod terminal;
mod update;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Cli, Command};
use exit::Exit;
use load::CliError;
use settings::Settings;

use crate::ui::{Output, OutputStyle};

/// Runs what was typed, the program's own name first; the code of the shell.
pub fn main(argv: Vec<OsString>) -> ExitCode {
    match installed::parse(argv) {
        Ok(cli) => ExitCode::from(run(cli).code()),
        // Help and the version too: clap knows where to and with which code.
        Err(answer) => answer.exit(),
    }
}

fn run(cli: Cli) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return CliError::bug(format!("cannot start: {error}")).report(Output::standard(
                false,
                OutputStyle::default(),
                OutputStyle::default(),
            ));
        }
    };
    let settings = match Settings::read(&cli.global) {
        Ok(settings) => settings,
        Err(error) => {
            return CliError::usage(format!("the working folder cannot be read: {error}"))
                .report(Output::standard(cli.global.json, OutputStyle::default(), OutputStyle::default()));
        }
    };
    let exit = runtime.block_on(async {
        match command(cli.command, &settings).await {
            Ok(exit) => exit,
            Err(error) => error.report(settings.output()),
        }
    });
    // A hanging look-up in a blocking thread must not hold the program.
    runtime.shutdown_background();
    exit
}

async fn command(command: Command, settings: &Settings) -> Result<Exit, CliError> {
    match command {
        Command::Check => check::run(settings),
        Command::Graph(args) => graph::run(settings, &args).await,
        Command::Plan(args) => plan::run(settings, &args).await,
        Command::Why(args) => why::run(settings, &args).await,
        Command::Impact(args) => impact::run(settings, &args).await,
        Command::Build(args) => build::run(settings, &args).await,
        Command::Update(args) => update::run(settings, &args).await,
        Command::Image { command } => image::run(settings, &command).await,
        Command::Catalog { command } => catalog::run(settings, &command),
        Command::Gpu { command } => gpu::run(settings, &command).await,
        Command::Doctor(args) => doctor::run(settings, &args).await,
        Command::Deploy(args) => deploy::run(settings, &args).await,
        Command::Container { command } => container::run(settings, &command).await,
        Command::Limits(args) => limits::run(settings, &args),
        Command::Metrics(args) => metrics::run(settings, &args).await,
        Command::Labels { command } => labels::run(settings, &command).await,
        Command::Completions(args) => packaging::completions(settings, &args),
        Command::Man(args) => packaging::man(settings, &args),
    }
}
