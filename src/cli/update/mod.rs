//! `update`: moves the pins of spec.lock, or asks for fresh packages, and says
//! what that would rebuild.

mod packages;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::args::UpdateArgs;
use super::error::CliError;
use super::exit::Exit;
use super::plan;
use super::session::Session;
use crate::engine::Engine;
use crate::model::problem::Problem;
use crate::plan::update::{self, Rebuild, UpdateReport};
use crate::registry::Registry;
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::{self, Pins};

pub(crate) async fn run(session: &Session, args: &UpdateArgs) -> Result<Exit, CliError> {
    if args.packages {
        return packages::run(session, args).await;
    }
    if let Some(name) = session.bases.keys().next() {
        let problem = Problem::new(format!(
            "--base {name}=… stands an image in for one run, and spec.lock outlasts it"
        ));
        return Err(CliError::usage(
            problem.help("leave --base away; `update` moves the pins of what the spec names"),
        ));
    }
    let (spec, graph) = session.spec()?;
    let stack = (&spec, &graph);
    let mut pins = session.pins()?;
    let registry = session.registry(&spec);
    let engine = engine(session).await;
    let (lock, engine) = (&mut pins.lock, engine.as_deref());
    let update = update::update(stack, &args.images, lock, registry.as_ref(), engine, session.hashes()).await;
    let update = update.map_err(CliError::problems)?;
    let path = session.lock_file();
    let written =
        !args.dry_run && lock_file::save(&path, lock).map_err(|error| unwritten(session, &path, &error))?;
    let rebuild = rebuild(session, stack, &update.affected, engine, registry.as_ref(), &pins).await;
    let report = UpdateReport { update, written, rebuild };
    let mut output = session.output();
    if output.json {
        output.value(&report.to_json());
    } else {
        report.lines().iter().for_each(|line| output.line(line));
        report.notes().iter().for_each(|note| output.note(note));
        if args.dry_run {
            output.note("nothing was written");
        }
    }
    output.finish()?;
    Ok(if report.nobody_answered() { Exit::Engine } else { Exit::Done })
}

/// The engine, where one answers: nothing here needs it.
async fn engine(session: &Session) -> Option<Arc<dyn Engine>> {
    let engine = session.engine().await.ok();
    if engine.is_none() {
        session.remark("no engine answers; the graph alone says what would be rebuilt");
    }
    engine
}

/// What follows for these images.
async fn rebuild(
    session: &Session,
    stack: (&Spec, &Graph),
    affected: &BTreeSet<NodeId>,
    engine: Option<&dyn Engine>,
    registry: &dyn Registry,
    pins: &Pins,
) -> Rebuild {
    let context = engine.map(|engine| plan::context(session, stack, engine, registry, pins));
    Rebuild::of(stack, affected, context.as_ref()).await
}

fn unwritten(session: &Session, path: &Path, error: &io::Error) -> CliError {
    CliError::usage(format!("{} cannot be written: {error}", session.shown(path).display()))
}
