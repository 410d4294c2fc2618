//! The command line: what was typed, what it means, and one file for each
//! command. Commands return an exit code; `ui` prints.

pub(crate) mod args;
mod build;
mod catalog;
mod check;
mod container;
mod deploy;
mod doctor;
mod environment;
mod error;
pub(crate) mod exit;
mod git;
mod gpu;
mod graph;
mod image;
mod impact;
pub(crate) mod installed_names;
mod labels;
mod limits;
mod metrics;
mod packaging;
mod plan;
mod report;
mod session;
mod signals;
mod since;
mod terminal;
mod update;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use args::{Cli, Command};
use error::CliError;
use exit::Exit;
use session::Session;

use crate::ui::{Output, OutputStyle};

/// How long tasks may take to end after a command.
const LAST_TASKS: Duration = Duration::from_millis(50);

/// Runs what was typed, the program's own name first; the code of the shell.
pub fn main(argv: Vec<OsString>) -> ExitCode {
    match installed_names::parse(argv) {
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
    let session = match Session::read(&cli.global) {
        Ok(session) => session,
        Err(error) => {
            return CliError::usage(format!("the working folder cannot be read: {error}"))
                .report(Output::standard(cli.global.json, OutputStyle::default(), OutputStyle::default()));
        }
    };
    let exit = runtime.block_on(async {
        match command(cli.command, &session).await {
            Ok(exit) => exit,
            Err(error) => error.report(session.output()),
        }
    });
    session.save_hashes();
    // Tasks end, and with them the processes that they run. A hanging look-up
    // in a blocking thread must not hold the program.
    runtime.shutdown_timeout(LAST_TASKS);
    exit
}

async fn command(command: Command, session: &Session) -> Result<Exit, CliError> {
    match command {
        Command::Check => check::run(session),
        Command::Graph(args) => graph::run(session, &args).await,
        Command::Plan(args) => plan::run(session, &args).await,
        Command::Why(args) => why::run(session, &args).await,
        Command::Impact(args) => impact::run(session, &args).await,
        Command::Build(args) => build::run(session, &args).await,
        Command::Update(args) => update::run(session, &args).await,
        Command::Image { command } => image::run(session, &command).await,
        Command::Catalog { command } => catalog::run(session, &command),
        Command::Gpu { command } => gpu::run(session, &command).await,
        Command::Doctor(args) => doctor::run(session, &args).await,
        Command::Deploy(args) => deploy::run(session, &args).await,
        Command::Container { command } => container::run(session, &command).await,
        Command::Limits(args) => limits::run(session, &args),
        Command::Metrics(args) => metrics::run(session, &args).await,
        Command::Labels { command } => labels::run(session, &command).await,
        Command::Completions(args) => packaging::completions(session, &args),
        Command::Man(args) => packaging::man(session, &args),
    }
}
