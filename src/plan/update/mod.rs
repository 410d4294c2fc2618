//! Moves pins to what tags stand for now, and says what that would rebuild.
//! Needs no engine; with one it says it more exactly.

mod refresh;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde::Serialize;

pub(crate) use refresh::{NewStamp, RefreshReport, refresh};
pub(crate) use report::UpdateReport;

use super::observe::{self, ExternalImage};
use super::pins::{Newest, newest};
use super::run::{Context, plan};
use super::selection::Selection;
use crate::dockerfile::context::HashCache;
use crate::engine::{Engine, ImageIndex};
use crate::model::names::{Login, NodeName};
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::registry::Registry;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::{Lock, Pin};
use crate::spec::{Spec, nearest};

/// What an update did to the lock.
pub(crate) struct PinUpdate {
    changes: Vec<PinChange>,
    /// Pins that nothing used any more.
    dropped: Vec<String>,
    /// All that is based on what has another content now.
    pub(crate) affected: BTreeSet<NodeId>,
}

/// What came of one image.
struct PinChange {
    reference: Reference,
    old: Option<Pin>,
    /// Goes into the lock; the same digest where only a platform was added.
    new: Option<Pin>,
    kind: ChangeKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ChangeKind {
    /// Pinned, for the first time or to another content.
    Moved,
    Unchanged,
    /// It exists in the engine only: its image ID counts.
    LocalOnly,
    /// Its registry has no such tag.
    Gone,
    /// Its registry could not be asked.
    RegistryUnavailable(String),
}

/// An engine that can be asked, where one answers.
#[derive(Clone, Copy)]
struct EngineView<'a> {
    engine: &'a dyn Engine,
    platform: &'a str,
    images: &'a ImageIndex<'a>,
}

/// Moves the pins of the named images in `lock`, all at once; without names
/// all that can be pinned, and drops those that nothing uses.
///
/// # Errors
/// All that is wrong with the files; or one problem for each name that
/// nothing of the spec has.
pub(crate) async fn update(
    (spec, graph): (&Spec, &Graph),
    names: &[String],
    lock: &mut Lock,
    registry: &dyn Registry,
    engine: Option<&dyn Engine>,
    hashes: &HashCache,
) -> Result<PinUpdate, Vec<Problem>> {
    // What it has counts only where all of it is told.
    let listed = match engine {
        Some(engine) => {
            let (facts, store) = tokio::join!(engine.info(), engine.images());
            facts.ok().zip(store.ok())
        }
        None => None,
    };
    let images = ImageIndex::new(listed.as_ref().map_or(&[], |(_, store)| store.as_slice()));
    let engine = engine.zip(listed.as_ref()).map(|(engine, (facts, _))| EngineView {
        engine,
        platform: &facts.platform,
        images: &images,
    });
    let external = observe::external(spec, graph, engine.map(|engine| engine.platform), hashes)?;
    let chosen = choose(spec, &external, names)?;
    let changes = join_all(chosen.iter().map(|image| change(image, lock, registry, engine))).await;
    for change in &changes {
        if let Some(pin) = &change.new {
            lock.set(&change.reference, pin.clone());
        }
    }
    let used: BTreeSet<_> = external.values().map(|image| image.reference.to_string()).collect();
    let dropped = if names.is_empty() { lock.retain(|name| used.contains(name)) } else { Vec::new() };
    let moved = changes.iter().filter(|change| change.kind == ChangeKind::Moved);
    let moved = moved.filter_map(|change| external.get(&change.reference.canonical()));
    let affected = moved.flat_map(|image| image.affects(graph)).collect();
    Ok(PinUpdate { changes, dropped, affected })
}

async fn change(
    image: &ExternalImage,
    lock: &Lock,
    registry: &dyn Registry,
    engine: Option<EngineView<'_>>,
) -> PinChange {
    let (reference, pin) = (&image.reference, lock.get(&image.reference));
    let change = |kind, new| PinChange { reference: reference.clone(), old: pin.cloned(), new, kind };
    if pin.is_none() && engine.is_some_and(|engine| observe::is_local_only(reference, engine.images)) {
        return change(ChangeKind::LocalOnly, None);
    }
    let platform = engine.map(|engine| engine.platform);
    match newest(reference, pin, platform, registry, engine.map(|engine| engine.engine)).await {
        Newest::Same => change(ChangeKind::Unchanged, None),
        Newest::Pin(new) if pin.is_some_and(|pin| pin.digest() == new.digest()) => {
            change(ChangeKind::Unchanged, Some(new))
        }
        Newest::Pin(new) => change(ChangeKind::Moved, Some(new)),
        Newest::Gone => change(ChangeKind::Gone, None),
        Newest::RegistryUnavailable(why) => change(ChangeKind::RegistryUnavailable(why.0), None),
    }
}

/// What a build would do now that it would not have done before.
#[derive(Default, Serialize)]
pub(crate) struct Rebuild {
    images: Vec<NodeName>,
    /// Of these, how many are somebody's own.
    projects: usize,
    users: BTreeSet<Login>,
    /// From a plan, not from the graph alone.
    planned: bool,
}

impl Rebuild {
    /// By a plan with the new pins; by the graph alone where none can be made.
    pub(crate) async fn of(
        (spec, graph): (&Spec, &Graph),
        affected: &BTreeSet<NodeId>,
        context: Option<&Context<'_>>,
    ) -> Self {
        let planned = match context {
            Some(context) if !affected.is_empty() => plan(context, &Selection::all(graph)).await.ok(),
            _ => None,
        };
        let nodes: Vec<NodeId> = match &planned {
            Some(run) => run.plan.builds().map(|at| run.nodes[at]).collect(),
            None => graph.order().to_vec(),
        };
        let mut rebuild = Self { planned: planned.is_some(), ..Self::default() };
        for node in nodes.into_iter().filter(|node| affected.contains(node)) {
            rebuild.images.push(graph.node(node).name.clone());
            if let Some(account) = SpecEntry::of(spec, graph, node).account() {
                rebuild.projects += 1;
                rebuild.users.insert(account.login.clone());
            }
        }
        rebuild
    }
}

/// The images behind the names, each once; no names: all that can be pinned.
///
/// # Errors
/// One problem for each name that nothing of the spec has.
fn choose<'u>(
    spec: &Spec,
    external: &'u BTreeMap<String, ExternalImage>,
    names: &[String],
) -> Result<Vec<&'u ExternalImage>, Vec<Problem>> {
    if names.is_empty() {
        return Ok(external.values().filter(|each| each.reference.digest().is_none()).collect());
    }
    let (mut chosen, mut problems) = (BTreeMap::new(), Vec::new());
    for name in names {
        match find(spec, external, name) {
            Ok(each) => drop(chosen.insert(each.reference.canonical(), each)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(chosen.into_values().collect()) } else { Err(problems) }
}

fn find<'u>(
    spec: &Spec,
    external: &'u BTreeMap<String, ExternalImage>,
    name: &str,
) -> Result<&'u ExternalImage, Problem> {
    let base = spec.bases.iter().find(|base| base.name.as_str() == name);
    let reference = base.map(|base| base.source.reference().clone()).or_else(|| Reference::parse(name).ok());
    match reference.and_then(|reference| external.get(&reference.canonical())) {
        Some(each) if each.reference.digest().is_some() => {
            let problem = Problem::new(format!("{} has a digest: there is nothing to move", each.reference));
            Err(problem.at(&each.place).help("write another digest there, or a tag without one"))
        }
        Some(each) => Ok(each),
        None => Err(match base {
            Some(base) => Problem::new(format!("nothing is based on the base `{name}`, so it has no pin"))
                .at(&base.place),
            None => unknown(spec, external, name),
        }),
    }
}

fn unknown(spec: &Spec, external: &BTreeMap<String, ExternalImage>, name: &str) -> Problem {
    let problem = Problem::new(format!("no base `{}`", name.escape_debug()));
    let bases = spec.bases.iter().map(|base| base.name.to_string());
    let known: Vec<_> = bases.chain(external.values().map(|each| each.reference.to_string())).collect();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => problem.help("nothing in the spec is based on an image from elsewhere"),
        None => problem.help(format!("there are {}", known.join(", "))),
    }
}
