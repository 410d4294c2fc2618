//! Images as people have them: a list of them, one in full, and what may be
//! removed.
//!
//! An engine has tags and labels; here they are brought together with what
//! the spec says. Whose an image is follows from its name before its labels:
//! anybody who builds on an image inherits what it is labelled with. Images
//! of the systems before this one are known by their labels and by names that
//! end in `._.<uid>`. Pure but for two functions of [`retire`], which decide nothing.

mod groups;
pub(crate) mod retire;
mod show;
pub(crate) mod summary;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;

use crate::engine::{Container, Footprint, Image, ImageDetail};
use crate::host::people::Caller;
use crate::model::labels;
use crate::model::names::{ImageId, Login, NodeName};
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::{Project, Spec};
pub(crate) use groups::{GroupKey, ImageGroup, find, groups, owner_without_spec};
pub(crate) use show::inspect;
pub(crate) use summary::{ContainerUse, ImageState, ImageSummary, summarize};

/// The lists of an engine at one moment, the spec, and who asks.
pub(crate) struct Snapshot {
    pub(crate) images: Vec<Image>,
    pub(crate) containers: Vec<Container>,
    /// `None`: there is no spec, or it cannot be read.
    pub(crate) spec: Option<(Spec, Graph)>,
    pub(crate) caller: Caller,
    /// Logins by uid.
    pub(crate) users: Box<dyn Fn(u32) -> Option<Login>>,
}

impl Snapshot {
    /// The node that a group's images are built for, if the spec has one.
    pub(crate) fn node(&self, key: &GroupKey) -> Option<SpecNode<'_>> {
        let (GroupKey::Node(id), Some((spec, graph))) = (key, &self.spec) else { return None };
        Some(SpecNode { spec, graph, id: *id })
    }
}

/// A node with the spec that has it.
#[derive(Clone, Copy)]
pub(crate) struct SpecNode<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    pub(crate) id: NodeId,
}

impl<'a> SpecNode<'a> {
    pub(crate) fn name(self) -> &'a NodeName {
        &self.graph.node(self.id).name
    }

    pub(crate) fn entry(self) -> SpecEntry<'a> {
        SpecEntry::of(self.spec, self.graph, self.id)
    }

    /// What it is built from first.
    pub(crate) fn parent(self) -> Option<Self> {
        self.graph.parents(self.id).first().map(|id| Self { id: *id, ..self })
    }
}

/// What is measured and looked up for the images that are shown.
pub(crate) struct ImageFacts {
    pub(crate) footprints: HashMap<ImageId, Footprint>,
    /// When an image was built, by what this user's runs wrote down.
    pub(crate) built: HashMap<ImageId, i64>,
    /// What a plan says of the images of the spec; else why there is none.
    pub(crate) states: Result<HashMap<NodeId, ImageState>, String>,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

/// What an image is called where no spec is at hand: a tag, one that moves
/// before one that does not, else its id, cut.
pub(crate) fn display_name(image: &Image) -> String {
    let tag = image.tags.iter().find(|tag| tag.moves()).or(image.tags.first());
    tag.map_or_else(|| image.id.short().to_owned(), ToString::to_string)
}

/// The containers that run another image of a project than `latest`; one that
/// is just of the same recipe, built once more, counts as the same.
pub(crate) fn running_old_image<'a>(
    project: &Project,
    latest: &ImageDetail,
    containers: &'a [Container],
) -> impl Iterator<Item = &'a Container> {
    let recipe = |labels: &labels::write::Labels| labels.get(labels::RECIPE.name).cloned();
    let latest_recipe = recipe(&latest.labels);
    let same = move |container: &Container| {
        container.image_id == latest.id
            || latest_recipe.is_some() && recipe(&container.labels) == latest_recipe
    };
    let (uid, name) = (project.account.uid, project.name.clone());
    containers.iter().filter(move |container| {
        is_of_project(container, uid, name.as_str()) && container.state.is_running() && !same(container)
    })
}

/// Whether a container was deployed from a person's project.
pub(crate) fn is_of_project(container: &Container, uid: u32, project: &str) -> bool {
    container.uid() == Some(uid) && container.project() == project
}

/// Why there is no such image, or why it is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InventoryError {
    #[error("there is no image `{name}`")]
    NotFound { name: String, near: Option<String> },
    #[error("`{name}` is the name of several images: {}", names.join(", "))]
    Ambiguous { name: String, names: Vec<String> },
    #[error("`{name}` is a shared image")]
    Shared { name: String },
    #[error("image `{name}` belongs to {}", owner.as_deref().unwrap_or("nobody known"))]
    NotYours { name: String, owner: Option<String> },
    #[error("containers are on `{name}`: {}", containers.join(", "))]
    InUse { name: String, containers: Vec<String> },
    #[error("other images are based on `{name}`: {}", images.join(", "))]
    HasChildren { name: String, images: Vec<String> },
    #[error("{}: {why}", file.display())]
    EntryUnclear { file: PathBuf, why: String },
    #[error("{} cannot be changed: {cause}", file.display())]
    FileReadOnly { file: PathBuf, cause: String },
}

impl InventoryError {
    /// What to do.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::NotFound { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::NotFound { near: None, .. } => {
                "`ds01-build image list` shows yours, with --all everybody's".into()
            }
            Self::Ambiguous { .. } => "say the whole name, as `ds01-build image list --all` shows it".into(),
            Self::Shared { .. } => {
                "take it out of the spec, if nothing is based on it; its image goes with `docker image rm`"
                    .into()
            }
            Self::NotYours { .. } => "ask its owner or an administrator".into(),
            Self::InUse { containers, .. } => {
                let commands =
                    containers.iter().map(|name| format!("`ds01-build container retire '{name}'`"));
                format!("retire them first: {}", commands.collect::<Vec<_>>().join(", "))
            }
            Self::HasChildren { .. } => "remove those first".into(),
            Self::EntryUnclear { .. } => "take the entry out by hand, or say --keep-spec".into(),
            Self::FileReadOnly { .. } => {
                "somebody with rights can take the entry out; --keep-spec removes the image alone".into()
            }
        }
    }
}
