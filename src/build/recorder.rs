//! What a run leaves for the explanations of later ones: a record of each
//! image that was tried, and one of the run as a whole.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use super::Outcomes;
use crate::image::recipe::{self, Recipe, RecipeRecord, masked_text};
use crate::model::event::{Event, Outcome};
use crate::model::reference::Reference;
use crate::plan::history::{BuildResult, MOST_FILES, Record, Records, RunRecord};
use crate::plan::observe::{DockerfileSnapshot, Snapshot};
use crate::plan::{Plan, Planned};
use crate::spec::graph::NodeId;

/// Bytes of a Dockerfile that a record keeps.
const MOST_TEXT: usize = 64 * 1024;

/// What a run will need to write its records: the files of what it builds.
#[derive(Debug)]
pub(crate) struct RunRecorder {
    records: Records,
    /// By position in the plan.
    dockerfiles: HashMap<usize, DockerfileSnapshot>,
}

impl RunRecorder {
    /// Of a plan whose positions are about `nodes`.
    pub(crate) fn new(records: Records, plan: &Plan, nodes: &[NodeId], mut snapshot: Snapshot) -> Self {
        let dockerfile = |position: usize| Some((position, snapshot.dockerfiles.remove(&nodes[position])?));
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
                Some(id) => Some(BuildResult::Built { id: id.clone() }),
                None => outcomes.of(position).and_then(|outcome| failure(outcome, &image.recipe)),
            };
            let Some(ended) = ended else { continue };
            let kept = self.keep_one(position, image, ended, millis(outcomes.took(position)), now);
            result = result.and(kept);
        }
        result
    }

    /// Keeps the branch whose tags these are now.
    ///
    /// # Errors
    /// As for [`Self::keep`].
    pub(crate) fn keep_branch(&self, branch: &str, tags: &[Reference]) -> io::Result<()> {
        tags.iter().map(|tag| self.records.set_branch(tag, branch)).fold(Ok(()), io::Result::and)
    }

    fn keep_one(
        &self,
        position: usize,
        image: &Planned,
        result: BuildResult,
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
            result,
        };
        if let Some(d) = dockerfile {
            self.records.add_files(d.context_digest.as_str(), || d.files(MOST_FILES))?;
        }
        self.records.add(&image.repository(), &image.name, &record)
    }
}

/// The run as a whole.
fn run(plan: &Plan, outcomes: &Outcomes, at: i64) -> RunRecord {
    let counted = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    match outcomes.summary(plan) {
        Event::RunFinished { built, fetched, kept, failed, blocked, cancelled, took, .. } => RunRecord {
            at,
            took_ms: millis(took),
            built: counted(built),
            fetched: counted(fetched),
            kept: counted(kept),
            failed: counted(failed),
            blocked: counted(blocked),
            cancelled: counted(cancelled),
        },
        _ => RunRecord { at, ..RunRecord::default() },
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// How it failed. `None`: it did not, or the engine or a registry failed
/// rather than the image.
fn failure(outcome: &Outcome, recipe: &Recipe) -> Option<BuildResult> {
    match outcome {
        Outcome::Failed { failure, .. } if failure.engine => None,
        Outcome::Failed { failure, .. } if failure.check => {
            Some(BuildResult::TestFailed { test: failure.message.clone() })
        }
        Outcome::Failed { failure, .. } => {
            let step = failure.step.iter().map(|step| format!("{step}: "));
            let message = step.chain([failure.message.clone()]).collect::<String>();
            Some(BuildResult::Failed { message: recipe.without_secrets(&message) })
        }
        // What was built, `Outcomes::built` says; its push may have failed.
        _ => None,
    }
}
