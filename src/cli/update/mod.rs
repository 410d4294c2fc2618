//! `update`: moves the pins of spec.lock, and says what that would rebuild.
//! Needs no engine; with one it says it more exactly.

mod choice;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::args::UpdateArgs;
use super::exit::Exit;
use super::hashes::Hashes;
use super::load::{self, CliError};
use super::pins;
use super::plan::{self, World};
use super::settings::Settings;
use crate::engine::{Engine, Image};
use crate::model::problem::Problem;
use crate::plan::observe::{self, Newest, Use};
use crate::registry::Registry;
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::pins::{Lock, Pins};
use report::{Rebuild, Report, Step, What};

pub(crate) async fn run(settings: &Settings, args: &UpdateArgs) -> Result<Exit, CliError> {
    if let Some(name) = settings.bases.keys().next() {
        let problem = Problem::new(format!(
            "--base {name}=… stands an image in for one run, and spec.lock outlasts it"
        ));
        return Err(CliError::usage(
            problem.help("leave --base away; `update` moves the pins of what the spec names"),
        ));
    }
    let (spec, graph) = load::spec(settings)?;
    let mut pins = pins::load(settings)?;
    let engine = Seen::of(settings).await;
    let hashes = Hashes::open(settings);
    let platform = engine.as_ref().map(|seen| seen.platform.as_str());
    let uses = observe::external(&spec, &graph, platform, &hashes.cache).map_err(CliError::problems)?;
    hashes.save(settings);
    let chosen = choice::choose(&spec, &uses, &args.images).map_err(CliError::problems)?;
    let registry = load::registry(settings, &spec);
    let steps = ask(&chosen, &pins.lock, registry.as_ref(), engine.as_ref()).await;
    for step in &steps {
        if let Some(pin) = &step.new {
            pins.lock.set(&step.reference, pin.clone());
        }
    }
    let dropped = if args.images.is_empty() { drop_unused(&mut pins.lock, &uses) } else { Vec::new() };
    let written = !args.dry_run && pins::save(settings, &pins.lock)?;
    let moved = moved(&steps, &uses, &graph);
    let rebuild = rebuild(settings, &spec, &graph, &moved, registry.as_ref(), engine.as_ref(), &pins).await;
    let report = Report { steps, dropped, written, rebuild };
    let mut output = settings.output();
    report.show(args.dry_run, &mut output);
    output.finish()?;
    Ok(if report.nobody_answered() { Exit::Engine } else { Exit::Done })
}

/// What an engine has, where one answers.
struct Seen {
    engine: Arc<dyn Engine>,
    platform: String,
    store: Vec<Image>,
}

impl Seen {
    async fn of(settings: &Settings) -> Option<Self> {
        let engine = match load::engine(settings).await {
            Ok(engine) => engine,
            Err(_) => {
                settings.remark("no engine answers; the graph alone says what would be rebuilt");
                return None;
            }
        };
        let (facts, store) = tokio::join!(engine.info(), engine.images());
        Some(Self { platform: facts.ok()?.platform, store: store.ok()?, engine })
    }
}

/// Asks for all at once.
async fn ask(chosen: &[&Use], lock: &Lock, registry: &dyn Registry, seen: Option<&Seen>) -> Vec<Step> {
    let one = async |each: &Use| {
        let (reference, pin) = (&each.reference, lock.get(&each.reference));
        let step = |what, new| Step { reference: reference.clone(), old: pin.cloned(), new, what };
        if pin.is_none() && seen.is_some_and(|seen| observe::is_local_only(reference, &seen.store)) {
            return step(What::LocalOnly, None);
        }
        let (platform, engine) = (seen.map(|s| s.platform.as_str()), seen.map(|s| s.engine.as_ref()));
        match observe::newest(reference, pin, platform, registry, engine).await {
            Newest::Same => step(What::Unchanged, None),
            Newest::Pin(new) if pin.is_some_and(|pin| pin.digest() == new.digest()) => {
                step(What::Unchanged, Some(new))
            }
            Newest::Pin(new) => step(What::Moved, Some(new)),
            Newest::Gone => step(What::Gone, None),
            Newest::RegistryUnavailable(why) => step(What::RegistryUnavailable(why.0), None),
        }
    };
    futures::future::join_all(chosen.iter().map(|each| one(each))).await
}

fn drop_unused(lock: &mut Lock, uses: &BTreeMap<String, Use>) -> Vec<String> {
    let used: BTreeSet<_> = uses.values().map(|each| each.reference.to_string()).collect();
    lock.retain(|name| used.contains(name))
}

/// All that stands on what has another content now.
fn moved(steps: &[Step], uses: &BTreeMap<String, Use>, graph: &Graph) -> BTreeSet<NodeId> {
    let moved = steps.iter().filter(|step| step.what == What::Moved);
    let moved = moved.filter_map(|step| uses.get(&step.reference.canonical()));
    moved.flat_map(|each| each.reaches(graph)).collect()
}

/// By the plan with the new pins; by the graph alone where none can be made.
async fn rebuild(
    settings: &Settings,
    spec: &Spec,
    graph: &Graph,
    moved: &BTreeSet<NodeId>,
    registry: &dyn Registry,
    seen: Option<&Seen>,
    pins: &Pins,
) -> Rebuild {
    let by_graph =
        || Rebuild::of(spec, graph, graph.order().iter().copied().filter(|n| moved.contains(n)), false);
    let (Some(seen), false) = (seen, moved.is_empty()) else { return by_graph() };
    let world = World { engine: seen.engine.as_ref(), registry, pins };
    match plan::make_with(settings, spec, graph, &world, &plan::everything(graph)).await {
        Ok(made) => {
            let built = made.plan.builds().map(|at| made.nodes[at]);
            Rebuild::of(spec, graph, built.filter(|node| moved.contains(node)), true)
        }
        Err(_) => by_graph(),
    }
}
