//! `doctor`: checks everything that is needed, one thing after the other;
//! what fails is a finding, and the next thing is checked.

mod image;

use std::path::Path;

use clap::Args;
use futures::future::join_all;

use crate::admin::doctor::machine::{self, Folder};
use crate::admin::doctor::{Diagnosis, Finding, Severity, images};
use crate::build::space;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::engine::{Container, EngineInfo, Image};
use crate::gpu::nvml;
use crate::spec::Spec;
use crate::spec::graph::Graph;
use crate::ui::{OutputStyle, human};

/// Findings of one check that are shown before the rest is only counted.
const FINDINGS: usize = 8;
/// Things of one finding.
const ITEMS: usize = 5;

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

pub(crate) async fn run(session: &Session, args: &DoctorArgs) -> Result<Exit, CliError> {
    let diagnosis = match &args.image {
        Some(name) => image::diagnose(session, name).await?,
        None => diagnose(session).await,
    };
    let verbose = session.verbose > 0;
    let mut output = session.output();
    output.data(&diagnosis, |diagnosis, style| text(diagnosis, style, verbose));
    output.finish()?;
    Ok(if diagnosis.is_broken() { Exit::Engine } else { Exit::Done })
}

/// Everything but single images.
async fn diagnose(session: &Session) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let read = session.spec();
    diagnosis.extend(spec(session, &read));
    let spec = read.as_ref().ok().map(|(spec, _)| spec);
    let (lists, answers) = tokio::join!(engine(session, &mut diagnosis), registries(session, spec));
    diagnosis.extend(answers);
    diagnosis.extend([machine::gpu_driver(&nvml::state(session.nvml_library.as_deref()))]);
    if let Some((images, containers)) = &lists {
        diagnosis.extend(images::accounts(images, spec, session.people.as_ref()));
        diagnosis.extend(images::leftovers(images, containers));
        diagnosis.extend(images::legacy_labels(images, containers));
    }
    let folders = [
        ("locks", &session.lock_dir, true),
        ("cache", &session.cache_dir, false),
        ("logs", &session.state_dir, false),
    ];
    diagnosis.extend(folders.map(|(name, path, needed)| {
        machine::folder(&Folder { name, path: path.clone(), needed, writable: writable(path) })
    }));
    diagnosis
}

fn spec(session: &Session, read: &Result<(Spec, Graph), CliError>) -> Vec<Finding> {
    let Some(file) = &session.spec_file else { return vec![machine::no_spec()] };
    let file = session.shown(file).display().to_string();
    match read {
        Ok((spec, _)) => {
            let disagreements = spec.disagreements(spec.users.keys(), session.people.as_ref());
            let mut findings = machine::users(&file, spec, &disagreements);
            findings.insert(0, machine::valid_spec(&file, spec));
            findings
        }
        Err(error) => machine::invalid_spec(&file, &error.problems),
    }
}

/// The engine's lists, if both could be read.
async fn engine(session: &Session, diagnosis: &mut Diagnosis) -> Option<(Vec<Image>, Vec<Container>)> {
    let (address, how) = match session.address_and_source() {
        Ok((address, how)) => (address.to_string(), how),
        Err(error) => {
            diagnosis.extend([machine::engine_error("engine", &error, &error.to_string())]);
            return None;
        }
    };
    let engine = match session.engine().await {
        Ok(engine) => engine,
        Err(error) => {
            diagnosis.extend([machine::engine(&address, how, &Err(error))]);
            return None;
        }
    };
    let (facts, lacks, images, containers) =
        tokio::join!(engine.info(), engine.lacks(), engine.images(), engine.containers());
    diagnosis.extend([machine::engine(&address, how, &facts), machine::buildkit(&address, &lacks)]);
    let lists = images.and_then(|images| Ok((images, containers?)));
    if let Ok(facts) = &facts {
        let images = lists.as_ref().map(|(images, _)| images.as_slice()).unwrap_or_default();
        diagnosis.extend(machine::drivers(facts));
        diagnosis.extend([machine::space(&facts.root, free(facts), images)]);
    }
    diagnosis.extend([match &lists {
        Ok((images, containers)) => machine::counts(&address, images, containers),
        Err(error) => machine::engine_error(&address, error, &error.to_string()),
    }]);
    lists.ok()
}

fn free(facts: &EngineInfo) -> Result<u64, String> {
    if !facts.local {
        return Err("the engine is on another machine".into());
    }
    space::free(&facts.root).map_err(|error| error.to_string())
}

/// Every registry at once; one that stays silent holds up no other.
async fn registries(session: &Session, spec: Option<&Spec>) -> Vec<Finding> {
    let Some(spec) = spec else { return Vec::new() };
    let registry = session.registry(spec);
    let hosts = machine::registries(spec);
    let answers = hosts.iter().map(async |(host, used_for)| {
        let (answer, login) = tokio::join!(registry.ping(host), session.credentials.of(host));
        [machine::registry(host, *used_for, &answer), machine::login(host, *used_for, &login)]
    });
    join_all(answers).await.into_iter().flatten().collect()
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

/// A line for each finding, what to do below it, and a sum. What is right
/// stays short.
fn text(diagnosis: &Diagnosis, style: &OutputStyle, verbose: bool) -> String {
    let mut text = String::new();
    for alike in diagnosis.findings.chunk_by(|a, b| (a.check, a.severity) == (b.check, b.severity)) {
        let shown = if verbose { alike.len() } else { alike.len().min(FINDINGS) };
        alike[..shown].iter().for_each(|finding| put(finding, style, verbose, &mut text));
        if shown < alike.len() {
            text += &format!("         … and {} more like these; -v shows them\n", alike.len() - shown);
        }
    }
    let counted = |severity, noun| human::count(diagnosis.count(severity), noun);
    let (errors, warnings) = (counted(Severity::Error, "error"), counted(Severity::Warning, "warning"));
    let sum = format!("{errors}, {warnings}, {}", counted(Severity::Note, "note"));
    let painted = if diagnosis.is_broken() { style.bad(&sum) } else { style.strong(&sum) };
    format!("{text}{painted}\n")
}

fn put(finding: &Finding, style: &OutputStyle, verbose: bool, text: &mut String) {
    let Finding { check, subject, message, .. } = finding;
    let mark = match finding.severity {
        Severity::Ok => style.good("ok     "),
        Severity::Note => style.strong("note   "),
        Severity::Warning => style.warn("warning"),
        Severity::Error => style.bad("error  "),
    };
    let size = finding.bytes.map(|bytes| format!(" ({})", human::bytes(bytes))).unwrap_or_default();
    *text += &format!("{mark}  {check}: {subject}: {message}{size}\n");
    let shown = if verbose { finding.items.len() } else { finding.items.len().min(ITEMS) };
    for item in &finding.items[..shown] {
        *text += &format!("           {item}\n");
    }
    if shown < finding.items.len() {
        *text += &format!("           … and {} more\n", finding.items.len() - shown);
    }
    if let Some(help) = &finding.help {
        *text += &format!("         {}\n", style.weak(help));
    }
    if let Some(command) = &finding.command {
        *text += &format!("         $ {command}\n");
    }
}
