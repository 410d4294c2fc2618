//! What a run came to. Only a complete one proves that tags may move.

use std::fmt;

use serde_json::{Value, json};

use crate::model::event::{Event, Outcome};
use crate::model::names::{ImageId, NodeName};
use crate::plan::{Action, Location, Plan, Planned, TagMove};

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

/// Images whose tags may move: each is there, and sent where it was to be, with all that has to move
/// beside it. Only [`Outcomes::complete`] makes one, and only it moves branch tags and `latest`.
#[derive(Debug)]
pub(crate) struct Complete {
    /// By position in the plan.
    images: Vec<Option<Finished>>,
}

/// Where an image is at the end of a run.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    /// `None`: in a registry alone.
    pub(super) id: Option<ImageId>,
    /// What its registry has under its content tag, as far as that is known.
    pub(super) digest: Option<String>,
}

impl Complete {
    /// The image that a tag may be put on.
    pub(super) fn of(&self, step: &TagMove) -> Option<&Finished> {
        self.images[step.image].as_ref()
    }
}

/// Tags that stay where they are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unmoved {
    /// Whose `latest`; `None`: the branch tags, which move together.
    project: Option<NodeName>,
    /// The first image that is not done.
    pub(crate) missing: NodeName,
}

impl fmt::Display for Unmoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project {
            Some(project) => write!(f, "`latest` of {project}")?,
            None => f.write_str("the branch tags")?,
        }
        write!(f, " did not move, since {} is not done", self.missing)
    }
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

    /// The proof of what is done, and which of the plan's tags cannot move.
    ///
    /// A project's `latest` waits for that image and what it is based on;
    /// branch tags wait for every shared image.
    pub(crate) fn complete(&self, plan: &Plan) -> (Complete, Vec<Unmoved>) {
        let mut images: Vec<_> = plan.images.iter().enumerate().map(|(at, i)| self.finished(at, i)).collect();
        // Parents come first.
        let mut missing: Vec<Option<usize>> = Vec::with_capacity(images.len());
        for (at, image) in plan.images.iter().enumerate() {
            let above = image.parents.iter().find_map(|&parent| missing[parent]);
            missing.push(above.or_else(|| images[at].is_none().then_some(at)));
        }
        let of_shared =
            plan.images.iter().zip(&missing).find_map(|(i, missing)| missing.filter(|_| !i.is_project));
        let mut unmoved: Vec<Unmoved> = Vec::new();
        for (at, image) in plan.images.iter().enumerate() {
            let Some(missing) = (if image.is_project { missing[at] } else { of_shared }) else { continue };
            images[at] = None;
            let held = Unmoved {
                project: image.is_project.then(|| image.name.clone()),
                missing: plan.images[missing].name.clone(),
            };
            let mut tags = plan.tags.iter().chain(&plan.registry_tags);
            if tags.any(|step| step.image == at) && !unmoved.contains(&held) {
                unmoved.push(held);
            }
        }
        (Complete { images }, unmoved)
    }

    /// Where an image is, if all that was to be done about it is done.
    fn finished(&self, position: usize, image: &Planned) -> Option<Finished> {
        let id = match (&self.by_image[position], &image.action) {
            (Some(outcome), _) => Some(outcome.id()?.clone()),
            (None, Action::Keep(Location::Engine(id))) if !image.push => Some(id.clone()),
            (None, Action::Keep(Location::Registry(_))) => None,
            (None, _) => return None,
        };
        Some(Finished { id, digest: self.digest(position, image) })
    }

    /// What its registry has under its content tag, as far as that is known.
    fn digest(&self, position: usize, image: &Planned) -> Option<String> {
        self.pushed[position].clone().or_else(|| image.remote.clone())
    }
}
