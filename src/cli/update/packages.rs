//! `update --packages`: asks for fresh packages of images, by stamps in
//! spec.lock and in project files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::cli::args::UpdateArgs;
use crate::cli::environment::now;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::deploy::target;
use crate::host::files;
use crate::plan::update::{NewStamp, RefreshReport, refresh};
use crate::spec::edit::{EditContext, ProjectChanges};
use crate::spec::graph::{Graph, NodeId};
use crate::spec::{Spec, SpecEntry, lock_file};

pub(super) async fn run(session: &Session, args: &UpdateArgs) -> Result<Exit, CliError> {
    let (mut spec, graph) = session.spec()?;
    let nodes = named(session, &spec, &graph, &args.images)?;
    let caller = session.caller(Some(&spec));
    let mut pins = session.pins()?;
    let before = pins.lock.clone();
    let today = TimeZone::UTC.to_datetime(now()).date();
    let refresh = refresh((&mut spec, &graph), &nodes, &caller, &mut pins.lock, today)?;
    let context = EditContext { spec: &spec, graph: &graph, caller: &caller, here: &session.here };
    let edited = edited(session, context, &refresh.stamps)?;
    if !args.dry_run {
        for (path, (old, new)) in &edited {
            files::replace(path, old, new).map_err(|error| super::unwritten(session, path, &error))?;
        }
        let path = session.lock_file();
        // Who refreshes their own project need not be able to write it.
        if pins.lock != before {
            lock_file::save(&path, &pins.lock).map_err(|error| super::unwritten(session, &path, &error))?;
        }
    }
    let stack = (&spec, &graph);
    let engine = super::engine(session).await;
    let registry = session.registry(&spec);
    let rebuild =
        super::rebuild(session, stack, &refresh.affected, engine.as_deref(), registry.as_ref(), &pins).await;
    let written = !args.dry_run && !refresh.stamps.is_empty();
    let report = RefreshReport { refresh, written, rebuild };
    let mut output = session.output();
    if output.json {
        output.value(&report.to_json());
    } else {
        report.lines().iter().for_each(|line| output.line(line));
        if report.refresh.stamps.is_empty() {
            output.note("nothing to refresh: the spec has no shared image");
        } else if args.dry_run {
            output.note("nothing was written");
        }
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// The images of these names; one's own project comes before another's.
fn named(session: &Session, spec: &Spec, graph: &Graph, names: &[String]) -> Result<Vec<NodeId>, CliError> {
    let (mut nodes, mut problems) = (Vec::new(), Vec::new());
    for name in names {
        let own = target::own_project(spec, graph, name, session.uid);
        match own.map_or_else(|| graph.find(name), Ok) {
            Ok(node) => nodes.push(node),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(nodes) } else { Err(CliError::problems(problems)) }
}

/// The texts of project files, as they are and with the stamps of their
/// projects: one file may have several.
fn edited(
    session: &Session,
    context: EditContext<'_>,
    stamps: &[NewStamp],
) -> Result<BTreeMap<PathBuf, (String, String)>, CliError> {
    let mut edited = BTreeMap::<PathBuf, (String, String)>::new();
    let unreadable = |path: &Path, error| {
        CliError::usage(format!("{} cannot be read: {error}", session.shown(path).display()))
    };
    for NewStamp { node, new, .. } in stamps {
        let SpecEntry::Project(project) = SpecEntry::of(context.spec, context.graph, *node) else { continue };
        let path = context.here.join(&project.place.file.path);
        let (old, text) = match edited.remove(&path) {
            Some(texts) => texts,
            None => {
                let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
                (text.clone(), text)
            }
        };
        let changes = ProjectChanges { refreshed: Some(*new), ..ProjectChanges::default() };
        let (text, _) = context.change(&text, project, changes)?;
        edited.insert(path, (old, text));
    }
    Ok(edited)
}
