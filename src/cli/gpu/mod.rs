//! `gpu list`: looks at NVML and the engine's containers at once, and shows
//! what follows. Without an engine holders are not known, which is said.

mod show;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::{GpuCommand, GpuListArgs};
use super::exit::Exit;
use super::load::{self, Trouble};
use super::settings::Settings;
use crate::doctor;
use crate::engine::Engine;
use crate::gpus::look::{Claimant, claimants};
use crate::gpus::overview::{Overview, overview};
use crate::gpus::{Machine, State};
use crate::nvml;
use crate::problem::Problem;
use crate::report::Output;

/// Between two looks of `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);
/// A driver in trouble may never answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// To the upper left, and empty below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

pub async fn run(settings: &Settings, command: &GpuCommand) -> Result<Exit, Trouble> {
    match command {
        GpuCommand::List(args) => list(settings, args).await,
    }
}

async fn list(settings: &Settings, args: &GpuListArgs) -> Result<Exit, Trouble> {
    let mut engine = None;
    let mut first = true;
    loop {
        let seen = look(settings, &mut engine).await;
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

async fn look(settings: &Settings, engine: &mut Option<Arc<dyn Engine>>) -> Overview {
    let (machine, found) = tokio::join!(machine(settings), containers(settings, engine));
    let found = found.as_deref().map_err(String::as_str);
    overview(&machine, found, &|uid| settings.login(uid))
}

async fn machine(settings: &Settings) -> Machine {
    let library = settings.nvml_library.clone();
    let look = tokio::task::spawn_blocking(move || nvml::machine(library.as_deref(), Path::new("/proc")));
    let failed = |cause: String| Machine { state: State::Failed { cause }, gpus: Vec::new() };
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(machine)) => machine,
        Ok(Err(error)) => failed(error.to_string()),
        Err(_) => failed(format!("the driver did not answer within {} s", PATIENCE.as_secs())),
    }
}

/// What containers claim; else why that is not known. An engine that answered
/// once is kept.
async fn containers(
    settings: &Settings,
    engine: &mut Option<Arc<dyn Engine>>,
) -> Result<Vec<Claimant>, String> {
    let reached = match engine {
        Some(engine) => engine.clone(),
        None => load::engine(settings).await.map_err(|trouble| trouble.sentence())?,
    };
    *engine = Some(reached.clone());
    claimants(reached.as_ref()).await.map_err(|error| error.to_string())
}
