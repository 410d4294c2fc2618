//! The pins of external images against what registries say: which are behind,
//! which are missing, and what is pinned for the first time.

use std::io;
use std::path::Path;

use futures::future::join_all;
use serde_json::{Value, json};

use super::observe::{self, BaseSnapshot, Pinning, Snapshot};
use super::run::{Context, Error, PlannedRun, plan, plan_snapshot};
use super::selection::Selection;
use crate::engine::Engine;
use crate::model::digest;
use crate::model::human;
use crate::model::names::NodeName;
use crate::model::reference::Reference;
use crate::registry::{self, Registry};
use crate::spec::graph::NodeId;
use crate::spec::lock_file::{self, Lock, Pin, Pins};

/// Why a registry could not be asked, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistryUnavailable(pub(crate) String);

/// What a registry says of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Newest {
    /// The pin is what the tag stands for.
    Same,
    /// The tag stands for this; the pin is behind, or there is none yet, or it
    /// lacks a platform.
    Pin(Pin),
    /// The registry has no such tag.
    Gone,
    RegistryUnavailable(RegistryUnavailable),
}

/// The manifest digest a reference stands for. Where our own question leads
/// nowhere, the engine is asked: it may know a mirror, or another way.
///
/// # Errors
/// Neither of us could ask.
pub(crate) async fn digest_of(
    reference: &Reference,
    registry: &dyn Registry,
    engine: Option<&dyn Engine>,
) -> Result<Option<String>, RegistryUnavailable> {
    let ours = registry.digest(reference).await;
    if let Ok(Some(digest)) = ours {
        return Ok(Some(digest));
    }
    let Some(engine) = engine else { return ours.map_err(|error| unavailable(&error)) };
    match (ours, engine.resolve(reference).await) {
        (_, Ok(found)) => Ok(found),
        (Ok(_), Err(_)) => Ok(None),
        (Err(error), Err(_)) => Err(unavailable(&error)),
    }
}

fn unavailable(error: &registry::Error) -> RegistryUnavailable {
    let help = error.help().map(|help| format!(" ({help})"));
    RegistryUnavailable(format!("{error}{}", help.unwrap_or_default()))
}

/// Compares a pin with what its tag stands for. Of an index, the manifests of
/// the platforms that the pin knows are compared, and `platform` is recorded
/// too; no layer is fetched.
pub(crate) async fn newest(
    reference: &Reference,
    pin: Option<&Pin>,
    platform: Option<&str>,
    registry: &dyn Registry,
    engine: Option<&dyn Engine>,
) -> Newest {
    let digest = match digest_of(reference, registry, engine).await {
        Ok(Some(digest)) => digest,
        Ok(None) => return Newest::Gone,
        Err(why) => return Newest::RegistryUnavailable(why),
    };
    let known = |platform: &str| pin.is_some_and(|pin| pin.platforms().contains_key(platform));
    if pin.is_some_and(|pin| pin.digest() == digest) && platform.is_none_or(known) {
        return Newest::Same;
    }
    let recorded = pin.iter().flat_map(|pin| pin.platforms().keys()).map(String::as_str);
    let more = platform.filter(|platform| !known(platform));
    let platforms: Vec<&str> = recorded.chain(more).collect();
    match described(reference, &digest, &platforms, registry).await {
        None => Newest::RegistryUnavailable(RegistryUnavailable(format!(
            "`{digest}` is no digest that can be pinned"
        ))),
        Some(new) => match pin {
            Some(pin) if *pin == new => Newest::Same,
            // Only images for others have changed.
            Some(pin) if pin.digest() != new.digest() && more.is_none() && pin.gives_the_same_as(&new) => {
                Newest::Same
            }
            _ => Newest::Pin(new),
        },
    }
}

/// A pin to a digest, with the manifests of platforms as far as they can be
/// told.
pub(crate) async fn described(
    reference: &Reference,
    digest: &str,
    platforms: &[&str],
    registry: &dyn Registry,
) -> Option<Pin> {
    let index = reference.repository().with_digest(digest);
    let ask = |platform| registry.image(&index, platform);
    let answers = join_all(platforms.iter().copied().map(ask)).await;
    let answers = platforms.iter().zip(answers);
    answers.fold(Pin::new(digest), |pin, (platform, answer)| match answer {
        Ok(Some(image)) => pin.map(|pin| pin.with_platform(platform, &image.manifest)),
        _ => pin,
    })
}

/// A plan for which all that was found without a pin got one, so that it holds
/// also where a tag moves meanwhile. Nothing is written before there is one.
#[derive(Debug)]
pub(crate) struct PinnedPlan {
    pub(crate) planned: PlannedRun,
    /// Not in `spec.lock` yet.
    new: Vec<(Reference, Pin)>,
    /// What it was made with.
    lock: Lock,
}

/// Pins that were not in `spec.lock` before.
#[derive(Debug)]
pub(crate) struct NewPins {
    pub(super) count: usize,
    /// Whether `spec.lock` was written, or why it could not be.
    pub(super) saved: io::Result<bool>,
}

impl NewPins {
    /// For people: what became of the lock at `path`.
    pub(crate) fn note(&self, path: &Path) -> Option<String> {
        let path = path.display();
        match &self.saved {
            Ok(true) => Some(format!("{path}: {} pinned", human::count(self.count, "base"))),
            Ok(false) => None,
            Err(error) => Some(format!(
                "warning: {path} cannot be written, so what tags stand for is not kept: {error}"
            )),
        }
    }
}

impl Snapshot {
    /// Says where a pin was followed and the engine's tag was not.
    pub(crate) fn moved_tags(&self) -> Vec<String> {
        let moved = |(reference, base): (Reference, &BaseSnapshot)| {
            let Pinning::Pinned { tag_is: Some(is) } = &base.pinning else { return None };
            let (digest, is) = (digest::short(base.digest.as_deref()?), digest::short(is));
            Some(format!("{reference} is pinned to {digest}; the engine's tag is at {is}"))
        };
        self.bases().filter_map(moved).collect()
    }

    /// Says how many bases a build would pin.
    pub(crate) fn unpinned(&self) -> Option<String> {
        let count = self.bases.values().filter(|base| base.pinning == Pinning::NotYet).count();
        let bases = human::count(count, "base") + if count == 1 { " is" } else { " are" };
        (count > 0).then(|| format!("{bases} not pinned yet: `build` writes spec.lock, and so does `update`"))
    }
}

impl PinnedPlan {
    /// Observes, pins and decides; writes nothing.
    ///
    /// # Errors
    /// As [`plan`].
    pub(crate) async fn make(context: &Context<'_>, selection: &Selection) -> Result<Self, Error> {
        let snapshot = observe::observe(context, &selection.nodes).await?;
        let new = missing(&snapshot, context.registry).await;
        let lock = with(context.pins.lock.clone(), &new);
        let planned = if new.is_empty() {
            plan_snapshot(context, selection, snapshot).await?
        } else {
            plan_with(context, selection, &lock).await?
        };
        Ok(Self { planned, new, lock })
    }

    /// Adds the new pins to the lock at `path`, and gives the plan that holds
    /// then. `shown`: the path as people know it. `None`: nothing was new.
    ///
    /// # Errors
    /// The lock has been broken meanwhile; or as [`plan`], where the file that
    /// was written makes another plan necessary.
    pub(crate) async fn write(
        self,
        context: &Context<'_>,
        selection: &Selection,
        path: &Path,
        shown: &Path,
    ) -> Result<(PlannedRun, Option<NewPins>), Error> {
        if self.new.is_empty() {
            return Ok((self.planned, None));
        }
        // Another run may have pinned more, or the same, meanwhile.
        let lock = with(lock_file::load(path, shown).map_err(Error::Problems)?, &self.new);
        let pins = NewPins { count: self.new.len(), saved: lock_file::save(path, &lock) };
        let dockerfiles = &self.planned.snapshot.dockerfiles;
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        // What was hashed is older than this file, if some image reads it.
        let is_read = matches!(pins.saved, Ok(true))
            && dockerfiles.values().any(|read| place.starts_with(&read.context.root));
        let planned = if lock == self.lock && !is_read {
            self.planned
        } else {
            plan_with(context, selection, &lock).await?
        };
        Ok((planned, Some(pins)))
    }
}

async fn plan_with(context: &Context<'_>, selection: &Selection, lock: &Lock) -> Result<PlannedRun, Error> {
    let pins = Pins { lock: lock.clone(), ..context.pins.clone() };
    plan(&Context { pins: &pins, ..context.clone() }, selection).await
}

/// A lock with these pins where it has none.
fn with(mut lock: Lock, new: &[(Reference, Pin)]) -> Lock {
    for (name, pin) in new {
        if lock.get(name).is_none() {
            lock.set(name, pin.clone());
        }
    }
    lock
}

/// The pins of what was found without one.
async fn missing(snapshot: &Snapshot, registry: &dyn Registry) -> Vec<(Reference, Pin)> {
    let platform = snapshot.engine.platform.as_str();
    let unpinned =
        snapshot.bases().filter(|(_, base)| matches!(base.pinning, Pinning::NotYet | Pinning::Perhaps));
    let found = unpinned.map(|(name, base)| async move {
        let pin = found(&name, base, platform, registry).await?;
        Some((name, pin))
    });
    join_all(found).await.into_iter().flatten().collect()
}

/// The pin to what was found; nothing where it may be the engine's own.
async fn found(
    reference: &Reference,
    base: &BaseSnapshot,
    platform: &str,
    registry: &dyn Registry,
) -> Option<Pin> {
    let digest = base.digest.as_deref()?;
    let known = reference.repository().with_digest(digest);
    match (&base.pinning, &base.id) {
        (Pinning::Perhaps, _) if !matches!(registry.digest(&known).await, Ok(Some(_))) => None,
        // It came from a registry or went to one: nobody need be asked.
        (Pinning::NotYet, Some(_)) => Pin::new(digest),
        _ => described(reference, digest, &[platform], registry).await,
    }
}

/// What a registry says of a pinned base.
pub(crate) struct BaseCheck {
    image: String,
    pinned: String,
    newest: Newest,
    /// What a move would rebuild.
    rebuilds: Vec<NodeName>,
}

impl BaseCheck {
    /// Says that it is behind, and what a move would rebuild.
    pub(crate) fn behind(&self) -> Option<String> {
        let Newest::Pin(new) = &self.newest else { return None };
        let (pinned, new) = (digest::short(&self.pinned), digest::short(new.digest()));
        let images = human::count(self.rebuilds.len(), "image");
        let image = &self.image;
        Some(format!(
            "behind: {image} pinned {pinned}, the registry has {new}; update would rebuild {images}"
        ))
    }

    /// Says that nothing is known of it.
    pub(crate) fn warning(&self) -> Option<String> {
        let (image, pinned) = (&self.image, digest::short(&self.pinned));
        match &self.newest {
            Newest::Same | Newest::Pin(_) => None,
            Newest::Gone => {
                Some(format!("warning: {image} is gone from its registry; it stays pinned to {pinned}"))
            }
            Newest::RegistryUnavailable(why) => {
                Some(format!("warning: {image} could not be asked for: {}", why.0))
            }
        }
    }

    /// What there is to say of all of them.
    pub(crate) fn summary(all: &[Self]) -> Option<&'static str> {
        match all {
            [] => Some("no base is pinned"),
            _ if all.iter().all(|check| check.newest == Newest::Same) => {
                Some("every pinned base is what its tag stands for")
            }
            _ => None,
        }
    }

    /// `{image, pinned, state, registry?, rebuilds?, cause?}`.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({"image": self.image, "pinned": self.pinned});
        let state = match &self.newest {
            Newest::Same => "current",
            Newest::Pin(new) => {
                value["registry"] = json!(new.digest());
                value["rebuilds"] = json!(self.rebuilds);
                "behind"
            }
            Newest::Gone => "gone",
            Newest::RegistryUnavailable(why) => {
                value["cause"] = json!(why.0);
                "unknown"
            }
        };
        value["state"] = json!(state);
        value
    }
}

/// Asks for every pinned base of `wanted`, all at once.
pub(crate) async fn check(context: &Context<'_>, snapshot: &Snapshot, wanted: &[NodeId]) -> Vec<BaseCheck> {
    let Context { spec, graph, engine, registry, pins, .. } = *context;
    let external = observe::external_images(spec, graph, wanted, &snapshot.dockerfiles);
    let pinned = external.values().filter_map(|image| Some((image, pins.of(&image.reference)?)));
    let asked = pinned.map(|(image, pin)| async move {
        let affected = image.affects(graph).into_iter().filter(|node| wanted.contains(node));
        BaseCheck {
            image: image.reference.to_string(),
            pinned: pin.digest().to_owned(),
            newest: newest(&image.reference, Some(pin), None, registry, Some(engine)).await,
            rebuilds: affected.map(|node| graph.node(node).name.clone()).collect(),
        }
    });
    join_all(asked).await
}
