//! What building images again takes, from what the engine lists and from
//! what earlier runs wrote down.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use serde::Serialize;

use super::{Container, Stack};
use crate::engine::{self, Image};
use crate::model::labels::read::Users;
use crate::model::labels::{BASE_DIGEST, BASE_NAME, IMAGE, RECIPE};
use crate::model::names::ImageId;
use crate::model::reference::Reference;
use crate::model::tags;
use crate::plan::records::{Ended, Record};
use crate::plan::schedule::Schedule;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId, NodeKind};

/// An engine's two lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub(crate) images: Vec<Image>,
    pub(crate) containers: Vec<engine::Container>,
}

/// What costs are counted from.
pub(crate) struct Known<'a> {
    /// `None`: no engine told.
    pub(crate) engine: Option<&'a Listed>,
    /// Tries of each image, oldest first.
    pub(crate) records: &'a HashMap<NodeId, Vec<Record>>,
    /// So many images are built at once.
    pub(crate) jobs: usize,
    pub(crate) users: Users<'a>,
}

/// How long it takes, counted from images that were built before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Time {
    /// One after the other.
    pub(crate) sum_ms: u64,
    /// With `jobs` at once, parents first.
    pub(crate) wall_ms: u64,
    pub(crate) jobs: usize,
    /// Images of which no time is known; they count as nothing.
    pub(crate) unknown: usize,
}

/// Plays the builds through as a run would start them.
pub(super) fn time(graph: &Graph, nodes: &[NodeId], took: &[Option<u64>], jobs: usize) -> Time {
    let at: HashMap<NodeId, usize> = nodes.iter().enumerate().map(|(at, node)| (*node, at)).collect();
    let parents: Vec<Vec<usize>> = nodes
        .iter()
        .map(|node| graph.parents(*node).iter().filter_map(|parent| at.get(parent).copied()).collect())
        .collect();
    let cost: Vec<u64> = took.iter().map(|took| took.unwrap_or(0)).collect();
    let mut schedule = Schedule::new(parents, &cost, jobs);
    let (mut now, mut running) = (0, BinaryHeap::new());
    loop {
        while let Some(next) = schedule.take() {
            running.push(Reverse((now + cost[next], next)));
        }
        let Some(Reverse((end, ended))) = running.pop() else { break };
        now = end;
        schedule.done(ended);
    }
    let unknown = took.iter().filter(|took| took.is_none()).count();
    Time { sum_ms: cost.iter().sum(), wall_ms: now, jobs, unknown }
}

impl Known<'_> {
    /// Milliseconds of an image's last build that was not stopped or broken.
    pub(super) fn took(&self, node: NodeId) -> Option<u64> {
        self.last_built(node).map(|(_, record)| record.took_ms)
    }

    fn last_built(&self, node: NodeId) -> Option<(&ImageId, &Record)> {
        self.records.get(&node)?.iter().rev().find_map(|record| match &record.ended {
            Ended::Built { id } => Some((id, record)),
            Ended::TestFailed { .. } | Ended::Failed { .. } => None,
        })
    }

    /// The image there is of a node, and the bytes of its own layers.
    pub(super) fn present(&self, stack: &Stack<'_>, node: NodeId) -> (Option<ImageId>, Option<u64>) {
        let Some(listed) = self.engine else { return (None, None) };
        let Some(image) = self.image(stack, listed, node) else { return (None, None) };
        let bytes = match self.below(stack, listed, node, image) {
            Below::Nothing => Some(image.size),
            Below::Image(parent) => Some(image.size.saturating_sub(parent.size)),
            Below::Gone => None,
        };
        (Some(image.id.clone()), bytes)
    }

    /// The one built last, else the one that a moving tag stands on.
    fn image<'l>(&self, stack: &Stack<'_>, listed: &'l Listed, node: NodeId) -> Option<&'l Image> {
        let built = self.last_built(node).map(|(id, _)| id);
        let repository = stack.graph.node(node).repository.as_ref();
        let rank = |image: &&Image| {
            let mut tags = image.tags.iter().filter(|tag| Some(&tag.repository()) == repository);
            let moving = tags.any(|tag| tag.tag().is_some_and(|tag| !tags::is_content_tag(tag)));
            (built == Some(&image.id), moving, image.created, image.id.clone())
        };
        images(stack, listed, node).max_by_key(rank)
    }

    /// What an image was built on.
    fn below<'l>(&self, stack: &Stack<'_>, listed: &'l Listed, node: NodeId, image: &Image) -> Below<'l> {
        let label = |key: &str| image.labels.get(key).filter(|value| !value.is_empty());
        let (digest, name) = (label(BASE_DIGEST.name), label(BASE_NAME.name));
        let is = |other: &&Image| match (digest, name) {
            (Some(digest), _) => {
                other.id.as_str() == digest || other.digests.iter().any(|d| d.digest() == Some(digest))
            }
            (None, Some(name)) => other.tags.iter().any(|tag| tag.to_string() == *name),
            (None, None) => false,
        };
        if digest.is_some() || name.is_some() {
            return listed.images.iter().find(is).map_or(Below::Gone, Below::Image);
        }
        // Not of ours: what the spec says it stands on.
        match stack.graph.parents(node).first() {
            None => Below::Nothing,
            Some(&parent) => match SpecEntry::of(stack.spec, stack.graph, parent).external() {
                Some(reference) => tagged(listed, reference),
                None => self.image(stack, listed, parent),
            }
            .map_or(Below::Gone, Below::Image),
        }
    }

    /// Containers on any image of these nodes that the engine still has.
    pub(super) fn containers(&self, stack: &Stack<'_>, nodes: &[NodeId]) -> Option<Vec<Container>> {
        let listed = self.engine?;
        let mut left: Vec<&engine::Container> = listed.containers.iter().collect();
        let mut found = Vec::new();
        for &node in nodes {
            let images: Vec<&Image> = images(stack, listed, node).collect();
            let ids: HashSet<&ImageId> = images.iter().map(|image| &image.id).collect();
            let recipes: HashSet<&String> =
                images.iter().filter_map(|image| image.labels.get(RECIPE.name)).collect();
            let on = |container: &engine::Container| {
                let recipe = container.labels.get(RECIPE.name);
                ids.contains(&container.image_id) || recipe.is_some_and(|recipe| recipes.contains(recipe))
            };
            let (on, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|container| on(container));
            left = others;
            found.extend(on.into_iter().map(|container| self.container(stack, node, container)));
        }
        Some(found)
    }

    fn container(&self, stack: &Stack<'_>, node: NodeId, container: &engine::Container) -> Container {
        let owner = container.owner(self.users);
        Container {
            name: container.name.clone(),
            image: stack.graph.node(node).name.clone(),
            owner: owner.map(|owner| owner.to_string()),
            running: container.state.is_running(),
            status: container.status.clone(),
        }
    }
}

/// What lies below an image's own layers.
enum Below<'l> {
    Nothing,
    Image(&'l Image),
    /// The engine no longer has it.
    Gone,
}

/// The engine's images of a node, old ones too.
fn images<'l>(stack: &Stack<'_>, listed: &'l Listed, node: NodeId) -> impl Iterator<Item = &'l Image> {
    let repository = stack.graph.node(node).repository.as_ref();
    listed.images.iter().filter(move |image| {
        let named = image.tags.iter().any(|tag| Some(&tag.repository()) == repository);
        named && is_named(stack, node, image.labels.get(IMAGE.name).map(String::as_str))
    })
}

/// Whether a name that was written into an image is this node's. One without
/// a name is no plan variant; a project has its repository to itself.
fn is_named(stack: &Stack<'_>, node: NodeId, name: Option<&str>) -> bool {
    let node = stack.graph.node(node);
    match (&node.kind, name) {
        (NodeKind::Project(..), _) => true,
        (_, Some(name)) => name == node.name.as_str(),
        (_, None) => node.plan.is_none(),
    }
}

fn tagged<'l>(listed: &'l Listed, reference: &Reference) -> Option<&'l Image> {
    let names = |image: &'l Image| image.tags.iter().chain(&image.digests);
    let stored = match reference.digest() {
        Some(digest) => reference.repository().with_digest(digest),
        None => reference.clone(),
    };
    listed.images.iter().find(|image| names(image).any(|name| name.canonical() == stored.canonical()))
}
