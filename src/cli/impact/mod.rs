//! `impact`: what would be rebuilt if something changed.

mod show;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::args::{ImpactArgs, Kind};
use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use crate::build::default_jobs;
use crate::plan::history::Record;
use crate::plan::impact::{self, CostInputs, EngineLists, FileReaders, SpecFiles, Target, TargetKind};
use crate::plan::observe;
use crate::spec::graph::NodeId;

pub(crate) async fn run(session: &Session, args: &ImpactArgs) -> Result<Exit, CliError> {
    let (spec, graph) = session.spec()?;
    let dockerfiles = observe::files(&spec, &graph, session.hashes()).map_err(CliError::problems)?;
    let stack = SpecFiles { spec: &spec, graph: &graph, dockerfiles: &dockerfiles };
    let path = session.here.join(&args.name);
    let file = path.symlink_metadata().is_ok().then_some(path.as_path());
    let (asked, others) =
        impact::ask(&stack, &args.name, file, args.kind.map(sort)).map_err(CliError::usage)?;
    let read = read(session, &stack, &asked)?;
    let mut reach = impact::reach(&stack, &asked, &read);
    reach.notes.extend(impact::otherwise(&args.name, &others));
    let nodes: Vec<NodeId> = reach.images.iter().map(|image| image.node).collect();
    // Nobody is asked about nothing.
    let asks = !nodes.is_empty();
    let (listed, silent) = match if asks { list(session).await.map(Some) } else { Ok(None) } {
        Ok(listed) => (listed, None),
        // The question is mostly about the spec.
        Err(error) => (None, Some(error)),
    };
    let (listed, records) = match listed {
        Some((engine, listed)) => (Some(listed), records(session, &engine, &stack, &nodes)),
        None if !asks => (Some(EngineLists::default()), HashMap::new()),
        None => (None, HashMap::new()),
    };
    let known = CostInputs {
        engine: listed.as_ref(),
        records: &records,
        jobs: default_jobs(),
        users: &|uid| session.login(uid),
    };
    let impact = impact::impact(&stack, asked, reach, &known);
    let mut output = session.output();
    if let Some(error) = silent {
        output.note(&format!("sizes and containers are unknown: {error}"));
        error.help().iter().for_each(|help| output.note(help));
    }
    output.data(&impact, show::show);
    output.finish()?;
    Ok(Exit::Done)
}

fn sort(kind: Kind) -> TargetKind {
    match kind {
        Kind::Image => TargetKind::Image,
        Kind::Base => TargetKind::Base,
        Kind::File => TargetKind::File,
        Kind::Arg => TargetKind::Arg,
    }
}

/// Who reads the file that is asked about, and what it declares.
fn read(session: &Session, stack: &SpecFiles<'_>, asked: &Target) -> Result<FileReaders, CliError> {
    let Target::File { path } = asked else { return Ok(FileReaders::default()) };
    let readers = observe::readers(stack.spec, stack.graph, stack.dockerfiles, path);
    let readers = readers.map_err(|problem| CliError::problems(vec![problem]))?;
    let place = real(path);
    let is_in = |file: &Path| real(&session.here.join(file)).starts_with(&place);
    let declares = impact::declared(stack.spec, stack.graph, &is_in);
    let of_spec = !declares.is_empty() || session.spec_file.as_deref().is_some_and(is_in);
    Ok(FileReaders { readers, declares: of_spec.then_some(declares) })
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The engine's name among engines, its images and containers.
async fn list(session: &Session) -> Result<(String, EngineLists), crate::engine::Error> {
    let engine = session.engine().await?;
    let (facts, images, containers) = tokio::join!(engine.info(), engine.images(), engine.containers());
    Ok((facts?.id, EngineLists { images: images?, containers: containers? }))
}

fn records(
    session: &Session,
    engine: &str,
    stack: &SpecFiles<'_>,
    nodes: &[NodeId],
) -> HashMap<NodeId, Vec<Record>> {
    let records = session.records(engine);
    let tries = |node: &NodeId| {
        let image = stack.graph.node(*node);
        Some((*node, records.of(image.repository.as_ref()?, &image.name)))
    };
    nodes.iter().filter_map(tries).collect()
}
