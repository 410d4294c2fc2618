//! What a run came to. Only a complete one proves that tags may move.

use serde_json::{Value, json};

use crate::model::event::{Event, Outcome};
use crate::model::names::{ImageId, NodeName};
use crate::plan::{Action, Location, Plan, Planned};

/// How each image to build ended.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(super) by_image: Vec<Option<Outcome>>,
    /// What was built, whatever became of its push.
    pub(super) built: Vec<Option<ImageId>>,
    /// Digests of what was sent to a registry.
    pub(super) pushed: Vec<Option<String>>,
    /// How long each image took, its waiting included.
    pub(super) took_by_image: Vec<std::time::Duration>,
    /// Wall time of the run.
    pub(crate) took: std::time::Duration,
    /// True when the run was stopped by a signal.
    #[cfg_attr(not(test), expect(dead_code, reason = "the program learns it from its signals"))]
    pub(crate) interrupted: bool,
}

/// Every selected image is there, and sent where it was to be: only [`Outcomes::complete`] makes one, and
/// only it moves branch tags and `latest`.
#[derive(Debug)]
pub(crate) struct Complete {
    /// By position in the plan; `None` for what is in a registry alone.
    pub(super) ids: Vec<Option<ImageId>>,
    /// What registries have under the content tags, as far as that is known.
    pub(super) digests: Vec<Option<String>>,
}

impl Outcomes {
    /// How the image at a plan position ended; `None`: it was kept.
    pub(crate) fn of(&self, position: usize) -> Option<&Outcome> {
        self.by_image[position].as_ref()
    }

    /// The image at a plan position if it was built, though its push may have
    /// failed or been stopped.
    pub(crate) fn built(&self, position: usize) -> Option<&ImageId> {
        self.built.get(position)?.as_ref()
    }

    /// How long the image at a plan position took.
    pub(crate) fn took(&self, position: usize) -> std::time::Duration {
        self.took_by_image[position]
    }

    /// True if some image failed by itself.
    pub(crate) fn any_failed(&self) -> bool {
        self.by_image.iter().flatten().any(|o| matches!(o, Outcome::Failed { .. }))
    }

    /// True if nothing failed but the engine or the network.
    pub(crate) fn only_engine_failed(&self) -> bool {
        let mut failures = self.by_image.iter().flatten().filter_map(|o| match o {
            Outcome::Failed { failure, .. } => Some(failure.engine),
            _ => None,
        });
        failures.next().is_some_and(|first| first && failures.all(|engine| engine))
    }

    /// The event that ends the run's report.
    pub(crate) fn summary(&self, plan: &Plan) -> Event {
        let count =
            |wanted: fn(&Outcome) -> bool| self.by_image.iter().flatten().filter(|o| wanted(o)).count();
        Event::RunFinished {
            built: count(|o| matches!(o, Outcome::Built { .. } | Outcome::BuiltElsewhere { .. })),
            fetched: count(|o| matches!(o, Outcome::Fetched { .. })),
            kept: plan.images.len() - plan.work().count() + count(|o| matches!(o, Outcome::Pushed { .. })),
            failed: count(|o| matches!(o, Outcome::Failed { .. })),
            blocked: count(|o| matches!(o, Outcome::Blocked { .. })),
            cancelled: count(|o| matches!(o, Outcome::Cancelled)),
            pushed: self.pushed.iter().flatten().count(),
            took: self.took,
        }
    }

    /// What became of each image, as data: `{images: [{name, outcome, …}], …}`.
    pub(crate) fn to_json(&self, plan: &Plan) -> Value {
        let images = plan.images.iter().enumerate().map(|(at, image)| {
            let mut value = match (&self.by_image[at], &image.action) {
                (Some(outcome), _) => json!(outcome),
                (None, Action::Keep(Location::Engine(id))) => json!({ "outcome": "kept", "id": id }),
                (None, Action::Keep(Location::Registry(_))) => json!({ "outcome": "kept", "id": null }),
                (None, _) => json!({ "outcome": "cancelled" }),
            };
            value["name"] = json!(image.name);
            value["content_tag"] = json!(image.content);
            value["registry_digest"] = json!(self.digest(at, image));
            value["pushed"] = json!(self.pushed[at].is_some());
            value
        });
        json!({ "images": images.collect::<Vec<_>>(), "summary": self.summary(plan) })
    }

    /// The proof that all of the plan is done, or the first image that is not.
    ///
    /// # Errors
    /// Names an image that was not built.
    pub(crate) fn complete(&self, plan: &Plan) -> Result<Complete, NodeName> {
        let id = |(image, outcome): (&Planned, &Option<Outcome>)| match (outcome, &image.action) {
            (Some(outcome), _) => outcome.id().map(|id| Some(id.clone())).ok_or_else(|| image.name.clone()),
            (None, Action::Keep(Location::Engine(id))) if !image.push => Ok(Some(id.clone())),
            (None, Action::Keep(Location::Registry(_))) => Ok(None),
            (None, _) => Err(image.name.clone()),
        };
        let ids = plan.images.iter().zip(&self.by_image).map(id).collect::<Result<_, _>>()?;
        let digests = plan.images.iter().enumerate().map(|(at, image)| self.digest(at, image));
        Ok(Complete { ids, digests: digests.collect() })
    }

    /// What its registry has under its content tag, as far as that is known.
    fn digest(&self, position: usize, image: &Planned) -> Option<String> {
        self.pushed[position].clone().or_else(|| image.remote.clone())
    }
}
