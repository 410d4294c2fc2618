//! `image …`: people's own images, one file for each command.

mod create;
mod form;
mod list;
mod retire;
mod show;
mod update;
mod write;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::inventory::{ImageFacts, ImageGroup, ImageState, InventoryError, Snapshot};
use crate::cli::args::ImageCommand;
use crate::cli::environment::now;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::plan;
use crate::cli::session::Session;
use crate::engine::Engine;
use crate::host::people::People;
use crate::model::names::ImageId;
use crate::model::problem::Problem;
use crate::plan::Selection;
use crate::plan::history::BuildResult;
use crate::spec::edit::{Draft, EditError};
use crate::spec::graph::NodeId;

/// How long registries and bases are waited for. What is not known by then is
/// shown as such.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(session: &Session, command: &ImageCommand) -> Result<Exit, CliError> {
    match command {
        ImageCommand::Create(args) => create::run(session, args).await,
        ImageCommand::Update(args) => update::run(session, args).await,
        ImageCommand::List(args) => list::run(session, args).await,
        ImageCommand::Show(args) => show::run(session, args).await,
        ImageCommand::Retire(args) => retire::run(session, args).await,
    }
}

/// What `list`, `show` and `retire` read: the engine's lists, and the spec as
/// far as it can be read.
struct Inventory {
    engine: Arc<dyn Engine>,
    snapshot: Snapshot,
    /// Why there is no spec.
    spec_error: Option<CliError>,
}

impl Inventory {
    /// Reads spec and lists.
    ///
    /// # Errors
    /// The engine's. A spec that is not there or is wrong is no error yet.
    async fn read(session: &Session) -> Result<Self, CliError> {
        let (spec, spec_error) = match session.spec() {
            Ok(spec) => (Some(spec), None),
            Err(error) => (None, Some(error)),
        };
        let engine = session.engine().await?;
        let (images, containers) = tokio::join!(engine.images(), engine.containers());
        let caller = session.caller(spec.as_ref().map(|(spec, _)| spec));
        let people = session.people.clone();
        let users = Box::new(move |uid| people.by_uid(uid).ok().flatten().map(|person| person.login));
        let snapshot = Snapshot { images: images?, containers: containers?, spec, caller, users };
        Ok(Self { engine, snapshot, spec_error })
    }

    /// What is to be known of these groups, besides the two lists.
    ///
    /// # Errors
    /// The engine's.
    async fn facts(&self, session: &Session, groups: &[&ImageGroup<'_>]) -> Result<ImageFacts, CliError> {
        let ids: Vec<ImageId> =
            groups.iter().filter_map(|group| Some(group.images.first()?.id.clone())).collect();
        let nodes: Vec<NodeId> =
            groups.iter().filter_map(|group| Some(self.snapshot.node(&group.key)?.id)).collect();
        let (footprints, states, built) = tokio::join!(
            self.engine.footprints(&ids),
            self.states(session, &nodes),
            self.built(session, &nodes),
        );
        let now = now().as_second();
        Ok(ImageFacts { footprints: footprints?, states, built: built?, now })
    }

    /// What a plan says of these, if it is made in time; else why not.
    async fn states(
        &self,
        session: &Session,
        nodes: &[NodeId],
    ) -> Result<HashMap<NodeId, ImageState>, String> {
        let Some((spec, graph)) = &self.snapshot.spec else {
            return Err(self.spec_error.as_ref().map(ToString::to_string).unwrap_or_default());
        };
        let selection = Selection::with_bases(graph, nodes);
        if selection.nodes.is_empty() {
            return Ok(HashMap::new());
        }
        let planned = plan::make(session, spec, graph, self.engine.as_ref(), &selection);
        let planned = tokio::time::timeout(PATIENCE, planned)
            .await
            .map_err(|_| format!("no answer about bases within {} s", PATIENCE.as_secs()))?
            .map_err(|error| error.to_string())?;
        let states = planned.nodes.iter().zip(&planned.plan.images);
        Ok(states.map(|(node, image)| (*node, ImageState::of(image))).collect())
    }

    /// When runs of this user built what is there.
    async fn built(&self, session: &Session, nodes: &[NodeId]) -> Result<HashMap<ImageId, i64>, CliError> {
        let Some((_, graph)) = &self.snapshot.spec else { return Ok(HashMap::new()) };
        let records = session.records(&self.engine.info().await?.id);
        let tries = nodes.iter().flat_map(|node| records.of_node(graph, *node));
        let built = tries.filter_map(|record| match record.result {
            BuildResult::Built { id } => Some((id, record.at)),
            BuildResult::TestFailed { .. } | BuildResult::Failed { .. } => None,
        });
        Ok(built.collect())
    }
}

impl From<InventoryError> for CliError {
    fn from(error: InventoryError) -> Self {
        let problem = Problem::new(error.to_string()).help(error.help());
        match error {
            InventoryError::NotFound { .. } | InventoryError::Ambiguous { .. } => Self::usage(problem),
            _ => Self::refused(problem),
        }
    }
}

impl From<EditError> for CliError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Wrong(problems) => Self::problems(problems),
            EditError::Refused(problem) => Self::refused(problem),
        }
    }
}

/// The spec with a text in the place of a project file.
fn draft(session: &Session, path: PathBuf, text: String, project: &str) -> Result<Draft, CliError> {
    let draft = Draft::read(path, text, project, |files| session.spec_in(files))?;
    draft.ok_or_else(|| CliError::bug(format!("the new file has no project `{project}`")))
}
