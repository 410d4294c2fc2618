//! `doctor`: looks at everything that is needed, one thing after the other;
//! what fails is a finding, and the next thing is looked at.

mod image;
mod show;

use clap::Args;
use std::path::Path;

use futures::future::join_all;

use super::exit::Exit;
use super::load::{self, CliError};
use super::settings::Settings;
use crate::admin::doctor::machine::{self, Folder};
use crate::admin::doctor::{self, Diagnosis, Finding};
use crate::build::space;
use crate::engine::{self, Container, Engine, Image};
use crate::gpu::nvml;
use crate::registry::credentials::Credentials;
use crate::spec::Spec;
use crate::spec::graph::Graph;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ds01-build doctor               the machine: engine, registries, GPUs, accounts, leftovers
  ds01-build doctor thesis        one image: account, settings, up to date or not, containers
  ds01-build doctor --json | jq '.findings[] | select(.severity == \"warning\")'
  ds01-build doctor --json | jq -r '.findings[] | select(.check == \"leftovers\").command'
                                  what would remove images that the old way left behind

Nothing is changed. The exit code is 0 unless something that is needed does not work (an error
among the findings): then it is 3. Warnings and notes do not change it.")]
pub(crate) struct DoctorArgs {
    /// Look at one image only: its name in the spec, or a reference
    pub(crate) image: Option<String>,
}

pub(crate) async fn run(settings: &Settings, args: &DoctorArgs) -> Result<Exit, CliError> {
    let report = match &args.image {
        Some(name) => image::look(settings, name).await?,
        None => diagnose(settings).await,
    };
    let exit = if report.is_broken() { Exit::Engine } else { Exit::Done };
    let mut output = settings.output();
    let verbose = settings.verbose > 0;
    output.data(&report, |report, look| show::text(report, look, verbose));
    output.finish()?;
    Ok(exit)
}

/// Everything but single images.
async fn diagnose(settings: &Settings) -> Diagnosis {
    let mut report = Diagnosis::default();
    let stack = load::spec(settings);
    report.extend(spec(settings, &stack));
    let spec = stack.as_ref().ok().map(|(spec, _)| spec);
    let (engine, asked) = tokio::join!(engine(settings), registries(settings, spec));
    report.extend(engine.findings);
    report.extend(asked);
    report.extend([machine::gpu_driver(&nvml::state(settings.nvml_library.as_deref()))]);
    if let Some((images, containers)) = &engine.store {
        report.extend(doctor::images::accounts(images, spec, settings.people.as_ref()));
        report.extend(doctor::images::leftovers(images, containers));
        report.extend(doctor::images::legacy_labels(images, containers));
    }
    report.extend(folders(settings).iter().map(machine::folder));
    report
}

fn spec(settings: &Settings, stack: &Result<(Spec, Graph), CliError>) -> Vec<Finding> {
    let Some(file) = &settings.spec_file else { return vec![machine::no_spec()] };
    let file = settings.shown(file).display().to_string();
    match stack {
        Ok((spec, _)) => {
            let disagreements = spec.disagreements(spec.users.keys(), settings.people.as_ref());
            let agreement = machine::users(&file, spec, &disagreements);
            [vec![machine::valid_spec(&file, spec)], agreement].concat()
        }
        Err(error) => machine::invalid_spec(&file, &error.problems),
    }
}

/// What was seen of the engine; the lists, if both could be read.
#[derive(Default)]
struct SeenEngine {
    findings: Vec<Finding>,
    store: Option<(Vec<Image>, Vec<Container>)>,
}

async fn engine(settings: &Settings) -> SeenEngine {
    let mut seen = SeenEngine::default();
    let (address, how) = match settings.address_and_source() {
        Ok((address, how)) => (address.to_string(), how),
        Err(error) => {
            seen.findings.push(machine::engine_error("engine", &error, &error.to_string()));
            return seen;
        }
    };
    let engine = match load::engine(settings).await {
        Ok(engine) => engine,
        Err(error) => {
            seen.findings.push(machine::engine(&address, how, &Err(error)));
            return seen;
        }
    };
    look(engine.as_ref(), &address, how, &mut seen).await;
    seen
}

async fn look(engine: &dyn Engine, address: &str, how: &str, seen: &mut SeenEngine) {
    let (facts, lacks, images, containers) =
        tokio::join!(engine.info(), engine.lacks(), engine.images(), engine.containers());
    seen.findings.push(machine::engine(address, how, &facts));
    seen.findings.push(machine::buildkit(address, &lacks));
    let lists = images.and_then(|images| Ok((images, containers?)));
    if let Ok(facts) = &facts {
        seen.findings.extend(machine::drivers(facts));
        let images = lists.as_ref().map(|(images, _)| images.as_slice()).unwrap_or_default();
        seen.findings.push(machine::space(&facts.root, free(facts), images));
    }
    match lists {
        Ok((images, containers)) => {
            seen.findings.push(machine::counts(address, &images, &containers));
            seen.store = Some((images, containers));
        }
        Err(error) => seen.findings.push(machine::engine_error(address, &error, &error.to_string())),
    }
}

fn free(facts: &engine::EngineInfo) -> Result<u64, String> {
    if !facts.local {
        return Err("the engine is on another machine".into());
    }
    space::free(&facts.root).map_err(|error| error.to_string())
}

/// Every registry at once; one that stays silent holds up no other.
async fn registries(settings: &Settings, spec: Option<&Spec>) -> Vec<Finding> {
    let Some(spec) = spec else { return Vec::new() };
    let registry = load::registry(settings, spec);
    let credentials = Credentials::new(Some(settings.docker_config.clone()));
    let hosts = machine::registries(spec);
    let asked = hosts.iter().map(async |(host, of)| {
        let (greeted, login) = tokio::join!(registry.ping(host), credentials.source(host));
        [machine::registry(host, *of, &greeted), machine::login(host, *of, &login)]
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn folders(settings: &Settings) -> [Folder; 3] {
    let folder =
        |name, path: &Path, needed| Folder { name, path: path.to_owned(), needed, writable: writable(path) };
    [
        folder("locks", &settings.lock_dir, true),
        folder("cache", &settings.cache_dir, false),
        folder("logs", &settings.state_dir, false),
    ]
}

/// Whether files can be made in a folder, or the folder itself if it is not
/// there yet. Makes nothing.
fn writable(path: &Path) -> Result<(), String> {
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
    if !there.is_dir() {
        return Err(format!("{} is no folder", there.display()));
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(there, access).map_err(|error| format!("{}: {error}", there.display()))
}
