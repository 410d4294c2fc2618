//! What the spec says of a node of the graph.
//!
//! The graph knows names and edges, the spec knows content; this joins them,
//! so that nothing else has to ask what kind of node it has.

use crate::image::packages::{self, Packages};
use crate::model::account::Account;
use crate::model::problem::Place;
use crate::model::reference::Reference;
use crate::spec::graph::{Graph, NodeId, NodeKind};
use crate::spec::{Base, BaseSource, Content, Dockerfile, Image, Project, Spec};

/// A node's entry in the spec.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SpecEntry<'a> {
    Base(&'a Base),
    Image(&'a Image),
    Project(&'a Project),
}

impl<'a> SpecEntry<'a> {
    /// The entry of a node. Spec and graph must belong together.
    pub(crate) fn of(spec: &'a Spec, graph: &Graph, node: NodeId) -> Self {
        let node = graph.node(node);
        match node.kind {
            NodeKind::Base(_) => Self::Base(&spec.bases[node.spec_index]),
            NodeKind::Image(_) => Self::Image(&spec.images[node.spec_index]),
            NodeKind::Project(..) => Self::Project(&spec.projects[node.spec_index]),
        }
    }

    /// Where it stands in the spec.
    pub(crate) fn place(self) -> &'a Place {
        match self {
            Self::Base(base) => &base.place,
            Self::Image(image) => &image.place,
            Self::Project(project) => &project.place,
        }
    }

    /// Its key in the spec.
    pub(crate) fn key(self) -> &'a str {
        match self {
            Self::Base(base) => base.name.as_str(),
            Self::Image(image) => image.name.as_str(),
            Self::Project(project) => project.name.as_str(),
        }
    }

    /// The image behind a base; `None` for what is built here.
    pub(crate) fn external(self) -> Option<&'a Reference> {
        match self {
            Self::Base(base) => Some(base.source.reference()),
            Self::Image(_) | Self::Project(_) => None,
        }
    }

    /// What the catalogue calls a base: framework with version, architecture.
    pub(crate) fn catalogue(self) -> Option<(String, String)> {
        match self {
            Self::Base(Base { source: BaseSource::Catalog { framework, version, arch, .. }, .. }) => {
                Some((format!("{framework}-{version}"), arch.clone()))
            }
            _ => None,
        }
    }

    /// The Dockerfile it is built from.
    pub(crate) fn dockerfile(self) -> Option<&'a Dockerfile> {
        match self {
            Self::Image(Image { content: Content::Dockerfile(dockerfile), .. }) => Some(dockerfile),
            Self::Project(project) => project.dockerfile.as_ref(),
            _ => None,
        }
    }

    /// All declared packages, those that `jupyter: true` stands for included.
    pub(crate) fn packages(self) -> Packages {
        match self {
            Self::Image(Image { content: Content::Packages(packages), .. }) => packages.clone(),
            Self::Project(project) if project.jupyter => {
                project.packages.with_set(&packages::jupyter_packages())
            }
            Self::Project(project) => project.packages.clone(),
            _ => Packages::default(),
        }
    }

    /// Where its packages were written.
    pub(crate) fn origins(self) -> &'a [(String, Place)] {
        match self {
            Self::Image(image) => &image.origins,
            Self::Project(project) => &project.origins,
            Self::Base(_) => &[],
        }
    }

    /// The account to bake in.
    pub(crate) fn account(self) -> Option<&'a Account> {
        match self {
            Self::Project(project) => Some(&project.account),
            _ => None,
        }
    }
}
