//! What a run came to, and the one value that lets tags move.

use serde_json::{Value, json};

use crate::event::{Event, Outcome};
use crate::names::{ImageId, NodeName};
use crate::plan::{Action, Plan};

/// How each image to build ended.
#[derive(Debug)]
pub struct Outcomes {
    pub(super) by_image: Vec<Option<Outcome>>,
    /// Wall time of the run.
    pub took: std::time::Duration,
    /// True when the run was stopped by a signal.
    pub interrupted: bool,
}

/// Every selected image is there: only [`Outcomes::complete`] makes one, and
/// only it moves branch tags and `latest`.
#[derive(Debug)]
pub struct Complete {
    /// By position in the plan.
    pub(super) ids: Vec<ImageId>,
}

impl Outcomes {
    /// How the image at a plan position ended; `None`: it was kept.
    pub fn of(&self, position: usize) -> Option<&Outcome> {
        self.by_image[position].as_ref()
    }

    /// True if some image failed by itself.
    pub fn any_failed(&self) -> bool {
        self.by_image.iter().flatten().any(|o| matches!(o, Outcome::Failed { .. }))
    }

    /// True if nothing failed but the engine or the network.
    pub fn only_engine_failed(&self) -> bool {
        let mut failures = self.by_image.iter().flatten().filter_map(|o| match o {
            Outcome::Failed { failure, .. } => Some(failure.engine),
            _ => None,
        });
        failures.next().is_some_and(|first| first && failures.all(|engine| engine))
    }

    /// The event that ends the run's report.
    pub fn summary(&self, plan: &Plan) -> Event {
        let count =
            |wanted: fn(&Outcome) -> bool| self.by_image.iter().flatten().filter(|o| wanted(o)).count();
        Event::RunFinished {
            built: count(|o| matches!(o, Outcome::Built { .. } | Outcome::BuiltElsewhere { .. })),
            kept: plan.images.len() - plan.builds().count(),
            failed: count(|o| matches!(o, Outcome::Failed { .. })),
            blocked: count(|o| matches!(o, Outcome::Blocked { .. })),
            cancelled: count(|o| matches!(o, Outcome::Cancelled)),
            took: self.took,
        }
    }

    /// What became of each image, as data: `{images: [{name, outcome, …}], …}`.
    pub fn to_json(&self, plan: &Plan) -> Value {
        let images = plan.images.iter().zip(&self.by_image).map(|(image, outcome)| {
            let mut value = match (outcome, &image.action) {
                (Some(outcome), _) => json!(outcome),
                (None, Action::Keep(id)) => json!({ "outcome": "kept", "id": id }),
                (None, Action::Build(_)) => json!({ "outcome": "cancelled" }),
            };
            value["name"] = json!(image.name);
            value["content_tag"] = json!(image.content);
            value
        });
        json!({ "images": images.collect::<Vec<_>>(), "summary": self.summary(plan) })
    }

    /// The proof that all of the plan is done, or the first image that is not.
    ///
    /// # Errors
    /// Names an image that was not built.
    pub fn complete(&self, plan: &Plan) -> Result<Complete, NodeName> {
        let ids =
            plan.images.iter().zip(&self.by_image).map(|(image, outcome)| match (&image.action, outcome) {
                (Action::Keep(id), _) => Ok(id.clone()),
                (_, Some(Outcome::Built { id } | Outcome::BuiltElsewhere { id })) => Ok(id.clone()),
                _ => Err(image.name.clone()),
            });
        Ok(Complete { ids: ids.collect::<Result<_, _>>()? })
    }
}
