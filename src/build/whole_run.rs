//! A run from its plan to its end: what is solved, the tags that people use,
//! and the record of how it ended.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::recorder::RunRecorder;
use super::request::SolveInputs;
use super::{BuildEnvironment, MoveError, Options, Outcomes, Run, move_tags};
use crate::engine::Engine;
use crate::host::lock::Locks;
use crate::model::event::{Event, Events};
use crate::model::names::NodeName;
use crate::plan::history::Records;
use crate::plan::{Plan, PlannedRun};
use crate::registry::Registry;
use crate::spec::Spec;
use crate::spec::graph::Graph;

/// What a planned run is carried out with.
pub(crate) struct WholeRun<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    pub(crate) environment: &'a BuildEnvironment,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) locks: Locks,
    pub(crate) records: Records,
    pub(crate) options: Options,
    /// The folder that output is written into, and an image's file in it.
    pub(crate) logs: &'a Path,
    pub(crate) log: fn(&Path, &NodeName) -> PathBuf,
    /// Seconds since 1970: a record says when it was written.
    pub(crate) now: fn() -> i64,
    /// Why no branch tag moves.
    pub(crate) branchless: Option<String>,
}

/// What a run came to. The default: of one that had nothing to do.
#[derive(Debug)]
pub(crate) struct RunEnd {
    plan: Arc<Plan>,
    pub(crate) outcomes: Outcomes,
    /// What kept the tags from moving.
    pub(crate) moved: Result<(), MoveError>,
    /// Whether later runs will know how this one ended.
    pub(crate) recorded: io::Result<()>,
}

impl Default for RunEnd {
    fn default() -> Self {
        let (plan, outcomes) = Default::default();
        Self { plan, outcomes, moved: Ok(()), recorded: Ok(()) }
    }
}

impl RunEnd {
    /// The event that ends the run's report.
    pub(crate) fn summary(&self) -> Event {
        self.outcomes.summary(&self.plan)
    }

    /// What became of each image, as data.
    pub(crate) fn to_json(&self) -> Value {
        self.outcomes.to_json(&self.plan)
    }
}

impl WholeRun<'_> {
    /// Builds; if all of the plan is there, puts its tags; keeps how each image
    /// ended, for the reasons of later runs.
    pub(crate) async fn carry_out(
        self,
        planned: PlannedRun,
        events: &Events,
        stop: &CancellationToken,
    ) -> RunEnd {
        let Self { spec, graph, environment, engine, registry, .. } = self;
        let solves = SolveInputs { spec, graph, planned: &planned, environment }.solves();
        let PlannedRun { plan, branch, snapshot, nodes, .. } = planned;
        let platform = snapshot.engine.platform.clone();
        let recorder = RunRecorder::new(self.records, &plan, &nodes, snapshot);
        let plan = Arc::new(plan);
        let run = Run {
            logs: plan.images.iter().map(|image| Some((self.log)(self.logs, &image.name))).collect(),
            plan: plan.clone(),
            solves,
            engine: engine.clone(),
            registry: registry.clone(),
            locks: self.locks,
            platform,
            options: self.options,
        };
        let outcomes = super::run(run, events, stop).await;
        let warn = |text: String| {
            let _ = events.send(Event::Warning { image: None, text });
        };
        let (complete, unmoved) = outcomes.complete(&plan);
        let moved = if stop.is_cancelled() {
            Ok(())
        } else {
            move_tags(&plan, &complete, engine.as_ref(), registry.as_ref(), events).await
        };
        unmoved.iter().for_each(|tags| warn(tags.to_string()));
        if unmoved.is_empty() && !stop.is_cancelled() {
            self.branchless.into_iter().for_each(warn);
        }
        let mut recorded = recorder.keep(&plan, &outcomes, (self.now)());
        if let Some((branch, tags)) = branch
            && (unmoved.is_empty() && moved.is_ok() && !stop.is_cancelled())
        {
            recorded = recorded.and(recorder.keep_branch(&branch, &tags));
        }
        RunEnd { plan, outcomes, moved, recorded }
    }
}
