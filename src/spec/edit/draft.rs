//! A project file that is not written yet: the whole spec as it would be with
//! it, and what its project is called there.

use std::path::PathBuf;

use crate::spec::files::{Disk, Files, Overlay};
use crate::spec::graph::{Graph, Node, NodeId};
use crate::spec::{Project, Spec, SpecEntry};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text, where it would be, and the spec with it.
pub(crate) struct Draft {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) spec: Spec,
    pub(crate) graph: Graph,
    /// The project's.
    pub(crate) node: NodeId,
}

impl Draft {
    /// What `read` makes of the spec with the text in place. `None`: the text
    /// has no project of that name.
    ///
    /// # Errors
    /// All that would be wrong with it.
    pub(crate) fn read<E>(
        path: PathBuf,
        text: String,
        project: &str,
        read: impl FnOnce(&dyn Files) -> Result<(Spec, Graph), E>,
    ) -> Result<Option<Self>, E> {
        let files = Overlay { under: &Disk, path: path.clone(), text: text.clone() };
        let (spec, graph) = read(&files)?;
        let plain = text.trim_start_matches(BYTE_ORDER_MARK);
        let is_it = |node: &&Node| match SpecEntry::of(&spec, &graph, node.id) {
            SpecEntry::Project(other) => other.name.as_str() == project && other.place.file.text == plain,
            _ => false,
        };
        let node = graph.nodes().find(is_it).map(|node| node.id);
        Ok(node.map(|node| Self { path, text, spec, graph, node }))
    }

    pub(crate) fn project(&self) -> &Project {
        match SpecEntry::of(&self.spec, &self.graph, self.node) {
            SpecEntry::Project(project) => project,
            _ => unreachable!("a draft is of a project"),
        }
    }

    /// Its name among all images: `h-baker/thesis`.
    pub(crate) fn name(&self) -> &str {
        self.graph.node(self.node).name.as_str()
    }

    /// The shortest name that `build` takes.
    pub(crate) fn build_name(&self) -> &str {
        let project = self.project().name.as_str();
        if self.graph.find(project).is_ok() { project } else { self.name() }
    }

    /// The shortest name by which somebody deploys and changes it: their own
    /// comes before those of others.
    pub(crate) fn own_name(&self, uid: u32) -> &str {
        let project = self.project();
        if project.account.uid == uid { project.name.as_str() } else { self.build_name() }
    }
}
