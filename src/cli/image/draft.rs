//! A project file that is not written yet: the whole spec as it would be with
//! it, and what would then be built. Shared by `create` and `update`.

use std::path::PathBuf;

use crate::cli::args::{self, BuildArgs, ImageSurroundings};
use crate::cli::load::{self, CliError};
use crate::cli::plan;
use crate::cli::settings::Settings;
use crate::model::names::ProjectName;
use crate::model::problem::Problem;
use crate::plan::PlannedRun;
use crate::spec::SpecEntry;
use crate::spec::files::{Disk, Overlay};
use crate::spec::graph::{Graph, NodeId};
use crate::spec::{Project, Spec};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text and where it would stand.
pub(crate) struct Draft {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// The spec with the draft in it.
pub(crate) struct Checked {
    pub(crate) spec: Spec,
    pub(crate) graph: Graph,
    /// The project's.
    pub(crate) node: NodeId,
}

impl Draft {
    /// Reads the spec as it would be.
    ///
    /// # Errors
    /// All that would be wrong with it.
    pub(crate) fn check(&self, settings: &Settings, project: &ProjectName) -> Result<Checked, CliError> {
        let files = Overlay { under: &Disk, path: self.path.clone(), text: self.text.clone() };
        let (spec, graph) = load::spec_in(settings, &files)?;
        let is_it = |node: &&crate::spec::graph::Node| match SpecEntry::of(&spec, &graph, node.id) {
            SpecEntry::Project(found) => {
                found.name == *project
                    && found.place.file.text == self.text.trim_start_matches(BYTE_ORDER_MARK)
            }
            _ => false,
        };
        let node = graph.nodes().find(is_it).map(|node| node.id);
        let node = node.ok_or_else(|| CliError::bug(format!("the new file has no project `{project}`")))?;
        Ok(Checked { spec, graph, node })
    }
}

impl Checked {
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

    /// The shortest name by which the caller deploys and changes it: their own
    /// comes before those of others.
    pub(crate) fn own_name(&self, settings: &Settings) -> &str {
        let project = self.project();
        if project.account.uid == settings.uid { project.name.as_str() } else { self.build_name() }
    }

    /// What would be built; Dockerfiles and contexts are looked at.
    ///
    /// # Errors
    /// Files, bases or the engine.
    pub(crate) async fn plan(
        &self,
        settings: &Settings,
        around: &ImageSurroundings,
    ) -> Result<PlannedRun, CliError> {
        let engine = load::engine(settings).await?;
        let selection = build_args(self.name(), around).selection;
        let selected = plan::select_of(&self.spec, &self.graph, &selection, None)?;
        plan::make(settings, &self.spec, &self.graph, engine.as_ref(), &selected.selection).await
    }
}

/// `build` of one image.
pub(crate) fn build_args(image: &str, around: &ImageSurroundings) -> BuildArgs {
    BuildArgs {
        selection: args::Selection {
            images: vec![image.to_owned()],
            branch: around.branch.clone(),
            ..args::Selection::default()
        },
        ca_bundle: around.ca_bundle.clone(),
        secrets: around.secrets.clone(),
        ..BuildArgs::default()
    }
}

/// A file that could not be written.
pub(crate) fn unwritten(settings: &Settings, path: &std::path::Path, error: &std::io::Error) -> CliError {
    let problem = Problem::new(format!("{} cannot be written: {error}", settings.shown(path).display()));
    CliError::usage(problem.help("--dry-run shows what it would be; somebody with rights can put it there"))
}
