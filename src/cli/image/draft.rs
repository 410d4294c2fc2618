//! A project file that is not written yet: the whole spec as it would be with
//! it, and what would then be built. Shared by `create` and `update`.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::args::{self, BuildArgs, ImageSurroundings};
use crate::cli::error::CliError;
use crate::cli::plan;
use crate::cli::session::Session;
use crate::model::names::ProjectName;
use crate::model::problem::Problem;
use crate::plan::PlannedRun;
use crate::spec::SpecEntry;
use crate::spec::files::{Disk, Overlay};
use crate::spec::graph::{Graph, Node, NodeId};
use crate::spec::{Project, Spec};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text, where it would be, and the spec with it.
pub(super) struct Draft {
    /// Absolute.
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) spec: Spec,
    graph: Graph,
    /// The project's.
    node: NodeId,
}

impl Draft {
    /// Reads the spec as it would be.
    ///
    /// # Errors
    /// All that would be wrong with it.
    pub(super) fn read(
        session: &Session,
        path: PathBuf,
        text: String,
        project: &ProjectName,
    ) -> Result<Self, CliError> {
        let files = Overlay { under: &Disk, path: path.clone(), text: text.clone() };
        let (spec, graph) = session.spec_in(&files)?;
        let is_it = |node: &&Node| match SpecEntry::of(&spec, &graph, node.id) {
            SpecEntry::Project(other) => {
                other.name == *project && other.place.file.text == text.trim_start_matches(BYTE_ORDER_MARK)
            }
            _ => false,
        };
        let node = graph.nodes().find(is_it).map(|node| node.id);
        let node = node.ok_or_else(|| CliError::bug(format!("the new file has no project `{project}`")))?;
        Ok(Self { path, text, spec, graph, node })
    }

    pub(super) fn project(&self) -> &Project {
        match SpecEntry::of(&self.spec, &self.graph, self.node) {
            SpecEntry::Project(project) => project,
            _ => unreachable!("a draft is of a project"),
        }
    }

    /// Its name among all images: `h-baker/thesis`.
    pub(super) fn name(&self) -> &str {
        self.graph.node(self.node).name.as_str()
    }

    /// The shortest name that `build` takes.
    pub(super) fn build_name(&self) -> &str {
        let project = self.project().name.as_str();
        if self.graph.find(project).is_ok() { project } else { self.name() }
    }

    /// The shortest name by which the caller deploys and changes it: their own
    /// comes before those of others.
    pub(super) fn own_name(&self, session: &Session) -> &str {
        let project = self.project();
        if project.account.uid == session.uid { project.name.as_str() } else { self.build_name() }
    }

    /// What would be built; Dockerfiles and contexts are read.
    ///
    /// # Errors
    /// Files, bases or the engine.
    pub(super) async fn plan(
        &self,
        session: &Session,
        around: &ImageSurroundings,
    ) -> Result<PlannedRun, CliError> {
        let engine = session.engine().await?;
        let selection = plan::select_nodes(&self.spec, &self.graph, &[self.node], around.branch.clone());
        plan::make(session, &self.spec, &self.graph, engine.as_ref(), &selection).await
    }

    /// `build` of this image alone.
    pub(super) fn build_args(&self, around: &ImageSurroundings) -> BuildArgs {
        BuildArgs {
            selection: args::Selection {
                images: vec![self.name().to_owned()],
                branch: around.branch.clone(),
                ..args::Selection::default()
            },
            ca_bundle: around.ca_bundle.clone(),
            secrets: around.secrets.clone(),
            ..BuildArgs::default()
        }
    }
}

/// A file that could not be written.
pub(super) fn unwritten(session: &Session, path: &Path, error: &io::Error) -> CliError {
    let problem = Problem::new(format!("{} cannot be written: {error}", session.shown(path).display()));
    CliError::usage(problem.help("--dry-run shows what it would be; somebody with rights can put it there"))
}
