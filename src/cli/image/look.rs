//! What `image list`, `show` and `retire` look at: the engine's lists, the
//! spec as far as it can be read, and a plan that nobody waits long for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::admin::inventory::{ImageFacts, ImageGroup, ImageState, Snapshot};
use crate::cli::load::{self, CliError};
use crate::cli::plan;
use crate::cli::settings::Settings;
use crate::engine::Engine;
use crate::host::people::People;
use crate::model::names::ImageId;
use crate::plan::Selection;
use crate::plan::history::BuildResult;
use crate::spec::graph::NodeId;

/// How long registries and bases are waited for. What is not known by then is
/// shown as such.
const PATIENCE: Duration = Duration::from_secs(5);

/// The engine's two lists, and the spec.
pub(crate) struct Inventory {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) snapshot: Snapshot,
    /// Why there is no spec.
    pub(crate) spec_error: Option<CliError>,
}

impl Inventory {
    /// Reads spec and lists.
    ///
    /// # Errors
    /// The engine's. A spec that is not there or is wrong is no error yet.
    pub(crate) async fn read(settings: &Settings) -> Result<Self, CliError> {
        let (spec, spec_error) = match load::spec(settings) {
            Ok(spec) => (Some(spec), None),
            Err(error) => (None, Some(error)),
        };
        let engine = load::engine(settings).await?;
        let (images, containers) = tokio::join!(engine.images(), engine.containers());
        let caller = settings.caller(spec.as_ref().map(|(spec, _)| spec));
        let people = settings.people.clone();
        let users = Box::new(move |uid| people.by_uid(uid).ok().flatten().map(|person| person.login));
        let snapshot = Snapshot { images: images?, containers: containers?, spec, caller, users };
        Ok(Self { engine, snapshot, spec_error })
    }

    /// What is to be known of these groups, besides the two lists.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) async fn facts(
        &self,
        settings: &Settings,
        groups: &[&ImageGroup<'_>],
    ) -> Result<ImageFacts, CliError> {
        let shown: Vec<ImageId> =
            groups.iter().filter_map(|g| g.images.first()).map(|i| i.id.clone()).collect();
        let nodes: Vec<NodeId> =
            groups.iter().filter_map(|group| Some(self.snapshot.node(&group.key)?.id)).collect();
        let (footprints, states, built) = tokio::join!(
            self.engine.footprints(&shown),
            self.states(settings, &nodes),
            self.built(settings, &nodes),
        );
        #[expect(
            clippy::disallowed_methods,
            reason = "ages are counted from now; the core is given the time"
        )]
        let now = Timestamp::now().as_second();
        Ok(ImageFacts { footprints: footprints?, states, built: built?, now })
    }

    /// What a plan says of these, if it is made in time; else why not.
    async fn states(
        &self,
        settings: &Settings,
        nodes: &[NodeId],
    ) -> Result<HashMap<NodeId, ImageState>, String> {
        let Some((spec, graph)) = &self.snapshot.spec else {
            return Err(self.spec_error.as_ref().map(ToString::to_string).unwrap_or_default());
        };
        let selection = Selection::with_bases(graph, nodes);
        if selection.nodes.is_empty() {
            return Ok(HashMap::new());
        }
        let planned = plan::make(settings, spec, graph, self.engine.as_ref(), &selection);
        let made = tokio::time::timeout(PATIENCE, planned)
            .await
            .map_err(|_| format!("no answer about bases within {} s", PATIENCE.as_secs()))?
            .map_err(|error| error.to_string())?;
        let states = made.nodes.iter().zip(&made.plan.images);
        Ok(states.map(|(node, planned)| (*node, ImageState::of(planned))).collect())
    }

    /// When runs of this user built what is there.
    async fn built(&self, settings: &Settings, nodes: &[NodeId]) -> Result<HashMap<ImageId, i64>, CliError> {
        let Some((_, graph)) = &self.snapshot.spec else { return Ok(HashMap::new()) };
        let records = settings.records(&self.engine.info().await?.id);
        let tries = nodes.iter().filter_map(|node| {
            let node = graph.node(*node);
            Some(records.of(node.repository.as_ref()?, &node.name))
        });
        let built = tries.flatten().filter_map(|record| match record.result {
            BuildResult::Built { id } => Some((id, record.at)),
            BuildResult::TestFailed { .. } | BuildResult::Failed { .. } => None,
        });
        Ok(built.collect())
    }
}
