//! `gpu list`: the GPUs and who holds them, once or again and again; one line
//! for each, and one for each MIG instance below it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::args::{GpuCommand, GpuListArgs};
use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use crate::engine::Engine;
use crate::gpu::claims::{self, GpuClaim};
use crate::gpu::nvml::{GpuProbe, NvmlProbe};
use crate::gpu::overview::{Availability, GpuProcess, GpuUsage, MissingGpu, Overview, Unit};
use crate::gpu::{DriverState, Memory, ProcessKind, usage};
use crate::model::problem::Problem;
use crate::ui::Output;
use crate::ui::human::{count, gib};
use crate::ui::table::{Column, Table};

/// Between two readings of `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);
/// To the upper left, and empty below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";
/// What is not known.
const UNKNOWN: &str = "?";
/// The last one is the UUID.
const COLUMNS: usize = 8;

pub(crate) async fn run(session: &Session, command: &GpuCommand) -> Result<Exit, CliError> {
    match command {
        GpuCommand::List(args) => list(session, args).await,
    }
}

async fn list(session: &Session, args: &GpuListArgs) -> Result<Exit, CliError> {
    let mut engine = None;
    let mut first = true;
    loop {
        let overview = self::overview(session, &mut engine).await;
        let mut output = session.output();
        if args.watch && session.screen.stdout_terminal && !session.json {
            output.text(CLEAR);
        }
        show(&mut output, &overview, args.watch);
        let closed = output.is_closed();
        output.finish()?;
        let ready = matches!(overview.driver, DriverState::Ready { .. });
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

fn show(output: &mut Output, overview: &Overview, watch: bool) {
    if output.json && watch {
        // One reading is one line.
        match serde_json::to_string(overview) {
            Ok(line) => output.line(&line),
            Err(_) => output.value(overview),
        }
    } else if output.json {
        output.value(overview);
    } else if matches!(overview.driver, DriverState::Ready { .. }) {
        let width = output.style.width;
        output.table(&table(overview, width));
        remarks(overview).iter().for_each(|remark| output.note(remark));
    } else {
        let (message, help) = overview.driver.describe();
        output.problems(&[Problem { help: help.map(str::to_owned), ..Problem::new(message) }]);
    }
}

/// The GPUs and who holds them. An engine that answered once is kept in
/// `engine`; where none answers, holders are not known, which is said.
pub(super) async fn overview(session: &Session, engine: &mut Option<Arc<dyn Engine>>) -> Overview {
    let probe = NvmlProbe::open(session.nvml_library.clone());
    let (machine, claims) = tokio::join!(probe.machine(), read_claims(session, engine));
    let claims = claims.as_deref().map_err(String::as_str);
    usage::overview(&machine, claims, &|uid| session.login(uid))
}

/// What containers claim; else why that is not known.
async fn read_claims(
    session: &Session,
    engine: &mut Option<Arc<dyn Engine>>,
) -> Result<Vec<GpuClaim>, String> {
    let reached = match engine {
        Some(engine) => engine.clone(),
        None => session.engine().await.map_err(|error| error.to_string())?,
    };
    *engine = Some(reached.clone());
    claims::read_all(reached.as_ref()).await.map_err(|error| error.to_string())
}

/// All GPUs. Where that is wider than the terminal, UUIDs are left out first:
/// who holds a GPU is looked for more often.
fn table(overview: &Overview, width: Option<usize>) -> Table {
    let whole = columns(overview, COLUMNS);
    let rendered = whole.render(None, "");
    let widest = rendered.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    if width.is_some_and(|width| widest > width) { columns(overview, COLUMNS - 1) } else { whole }
}

/// The first ones.
fn columns(overview: &Overview, shown: usize) -> Table {
    let all = [
        Column::left("GPU").whole(),
        Column::left("MODEL"),
        Column::left("MIG").whole(),
        Column::right("MEMORY GIB"),
        Column::right("UTIL"),
        Column::left("USE"),
        Column::left("PROCESSES"),
        Column::left("UUID"),
    ];
    let mut table = Table::new(all.into_iter().take(shown));
    overview.units().for_each(|unit| table.row(row(unit).into_iter().take(shown)));
    table
}

fn row(unit: Unit<'_>) -> [String; COLUMNS] {
    let known = |text: Option<&str>| text.unwrap_or(UNKNOWN).to_owned();
    let (gpu, usage) = (unit.gpu, unit.usage());
    let [model, mig, utilization] = match unit.instance {
        Some(_) => [String::new(), known(unit.profile()), "-".into()],
        None => {
            let mig = gpu.mig.map_or(UNKNOWN, |on| if on { "on" } else { "off" });
            // In MIG mode there is no figure for the whole.
            let none = if gpu.mig == Some(true) { "-" } else { UNKNOWN };
            let utilization = gpu.utilization.map_or(none.into(), |percent| format!("{percent}%"));
            [known(gpu.model.as_deref()), mig.into(), utilization]
        }
    };
    let is_divided = unit.instance.is_none() && gpu.mig == Some(true);
    [
        unit.slot(),
        model,
        mig,
        memory(unit.memory()),
        utilization,
        match usage.availability {
            Availability::Divided => {
                format!("divided into {}", count(gpu.instances.len(), "instance"))
            }
            _ => usage_text(usage),
        },
        if is_divided { String::new() } else { processes(usage) },
        known(unit.uuid()),
    ]
}

/// Used and all, in the unit in which GPUs are asked for.
fn memory(memory: Option<Memory>) -> String {
    let both = |memory: Memory| format!("{}/{}", gib(memory.used), gib(memory.total)).replace(" GiB", "");
    memory.map_or_else(|| UNKNOWN.into(), both)
}

fn usage_text(usage: &GpuUsage) -> String {
    let word = match usage.availability {
        Availability::Free => "free",
        Availability::Held => "",
        Availability::Busy => "busy",
        Availability::Divided => "divided",
        Availability::NoInstances => "unusable: MIG mode without instances",
        Availability::Prohibited => "unusable: its compute mode prohibits computing",
        Availability::Lost => "lost",
        Availability::Unknown => "unknown",
    };
    let mut parts = Vec::new();
    match &usage.why {
        Some(why) => parts.push(format!("{word}: {why}")),
        None if !word.is_empty() => parts.push(word.into()),
        None => {}
    }
    if !usage.holders.is_empty() {
        let holders: Vec<_> = usage.holders.iter().map(ToString::to_string).collect();
        parts.push(format!("held by {}", holders.join(", ")));
    }
    parts.join("; ")
}

fn processes(usage: &GpuUsage) -> String {
    let Some(running) = &usage.processes else { return UNKNOWN.into() };
    running.iter().map(process).collect::<Vec<_>>().join(", ")
}

fn process(running: &GpuProcess) -> String {
    let process = &running.process;
    let name = process.name.as_deref().unwrap_or("process");
    let user = running.user.clone().or_else(|| process.uid.map(|uid| format!("uid {uid}")));
    let user = user.unwrap_or_else(|| "owner not readable".into());
    let kind = if process.kind == ProcessKind::Graphics { ", display" } else { "" };
    format!("{name} {} ({user}{kind})", process.pid)
}

/// What a table cannot hold.
fn remarks(overview: &Overview) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(why) = &overview.holders_unknown {
        remarks.push(format!("which containers hold GPUs is not known, so none counts as free: {why}"));
    }
    remarks.extend(overview.gone.iter().map(gone));
    if !overview.privileged.is_empty() {
        let names: Vec<_> = overview.privileged.iter().map(|one| one.container.as_str()).collect();
        let names = names.join(", ");
        remarks.push(format!(
            "privileged containers reach every GPU, and hold those on which they compute: {names}"
        ));
    }
    if let DriverState::Ready { driver, gpus: 0 } = &overview.driver {
        remarks.push(format!("driver {driver} is loaded and sees no GPU"));
    }
    remarks
}

fn gone(gone: &MissingGpu) -> String {
    let owner = gone.owner.as_ref().map(|owner| format!(" ({owner})")).unwrap_or_default();
    format!("warning: {}{owner} holds {}, which this machine does not show", gone.container, gone.device)
}
