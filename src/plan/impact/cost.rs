//! What building images again takes, from what the engine lists and from
//! what earlier runs wrote down.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use serde::Serialize;

use super::{Container, SpecFiles};
use crate::engine::{self, Image, ImageIndex};
use crate::model::labels::read::LoginOfUid;
use crate::model::labels::{BASE_DIGEST, BASE_NAME, IMAGE, RECIPE};
use crate::model::names::ImageId;
use crate::model::reference::Reference;
use crate::plan::history::{BuildResult, Record};
use crate::plan::schedule::Schedule;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// An engine's two lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineLists {
    /// The engine's name among engines.
    pub(crate) id: String,
    pub(crate) images: Vec<Image>,
    pub(crate) containers: Vec<engine::Container>,
}

/// What costs are counted from.
pub(crate) struct CostInputs<'a> {
    /// `None`: no engine answered.
    pub(crate) engine: Option<&'a EngineLists>,
    /// Tries of each image, oldest first.
    pub(crate) records: &'a HashMap<NodeId, Vec<Record>>,
    /// So many images are built at once.
    pub(crate) jobs: usize,
    pub(crate) users: LoginOfUid<'a>,
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

/// What costs of a spec's images are read from.
pub(super) struct Costs<'a> {
    stack: &'a SpecFiles<'a>,
    inputs: &'a CostInputs<'a>,
    /// `None`: no engine answered.
    images: Option<ImageIndex<'a>>,
}

impl<'a> Costs<'a> {
    pub(super) fn new(stack: &'a SpecFiles<'a>, inputs: &'a CostInputs<'a>) -> Self {
        Self { stack, inputs, images: inputs.engine.map(|engine| ImageIndex::new(&engine.images)) }
    }

    /// Milliseconds of an image's last build that was not stopped or broken.
    pub(super) fn took(&self, node: NodeId) -> Option<u64> {
        self.last_built(node).map(|(_, record)| record.took_ms)
    }

    fn last_built(&self, node: NodeId) -> Option<(&ImageId, &Record)> {
        self.inputs.records.get(&node)?.iter().rev().find_map(|record| match &record.result {
            BuildResult::Built { id } => Some((id, record)),
            BuildResult::TestFailed { .. } | BuildResult::Failed { .. } => None,
        })
    }

    /// The image there is of a node, and the bytes of its own layers.
    pub(super) fn present(&self, node: NodeId) -> (Option<ImageId>, Option<u64>) {
        let Some(images) = &self.images else { return (None, None) };
        let Some(image) = self.image(images, node) else { return (None, None) };
        let bytes = match self.base(images, node, image) {
            Base::None => Some(image.size),
            Base::Image(parent) => Some(image.size.saturating_sub(parent.size)),
            Base::Gone => None,
        };
        (Some(image.id.clone()), bytes)
    }

    /// The one built last, else the one that a moving tag names.
    fn image(&self, images: &ImageIndex<'a>, node: NodeId) -> Option<&'a Image> {
        let built = self.last_built(node).map(|(id, _)| id);
        let repository = self.stack.graph.node(node).repository.as_ref();
        let rank = |image: &&Image| {
            let mut tags = image.tags.iter().filter(|tag| Some(&tag.repository()) == repository);
            let moving = tags.any(Reference::moves);
            (built == Some(&image.id), moving, image.created, image.id.clone())
        };
        self.images_of(images, node).into_iter().max_by_key(rank)
    }

    /// The engine's images of a node, old ones too.
    fn images_of(&self, images: &ImageIndex<'a>, node: NodeId) -> Vec<&'a Image> {
        let Some(repository) = self.stack.graph.node(node).repository.as_ref() else { return Vec::new() };
        let name = |image: &'a Image| image.labels.get(IMAGE.name).map(String::as_str);
        let all = images.in_repository(repository).iter().copied();
        all.filter(|image| self.stack.graph.node(node).is_named(name(image))).collect()
    }

    /// What an image was built on.
    fn base(&self, images: &ImageIndex<'a>, node: NodeId, image: &Image) -> Base<'a> {
        let label = |key: &str| image.labels.get(key).filter(|value| !value.is_empty());
        let found = match (label(BASE_DIGEST.name), label(BASE_NAME.name)) {
            (Some(digest), _) => images.by_id(digest),
            (None, Some(name)) => Reference::parse(name).ok().and_then(|name| images.by_name(&name)),
            // Not of ours: what the spec says it is based on.
            (None, None) => match self.stack.graph.parents(node).first() {
                None => return Base::None,
                Some(&parent) => match SpecEntry::of(self.stack.spec, self.stack.graph, parent).external() {
                    Some(reference) => images.by_name(reference),
                    None => self.image(images, parent),
                },
            },
        };
        found.map_or(Base::Gone, Base::Image)
    }

    /// Containers on any image of these nodes that the engine still has.
    pub(super) fn containers(&self, nodes: &[NodeId]) -> Option<Vec<Container>> {
        let (engine, images) = (self.inputs.engine?, self.images.as_ref()?);
        let mut left: Vec<&engine::Container> = engine.containers.iter().collect();
        let mut found = Vec::new();
        for &node in nodes {
            let images = self.images_of(images, node);
            let ids: HashSet<&ImageId> = images.iter().map(|image| &image.id).collect();
            let recipes: HashSet<&String> =
                images.iter().filter_map(|image| image.labels.get(RECIPE.name)).collect();
            let on = |container: &engine::Container| {
                let recipe = container.labels.get(RECIPE.name);
                ids.contains(&container.image_id) || recipe.is_some_and(|recipe| recipes.contains(recipe))
            };
            let (on, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|container| on(container));
            left = others;
            found.extend(on.into_iter().map(|container| self.container(node, container)));
        }
        Some(found)
    }

    fn container(&self, node: NodeId, container: &engine::Container) -> Container {
        let owner = container.owner(self.inputs.users);
        Container {
            name: container.name.clone(),
            image: self.stack.graph.node(node).name.clone(),
            owner: owner.map(|owner| owner.to_string()),
            running: container.state.is_running(),
            status: container.status.clone(),
        }
    }
}

/// What lies below an image's own layers.
enum Base<'a> {
    None,
    Image(&'a Image),
    /// The engine no longer has it.
    Gone,
}
