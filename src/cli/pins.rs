//! What commands do with spec.lock: read it, add to it what a look found, and
//! compare it with the registries.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::load::CliError;
use super::plan::World;
use super::settings::Settings;
use crate::model::names::NodeName;
use crate::model::reference::Reference;
use crate::plan::observe::{self, BaseSeen, Newest, Pinning, Seen};
use crate::registry::Registry;
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::pins::{self, Lock, Pin, Pins};
use crate::ui::{Output, human};

/// Where the lock of the spec is. A command that has a spec has its file.
pub(crate) fn path(settings: &Settings) -> PathBuf {
    settings.here.join(pins::beside(settings.spec_file.as_deref().unwrap_or("spec.yml".as_ref())))
}

/// The lock and what `--base` stands in.
///
/// # Errors
/// All that is wrong with spec.lock.
pub(crate) fn load(settings: &Settings) -> Result<Pins, CliError> {
    let path = path(settings);
    let lock = pins::load(&path, &settings.shown(&path)).map_err(CliError::problems)?;
    let stand_ins = settings.bases.values().map(Reference::canonical).collect();
    Ok(Pins { lock, stand_ins, locked: false })
}

/// Pins what was found without a pin, in spec.lock and in `pins`; `true`:
/// there was something. A lock that cannot be written is told and no more.
///
/// # Errors
/// spec.lock has been broken meanwhile.
pub(crate) async fn learn(
    settings: &Settings,
    seen: &Seen,
    registry: &dyn Registry,
    pins: &mut Pins,
) -> Result<bool, CliError> {
    let platform = seen.engine.platform.as_str();
    let unpinned =
        seen.bases().filter(|(_, base)| matches!(base.pinning, Pinning::NotYet | Pinning::Perhaps));
    let found = unpinned.map(|(name, base)| async move {
        let pin = found(&name, base, platform, registry).await?;
        Some((name, pin))
    });
    let learnt: Vec<_> = futures::future::join_all(found).await.into_iter().flatten().collect();
    if learnt.is_empty() {
        return Ok(false);
    }
    // Another run may have pinned more, or the same, since we looked.
    let path = path(settings);
    let mut lock = pins::load(&path, &settings.shown(&path)).map_err(CliError::problems)?;
    for (name, pin) in &learnt {
        if lock.get(name).is_none() {
            lock.set(name, pin.clone());
        }
    }
    pins.lock = lock;
    let shown = settings.shown(&path).display().to_string();
    let mut output = settings.output();
    match pins::save(&path, &pins.lock) {
        Ok(true) => output.note(&format!("{shown}: {} pinned", human::count(learnt.len() as u64, "base"))),
        Ok(false) => {}
        Err(error) => output.note(&format!(
            "warning: {shown} cannot be written, so what tags stand for is not kept: {error}"
        )),
    }
    output.finish()?;
    Ok(true)
}

/// The pin to what was found; nothing where it may be the engine's own.
async fn found(
    reference: &Reference,
    base: &BaseSeen,
    platform: &str,
    registry: &dyn Registry,
) -> Option<Pin> {
    let digest = base.digest.as_deref()?;
    let known = reference.repository().with_digest(digest);
    match (&base.pinning, &base.id) {
        (Pinning::Perhaps, _) if !matches!(registry.digest(&known).await, Ok(Some(_))) => None,
        // It came from a registry or went to one: nobody need be asked.
        (Pinning::NotYet, Some(_)) => Pin::new(digest),
        _ => observe::described(reference, digest, &[platform], registry).await,
    }
}

/// Says for `-v` where a pin was followed and the engine's tag was not.
pub(crate) fn remark(seen: &Seen, settings: &Settings) {
    for (reference, base) in seen.bases() {
        if let (Pinning::Pinned { tag_is: Some(is) }, Some(digest)) = (&base.pinning, &base.digest) {
            let (digest, is) = (pins::short(digest), pins::short(is));
            settings.remark(&format!("{reference} is pinned to {digest}; the engine's tag is at {is}"));
        }
    }
}

/// Says how many bases a build would pin.
pub(crate) fn note_unpinned(seen: &Seen, output: &mut Output) {
    let how = "not pinned yet: `build` writes spec.lock, and so does `update`";
    match seen.bases.values().filter(|base| base.pinning == Pinning::NotYet).count() {
        0 => {}
        1 => output.note(&format!("1 base is {how}")),
        n => output.note(&format!("{n} bases are {how}")),
    }
}

/// What registries say of the pins of a plan.
pub(crate) struct Checked(Vec<CheckedBase>);

struct CheckedBase {
    image: String,
    pinned: String,
    newest: Newest,
    /// What a move would rebuild.
    rebuilds: Vec<NodeName>,
}

/// Asks for every pinned base of `wanted`, all at once.
pub(crate) async fn check(
    spec: &Spec,
    graph: &Graph,
    wanted: &[NodeId],
    seen: &Seen,
    world: &World<'_>,
) -> Checked {
    let uses = observe::uses(spec, graph, wanted, &seen.dockerfiles);
    let World { engine, registry, pins } = *world;
    let pinned = uses.values().filter_map(|each| Some((each, pins.of(&each.reference)?)));
    let asked = pinned.map(|(each, pin)| async move {
        let reached = each.reaches(graph).into_iter().filter(|node| wanted.contains(node));
        CheckedBase {
            image: each.reference.to_string(),
            pinned: pin.digest().to_owned(),
            newest: observe::newest(&each.reference, Some(pin), None, registry, Some(engine)).await,
            rebuilds: reached.map(|node| graph.node(node).name.clone()).collect(),
        }
    });
    Checked(futures::future::join_all(asked).await)
}

impl Checked {
    /// Lines after the plan, and warnings.
    pub(crate) fn show(&self, output: &mut Output) {
        let mut current = 0;
        for CheckedBase { image, pinned, newest, rebuilds } in &self.0 {
            let pinned = pins::short(pinned);
            match newest {
                Newest::Same => current += 1,
                Newest::Pin(new) => output.line(&format!(
                    "behind: {image} pinned {pinned}, the registry has {}; update would rebuild {}",
                    pins::short(new.digest()),
                    human::count(rebuilds.len() as u64, "image")
                )),
                Newest::Gone => {
                    output.note(&format!(
                        "warning: {image} is gone from its registry; it stays pinned to {pinned}"
                    ));
                }
                Newest::RegistryUnavailable(why) => {
                    output.note(&format!("warning: {image} could not be asked for: {}", why.0));
                }
            }
        }
        match self.0.len() {
            0 => output.note("no base is pinned"),
            all if all == current => output.note("every pinned base is what its tag stands for"),
            _ => {}
        }
    }

    /// `[{image, pinned, state, registry?, rebuilds?, cause?}]`.
    pub(crate) fn to_json(&self) -> Value {
        let one = |CheckedBase { image, pinned, newest, rebuilds }: &CheckedBase| {
            let mut value = json!({"image": image, "pinned": pinned});
            match newest {
                Newest::Same => value["state"] = json!("current"),
                Newest::Pin(new) => {
                    value["state"] = json!("behind");
                    value["registry"] = json!(new.digest());
                    value["rebuilds"] = json!(rebuilds);
                }
                Newest::Gone => value["state"] = json!("gone"),
                Newest::RegistryUnavailable(why) => {
                    value["state"] = json!("unknown");
                    value["cause"] = json!(why.0);
                }
            }
            value
        };
        self.0.iter().map(one).collect()
    }
}

/// Writes the lock.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn save(settings: &Settings, lock: &Lock) -> Result<bool, CliError> {
    let path = path(settings);
    pins::save(&path, lock).map_err(|error| {
        CliError::usage(format!("{} cannot be written: {error}", settings.shown(&path).display()))
    })
}
