//! Between records and plans: what earlier runs tell a plan, and what a run
//! leaves for later ones.
//!
//! An edge. Looks only at images that are not up to date: the others need no
//! reason. Decides nothing.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::build::Outcomes;
use crate::image::recipe::{self, Ingredient, Recipe, RecipeRecord, masked_text};
use crate::model::event::{Event, Outcome};
use crate::plan::observe::{DockerfileSeen, Seen};
use crate::plan::records::{Ended, MOST_FILES, Record, Records, Run};
use crate::plan::{self, Absent, Built, Candidate, Memory, Plan, Planned, Recall};
use crate::spec::graph::NodeId;

/// Bytes of a Dockerfile that a record keeps.
const MOST_TEXT: usize = 64 * 1024;

/// All that is known of the images that are not there. `nodes` are the
/// questions' own.
pub(crate) fn recall(records: &Records, seen: &Seen, nodes: &[NodeId], questions: &[Candidate]) -> Memory {
    let absent = plan::absent(questions, &seen.store).into_iter();
    absent
        .map(|absent| {
            let (position, dockerfile) = (absent.position, seen.dockerfiles.get(&nodes[absent.position]));
            (position, recall_one(records, dockerfile, &questions[position], absent))
        })
        .collect()
}

fn recall_one(
    records: &Records,
    dockerfile: Option<&DockerfileSeen>,
    question: &Candidate,
    absent: Absent,
) -> Recall {
    let tries = records.of(&question.repository, &question.name);
    let built = |record: &&Record| matches!(record.ended, Ended::Built { .. });
    let of_record = || tries.iter().rev().find(built).map(Built::of_record);
    let Some(mut last) = absent.last.or_else(of_record) else { return Recall { tries, ..Recall::default() } };
    let mut recall = Recall::default();
    if let Some(dockerfile) = dockerfile {
        let record = tries.iter().rev().find(|record| record.recipe == last.recipe);
        let now = question.recipe.ingredient_digests();
        if !last.has_same(Ingredient::Dockerfile, &now) {
            last.dockerfile = record.and_then(|record| record.dockerfile.clone());
            recall.dockerfile = Some(masked_text(&dockerfile.text));
        }
        if !last.has_same(Ingredient::Context, &now) {
            let kept = || records.files(record?.tree.as_deref()?).map(Arc::new);
            last.files = last.files.take().or_else(kept);
            recall.files = last.files.is_some().then(|| dockerfile.files(MOST_FILES)).flatten();
        }
    }
    Recall { tries, last: Some(last), ..recall }
}

/// What a run will need to write its records: the files of what it builds.
#[derive(Debug)]
pub(crate) struct RunRecorder {
    records: Records,
    /// By position in the plan.
    dockerfiles: HashMap<usize, DockerfileSeen>,
}

impl RunRecorder {
    /// Of a plan whose positions are about `nodes`.
    pub(crate) fn new(records: Records, plan: &Plan, nodes: &[NodeId], mut seen: Seen) -> Self {
        let dockerfile = |position: usize| Some((position, seen.dockerfiles.remove(&nodes[position])?));
        // What is pulled may have to be built after all.
        let made = plan.builds().chain(plan.fetches());
        Self { records, dockerfiles: made.filter_map(dockerfile).collect() }
    }

    /// Writes a record for each image that was tried, and one of the run.
    /// `now` in seconds since 1970.
    ///
    /// # Errors
    /// The first that could not be written; the others are.
    pub(crate) fn keep(&self, plan: &Plan, outcomes: &Outcomes, now: i64) -> io::Result<()> {
        let mut result = self.records.set_last_run(&run(plan, outcomes, now));
        for (position, image) in plan.images.iter().enumerate() {
            let ended = match outcomes.built(position) {
                Some(id) => Some(Ended::Built { id: id.clone() }),
                None => outcomes.of(position).and_then(|o| ended(o, &image.recipe)),
            };
            let Some(ended) = ended else { continue };
            let kept = self.keep_one(position, image, ended, millis(outcomes.took(position)), now);
            result = result.and(kept);
        }
        result
    }

    fn keep_one(
        &self,
        position: usize,
        image: &Planned,
        ended: Ended,
        took_ms: u64,
        at: i64,
    ) -> io::Result<()> {
        let dockerfile = self.dockerfiles.get(&position);
        let text = dockerfile.map(|d| masked_text(&d.text)).filter(|text| text.len() <= MOST_TEXT);
        let record = Record {
            recipe: image.recipe.digest().to_string(),
            scheme: recipe::SCHEME,
            ingredients: image.recipe.ingredients_label(),
            written: RecipeRecord::of(&image.recipe),
            tree: dockerfile.map(|d| d.context_digest.to_string()),
            dockerfile: text,
            took_ms,
            at,
            ended,
        };
        if let Some(d) = dockerfile {
            self.records.add_files(d.context_digest.as_str(), || d.files(MOST_FILES))?;
        }
        self.records.add(&image.repository(), &image.name, &record)
    }
}

/// The run as a whole.
fn run(plan: &Plan, outcomes: &Outcomes, at: i64) -> Run {
    let counted = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    match outcomes.summary(plan) {
        Event::RunFinished { built, fetched, kept, failed, blocked, cancelled, took, .. } => Run {
            at,
            took_ms: millis(took),
            built: counted(built),
            fetched: counted(fetched),
            kept: counted(kept),
            failed: counted(failed),
            blocked: counted(blocked),
            cancelled: counted(cancelled),
        },
        _ => Run { at, ..Run::default() },
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// How it failed. `None`: it did not, or the engine or a registry failed
/// rather than the image.
fn ended(outcome: &Outcome, recipe: &Recipe) -> Option<Ended> {
    match outcome {
        Outcome::Failed { failure, .. } if failure.engine => None,
        Outcome::Failed { failure, .. } if failure.check => {
            Some(Ended::TestFailed { test: failure.message.clone() })
        }
        Outcome::Failed { failure, .. } => {
            let step = failure.step.iter().map(|step| format!("{step}: "));
            let message = step.chain([failure.message.clone()]).collect::<String>();
            Some(Ended::Failed { message: recipe.without_secrets(&message) })
        }
        // What was built, `Outcomes::built` says; its push may have failed.
        _ => None,
    }
}
