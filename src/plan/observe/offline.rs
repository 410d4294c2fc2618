//! What can be known without an engine and without a registry: enough to
//! compare two states of the files, not to plan.

use super::bases::{BaseSeen, Bases, Pinning};
use super::{ANY_PLATFORM, Seen, files, uses};
use crate::dockerfile::context::HashCache;
use crate::engine::EngineInfo;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::spec::Spec;
use crate::spec::graph::Graph;
use crate::spec::pins::{Lock, Pin};

/// Reads the files of all images; a base counts by its pin. Recipes made from this are equal for equal
/// files on any machine, and no image on an engine carries one of them.
///
/// # Errors
/// All that is wrong with the files.
pub(crate) fn offline(
    spec: &Spec,
    graph: &Graph,
    lock: &Lock,
    hashes: &HashCache,
) -> Result<Seen, Vec<Problem>> {
    let dockerfiles = files::read(spec, graph, ANY_PLATFORM, hashes)?;
    let used = uses(spec, graph, graph.order(), &dockerfiles);
    let bases: Bases =
        used.into_iter().map(|(key, each)| (key, standing_for(&each.reference, lock))).collect();
    let engine = EngineInfo { platform: ANY_PLATFORM.into(), ..EngineInfo::default() };
    Ok(Seen { engine, store: Vec::new(), bases, dockerfiles })
}

/// Which image a reference stands for where nobody can be asked: the digest
/// that it names or is pinned to, else what it says.
fn standing_for(reference: &Reference, lock: &Lock) -> BaseSeen {
    let pinned = || lock.get(reference).map(Pin::digest);
    let said = reference.digest().or_else(pinned).map_or_else(|| reference.canonical(), str::to_owned);
    BaseSeen { given: reference.clone(), digest: Some(said), id: None, size: None, pinning: Pinning::Never }
}
