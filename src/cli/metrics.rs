//! `metrics`: figures for monitoring, printed or put into a file.

use clap::Args;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::exit::Exit;
use super::load::CliError;
use super::machine;
use super::settings::Settings;
use crate::admin::metrics::{self, Looked, Store};
use crate::engine::{self, Container, Engine, Image};
use crate::gpu::State;
use crate::model::problem::Problem;
use crate::plan::records::Run;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ds01-build metrics\n  ds01-build metrics --output /var/lib/prometheus/node-exporter/ds01.prom\n  ds01-build metrics --json | jq -r '.[] | .name + \": \" + .help'\n\nPrometheus text for node_exporter's textfile collector; run it from a timer. What cannot be\nread is absent, and ds01_up says which part did not answer. The exit code is 0 if any did. The\nlast run's figures are those of the user who asks: each keeps their own. No spec is needed."
)]
pub(crate) struct MetricsArgs {
    /// Write to this file, whole or not at all [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Others read the file: that is what it is for.
const MODE: u32 = 0o644;

pub(crate) async fn run(settings: &Settings, args: &MetricsArgs) -> Result<Exit, CliError> {
    let mut engine = None;
    let gpus = machine::overview(settings, &mut engine).await;
    let mut output = settings.output();
    let told = match &engine {
        Some(engine) => told(settings, engine).await.map_err(|error| error.to_string()),
        None => Err(gpus.holders_unknown.clone().unwrap_or_default()),
    };
    if let Err(why) = &told {
        output.note(&format!("warning: nothing is told of the engine: {why}"));
    }
    // Machines without a GPU are told of every minute too.
    if !matches!(gpus.driver, State::Ready { .. }) {
        settings.remark("nothing is told of GPUs, since NVML does not answer; `ds01-build doctor` says why");
    }
    let store = told.as_ref().ok().map(|(containers, images, last_run)| Store {
        containers,
        images,
        last_run: last_run.as_ref(),
    });
    let users = |uid| settings.login(uid);
    let looked = Looked { version: env!("CARGO_PKG_VERSION"), gpus: &gpus, store, users: &users };
    let families = metrics::families(&looked);
    if let Some(file) = &args.output {
        let path = settings.here.join(file);
        write(&path, &metrics::text(&families)).map_err(|error| unwritable(file, &error))?;
    }
    match (settings.json, &args.output) {
        (true, _) => output.value(&families),
        (false, None) => output.text(&metrics::text(&families)),
        (false, Some(_)) => {}
    }
    output.finish()?;
    Ok(if metrics::any_answered(&looked) { Exit::Done } else { Exit::Engine })
}

async fn told(
    settings: &Settings,
    engine: &Arc<dyn Engine>,
) -> Result<(Vec<Container>, Vec<Image>, Option<Run>), engine::Error> {
    let (facts, containers, images) = tokio::try_join!(engine.facts(), engine.containers(), engine.images())?;
    Ok((containers, images, settings.records(&facts.id).last_run()))
}

/// Whoever reads the file meanwhile has the old one or the new one, whole.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    // The collector takes files that end in `.prom`, so not this one.
    let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let _ = fs::remove_file(&part);
    let fill = || {
        // Never through a link that somebody put there.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(MODE))?;
        fs::rename(&part, path)
    };
    fill().inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}

fn unwritable(file: &Path, error: &io::Error) -> CliError {
    let problem = Problem::new(format!("{} cannot be written: {error}", file.display()));
    CliError::Usage(problem.help("name a file in a folder that is there and that you may write to"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_put_in_place_whole_and_for_everyone_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ds01.prom");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        write(&path, "new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(write(&folder.path().join("none/ds01.prom"), "x").is_err());
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(write(&folder.path().join("folder"), "x").is_err());
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
