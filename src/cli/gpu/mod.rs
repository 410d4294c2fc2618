//! `gpu list`: shows the GPUs and who holds them, once or again and again.

mod show;

use std::time::Duration;

use super::args::{GpuCommand, GpuListArgs};
use super::exit::Exit;
use super::load::CliError;
use super::machine;
use super::settings::Settings;
use crate::admin::doctor;
use crate::gpu::State;
use crate::gpu::overview::Overview;
use crate::model::problem::Problem;
use crate::ui::Output;

/// Between two looks of `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);
/// To the upper left, and empty below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

pub(crate) async fn run(settings: &Settings, command: &GpuCommand) -> Result<Exit, CliError> {
    match command {
        GpuCommand::List(args) => list(settings, args).await,
    }
}

async fn list(settings: &Settings, args: &GpuListArgs) -> Result<Exit, CliError> {
    let mut engine = None;
    let mut first = true;
    loop {
        let seen = machine::overview(settings, &mut engine).await;
        let mut output = settings.output();
        if args.watch && settings.screen.stdout_terminal && !settings.json {
            output.text(CLEAR);
        }
        show(&mut output, &seen, args.watch);
        let closed = output.is_closed();
        output.finish()?;
        let ready = matches!(seen.driver, State::Ready { .. });
        // Later it may be a driver that is being loaded again.
        if !ready && first {
            return Ok(Exit::Engine);
        }
        if !args.watch || closed {
            return Ok(Exit::Done);
        }
        first = false;
        tokio::time::sleep(INTERVAL).await;
    }
}

fn show(output: &mut Output, seen: &Overview, watch: bool) {
    if output.json && watch {
        // One look is one line.
        match serde_json::to_string(seen) {
            Ok(line) => output.line(&line),
            Err(_) => output.value(seen),
        }
    } else if output.json {
        output.value(seen);
    } else if matches!(seen.driver, State::Ready { .. }) {
        let width = output.look.width;
        output.table(&show::table(seen, width));
        show::remarks(seen).iter().for_each(|remark| output.note(remark));
    } else {
        let finding = doctor::gpu::driver(&seen.driver);
        output.problems(&[Problem { help: finding.help, ..Problem::new(finding.message) }]);
    }
}
