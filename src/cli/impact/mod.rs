//! `impact`: what would be rebuilt if something changed.

mod show;

use super::args::ImpactArgs;
use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use crate::build::default_jobs;
use crate::engine;
use crate::plan::impact::{self, CostInputs, EngineLists, FileReaders, SpecFiles};
use crate::plan::observe;

pub(crate) async fn run(session: &Session, args: &ImpactArgs) -> Result<Exit, CliError> {
    let (spec, graph) = session.spec()?;
    let dockerfiles = observe::files(&spec, &graph, session.hashes()).map_err(CliError::problems)?;
    let stack = SpecFiles { spec: &spec, graph: &graph, dockerfiles: &dockerfiles };
    let path = session.here.join(&args.name);
    let file = path.symlink_metadata().is_ok().then_some(path.as_path());
    let (asked, others) = impact::ask(&stack, &args.name, file, args.kind).map_err(CliError::usage)?;
    let spec_file = session.spec_path();
    let read = FileReaders::of(&stack, &asked, &session.here, &spec_file);
    let mut reach = impact::reach(&stack, &asked, &read);
    reach.notes.extend(impact::otherwise(&args.name, &others));
    // The question is mostly about the spec, and nobody is asked about nothing.
    let (engine, silent) = match reach.images.is_empty() {
        true => (Some(EngineLists::default()), None),
        false => match lists(session).await {
            Ok(engine) => (Some(engine), None),
            Err(error) => (None, Some(error)),
        },
    };
    let records = engine.as_ref().map(|engine| reach.records(&graph, &session.records(&engine.id)));
    let known = CostInputs {
        engine: engine.as_ref(),
        records: &records.unwrap_or_default(),
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

async fn lists(session: &Session) -> Result<EngineLists, engine::Error> {
    EngineLists::of(session.engine().await?.as_ref()).await
}
