//! External images: which content a reference stands for now.
//!
//! The engine's own store answers first; only what it lacks is asked from
//! where the engine would pull.

use std::collections::{BTreeMap, HashMap};

use super::{DockerfileSeen, Error};
use crate::engine::{Engine, Image};
use crate::graph::{Graph, NodeId};
use crate::names::ImageId;
use crate::problem::{Place, Problem};
use crate::recipe::BaseIdentity;
use crate::reference::Reference;
use crate::spec::Spec;
use crate::subject::Subject;

/// External images by their long reference.
pub type Bases = BTreeMap<String, BaseSeen>;

/// An external image, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseSeen {
    /// What to build on: with the digest, where it has to be pulled.
    pub given: Reference,
    /// The manifest's digest, for one that a registry knows.
    pub digest: Option<String>,
    /// The engine's, for one that is in its store. One of the two is there.
    pub id: Option<ImageId>,
    /// Bytes in the engine's store; `None`: not there.
    pub size: Option<u64>,
}

impl BaseSeen {
    /// The manifest digest, else the local image ID, as labels tell it.
    pub fn digest_or_id(&self) -> String {
        let id = || self.id.as_ref().map(ToString::to_string);
        self.digest.clone().or_else(id).unwrap_or_default()
    }

    /// What the recipe counts: the manifest digest, else the local image ID.
    pub fn identity(&self) -> BaseIdentity {
        match (&self.digest, &self.id) {
            (Some(digest), _) => BaseIdentity::ManifestDigest(digest.clone()),
            (None, Some(id)) => BaseIdentity::LocalImageId(id.clone()),
            (None, None) => unreachable!("a base that was found has a digest or an id"),
        }
    }
}

/// Looks for every external image that `wanted` or what they stand on needs.
pub(super) async fn look(
    spec: &Spec,
    graph: &Graph,
    wanted: &[NodeId],
    dockerfiles: &HashMap<NodeId, DockerfileSeen>,
    store: &[Image],
    engine: &dyn Engine,
) -> Result<Bases, Error> {
    let needed = needed(spec, graph, wanted, dockerfiles);
    let by_tag: HashMap<String, &Image> = store
        .iter()
        .flat_map(|image| image.tags.iter().chain(&image.digests).map(move |t| (t.canonical(), image)))
        .collect();
    let found = needed.values().map(|(reference, place)| {
        let local = by_tag.get(&stored_name(reference)).copied();
        async move {
            match local {
                Some(image) => Ok(in_store(reference, image)),
                None => elsewhere(reference, place, engine).await,
            }
        }
    });
    let found = futures::future::join_all(found).await;
    let (mut bases, mut problems) = (Bases::new(), Vec::new());
    for (key, seen) in needed.keys().zip(found) {
        match seen {
            Ok(seen) => {
                bases.insert(key.clone(), seen);
            }
            Err(Error::Bases(more)) => problems.extend(more),
            Err(error) => return Err(error),
        }
    }
    if problems.is_empty() { Ok(bases) } else { Err(Error::Bases(problems)) }
}

/// References that are not built here, each once, with where it is named.
fn needed(
    spec: &Spec,
    graph: &Graph,
    wanted: &[NodeId],
    dockerfiles: &HashMap<NodeId, DockerfileSeen>,
) -> BTreeMap<String, (Reference, Place)> {
    let mut needed = BTreeMap::new();
    for &node in wanted {
        for &parent in graph.parents(node) {
            let parent = Subject::of(spec, graph, parent);
            if let Some(external) = parent.external() {
                needed.insert(external.canonical(), (external.clone(), parent.place().clone()));
            }
        }
        for image in dockerfiles.get(&node).into_iter().flat_map(|d| &d.external) {
            needed.insert(image.reference.canonical(), (image.reference.clone(), image.place.clone()));
        }
    }
    needed
}

/// How an engine lists it: a pinned one by its digest, without the tag.
fn stored_name(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => reference.repository().with_digest(digest).canonical(),
        None => reference.canonical(),
    }
}

fn in_store(reference: &Reference, image: &Image) -> BaseSeen {
    let repository = reference.repository();
    let known = || image.digests.iter().find(|d| d.repository() == repository)?.digest();
    let digest = reference.digest().or_else(known);
    BaseSeen {
        given: reference.clone(),
        digest: digest.map(str::to_owned),
        id: Some(image.id.clone()),
        size: Some(image.size),
    }
}

async fn elsewhere(reference: &Reference, place: &Place, engine: &dyn Engine) -> Result<BaseSeen, Error> {
    let problem = |message: String| {
        Error::Bases(vec![
            Problem::new(message)
                .at(place)
                .help("pull it, import it, or stand another image in with --base NAME=REF"),
        ])
    };
    match engine.resolve(reference).await {
        Ok(Some(digest)) => {
            Ok(BaseSeen { given: reference.pinned(&digest), digest: Some(digest), id: None, size: None })
        }
        Ok(None) => {
            Err(problem(format!("the image {reference} is neither on the engine nor in its registry")))
        }
        Err(crate::engine::Error::Refused { message, .. }) => Err(problem(format!(
            "the image {reference} is not on the engine, and its registry could not be asked: {message}"
        ))),
        Err(error) => Err(error.into()),
    }
}
