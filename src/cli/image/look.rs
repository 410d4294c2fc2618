//! What `image list`, `show` and `retire` look at: the engine's lists, the
//! spec as far as it can be read, and a plan that nobody waits long for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::admin::inventory::{Group, Key, Known, Looked, Stack, State, Verdicts};
use crate::cli::load::{self, CliError};
use crate::cli::plan;
use crate::cli::settings::Settings;
use crate::container::Caller;
use crate::engine::{Container, Engine, Footprint, Image};
use crate::host::people::People;
use crate::model::names::{ImageId, Login};
use crate::plan::records::Ended;
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};

/// How long registries and bases are waited for. What is not known by then is
/// shown as such.
const PATIENCE: Duration = Duration::from_secs(5);

/// The engine's two lists, and the spec.
pub(crate) struct Scene {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) images: Vec<Image>,
    pub(crate) containers: Vec<Container>,
    pub(crate) stack: Result<(Spec, Graph), CliError>,
    pub(crate) caller: Caller,
    /// Logins by uid.
    users: Box<dyn Fn(u32) -> Option<Login>>,
}

impl Scene {
    /// Looks.
    ///
    /// # Errors
    /// The engine's. A spec that is not there or is wrong is no error yet.
    pub(crate) async fn look(settings: &Settings) -> Result<Self, CliError> {
        let stack = load::spec(settings);
        let engine = load::engine(settings).await?;
        let (images, containers) = tokio::join!(engine.images(), engine.containers());
        let caller = settings.caller(stack.as_ref().ok().map(|(spec, _)| spec));
        let people = settings.people.clone();
        let users = Box::new(move |uid| people.by_uid(uid).ok().flatten().map(|person| person.login));
        Ok(Self { images: images?, containers: containers?, engine, stack, caller, users })
    }

    pub(crate) fn known(&self) -> Known<'_> {
        Known {
            images: &self.images,
            containers: &self.containers,
            stack: self.stack.as_ref().ok().map(|(spec, graph)| Stack { spec, graph }),
            caller: &self.caller,
            users: self.users.as_ref(),
        }
    }

    /// What is to be known of these groups, besides the two lists.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) async fn seen(&self, settings: &Settings, groups: &[&Group<'_>]) -> Result<Sight, CliError> {
        let shown: Vec<ImageId> =
            groups.iter().filter_map(|g| g.images.first()).map(|i| i.id.clone()).collect();
        let nodes: Vec<NodeId> = groups.iter().filter_map(|group| node(group)).collect();
        let (footprints, verdicts, built) = tokio::join!(
            self.engine.footprints(&shown),
            self.verdicts(settings, &nodes),
            self.built(settings, &nodes),
        );
        #[expect(
            clippy::disallowed_methods,
            reason = "ages are counted from now; the core is given the time"
        )]
        let now = Timestamp::now().as_second();
        Ok(Sight { footprints: footprints?, verdicts, built: built?, now })
    }

    /// What a plan says of these, if it is made in time.
    async fn verdicts(&self, settings: &Settings, nodes: &[NodeId]) -> Verdicts {
        let (spec, graph) = match &self.stack {
            Ok(stack) => stack,
            Err(trouble) => return Verdicts::Unknown(trouble.sentence()),
        };
        let below = graph.ancestors(nodes);
        let mut selection = plan::everything(graph);
        selection.nodes.retain(|node| nodes.contains(node) || below.contains(node));
        if selection.nodes.is_empty() {
            return Verdicts::Known(HashMap::new());
        }
        let planned = plan::make(settings, spec, graph, self.engine.as_ref(), &selection);
        match tokio::time::timeout(PATIENCE, planned).await {
            Ok(Ok(made)) => {
                let states = made.nodes.iter().zip(&made.plan.images);
                Verdicts::Known(states.map(|(node, planned)| (*node, State::of(planned))).collect())
            }
            Ok(Err(trouble)) => Verdicts::Unknown(trouble.sentence()),
            Err(_) => Verdicts::Unknown(format!("no answer about bases within {} s", PATIENCE.as_secs())),
        }
    }

    /// When runs of this user built what is there.
    async fn built(&self, settings: &Settings, nodes: &[NodeId]) -> Result<HashMap<ImageId, i64>, CliError> {
        let Ok((_, graph)) = &self.stack else { return Ok(HashMap::new()) };
        let records = settings.records(&self.engine.facts().await?.id);
        let tries = nodes.iter().filter_map(|node| {
            let node = graph.node(*node);
            Some(records.of(node.repository.as_ref()?, &node.name))
        });
        let built = tries.flatten().filter_map(|record| match record.ended {
            Ended::Built { id } => Some((id, record.at)),
            Ended::TestFailed { .. } | Ended::Failed { .. } => None,
        });
        Ok(built.collect())
    }
}

fn node(group: &Group<'_>) -> Option<NodeId> {
    match group.key {
        Key::Node(node) => Some(node),
        _ => None,
    }
}

/// What was seen of some images.
pub(crate) struct Sight {
    footprints: HashMap<ImageId, Footprint>,
    verdicts: Verdicts,
    built: HashMap<ImageId, i64>,
    now: i64,
}

impl Sight {
    pub(crate) fn looked(&self) -> Looked<'_> {
        Looked { footprints: &self.footprints, built: &self.built, verdicts: &self.verdicts, now: self.now }
    }

    /// Why nobody can say whether images are up to date.
    pub(crate) fn silence(&self) -> Option<&str> {
        match &self.verdicts {
            Verdicts::Known(_) => None,
            Verdicts::Unknown(cause) => Some(cause),
        }
    }
}
