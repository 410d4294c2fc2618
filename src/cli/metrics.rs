//! `metrics`: figures for monitoring, printed or put into a file.

use clap::Args;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::CliError;
use super::exit::Exit;
use super::gpu;
use super::session::Session;
use crate::admin::metrics::{self, EngineLists, Sources};
use crate::engine::{self, Engine};
use crate::gpu::DriverState;
use crate::host::files;
use crate::model::problem::Problem;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ds01-build metrics\n  ds01-build metrics --output /var/lib/prometheus/node-exporter/ds01.prom\n  ds01-build metrics --json | jq -r '.[] | .name + \": \" + .help'\n\nPrometheus text for node_exporter's textfile collector; run it from a timer. What cannot be\nread is absent, and ds01_up says which part did not answer. The exit code is 0 if any did. The\nlast run's figures are those of the user who asks: each keeps their own. No spec is needed."
)]
pub(crate) struct MetricsArgs {
    /// Write to this file, whole or not at all [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, args: &MetricsArgs) -> Result<Exit, CliError> {
    let mut engine = None;
    let gpus = gpu::overview(session, &mut engine).await;
    let mut output = session.output();
    let lists = match &engine {
        Some(engine) => lists(session, engine).await.map_err(|error| error.to_string()),
        None => Err(gpus.holders_unknown.clone().unwrap_or_default()),
    };
    if let Err(why) = &lists {
        output.note(&format!("warning: nothing is told of the engine: {why}"));
    }
    // Machines without a GPU are told of every minute too.
    if !matches!(gpus.driver, DriverState::Ready { .. }) {
        session.remark("nothing is told of GPUs, since NVML does not answer; `ds01-build doctor` says why");
    }
    let users = |uid| session.login(uid);
    let version = env!("CARGO_PKG_VERSION");
    let sources = Sources { version, gpus: &gpus, engine: lists.as_ref().ok(), users: &users };
    let families = metrics::families(&sources);
    if let Some(file) = &args.output {
        let path = session.here.join(file);
        files::write_for_all(&path, metrics::text(&families).as_bytes(), false)
            .map_err(|error| unwritable(file, &error))?;
    }
    match (session.json, &args.output) {
        (true, _) => output.value(&families),
        (false, None) => output.text(&metrics::text(&families)),
        (false, Some(_)) => {}
    }
    output.finish()?;
    Ok(if metrics::any_answered(&sources) { Exit::Done } else { Exit::Engine })
}

async fn lists(session: &Session, engine: &Arc<dyn Engine>) -> Result<EngineLists, engine::Error> {
    let (facts, containers, images) = tokio::try_join!(engine.info(), engine.containers(), engine.images())?;
    Ok(EngineLists { containers, images, last_run: session.records(&facts.id).last_run() })
}

fn unwritable(file: &Path, error: &io::Error) -> CliError {
    let problem = Problem::new(format!("{} cannot be written: {error}", file.display()));
    CliError::usage(problem.help("name a file in a folder that is there and that you may write to"))
}
