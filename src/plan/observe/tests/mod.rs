//! From files in a folder to a plan and its solves, with the engine in memory.

mod bases;
mod build_args;
mod cases;
mod datahub;
mod dockerfiles;
mod files;
mod impact;
mod laws;
mod onbuild;
mod pins;
mod reasons;
mod recipes;
mod refresh;
mod solves;
mod tags;
mod went_wrong;
mod why;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::build::recorder::RunRecorder;
use crate::build::request::SolveInputs;
use crate::build::{self, BuildEnvironment, Options, Outcomes, Run};
use crate::dockerfile::context::HashCache;
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;
use crate::host::lock::Locks;
use crate::image::solve::{Solve, Start};
use crate::plan::history::Records;
use crate::plan::pins::{Newest, RegistryUnavailable, newest};
use crate::plan::{self, Plan, PlannedRun, Selection};
use crate::registry::fake::FakeRegistry;
use crate::spec::files::Disk;
use crate::spec::lock_file::Pins;

/// Passes on what its parent is.
const DOCKERFILE: &str = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY data /data\n";

/// A folder with a spec, and an engine. `debian:12` is in the engine's store.
struct Stack {
    dir: tempfile::TempDir,
    spec: &'static str,
    engine: Arc<FakeEngine>,
    registry: FakeRegistry,
    pins: Pins,
}

/// A plan with all it was made from.
#[derive(Debug)]
struct Made {
    spec: Spec,
    graph: Graph,
    planned: PlannedRun,
}

impl Stack {
    /// Images on the base `slim`, each with its Dockerfile and a file `data`.
    fn new(images: &str) -> Self {
        let stack = Self::empty("spec.yml");
        stack.write(
            "spec.yml",
            &format!(
                "tag: {{prefix: \"2026.4\"}}\nbases:\n  slim: {{image: \"debian:12\"}}\nimages:\n{images}"
            ),
        );
        for line in images.lines().filter(|line| !line.contains("packages")) {
            // Two blanks, a name, a colon: an image.
            let Some((name, _)) = line.strip_prefix("  ").and_then(|rest| rest.split_once(':')) else {
                continue;
            };
            if !name.starts_with(' ') {
                stack.image(name, DOCKERFILE);
            }
        }
        stack
    }

    /// A folder without files, whose spec will be at this path.
    fn empty(spec: &'static str) -> Self {
        let engine = Arc::new(FakeEngine::new());
        engine.add_image(&reference("debian:12"), &BTreeMap::new());
        let (registry, pins) = (FakeRegistry::new(), Pins::default());
        Self { dir: tempfile::tempdir().unwrap(), spec, engine, registry, pins }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn append(&self, path: &str, text: &str) {
        let old = std::fs::read_to_string(self.dir.path().join(path)).unwrap();
        self.write(path, &format!("{old}{text}"));
    }

    fn image(&self, name: &str, dockerfile: &str) {
        self.write(&format!("images/{name}/Dockerfile"), dockerfile);
        self.write(&format!("images/{name}/data"), name);
    }

    fn read(&self) -> (Spec, Graph) {
        let spec =
            crate::spec::read(self.dir.path(), Path::new(self.spec), &crate::spec::SpecContext::of(&Disk));
        let spec = spec.unwrap_or_else(|problems| panic!("{}", shown(&problems)));
        let graph = Graph::build(&spec);
        (spec, graph)
    }

    async fn try_make(&self, branch: Option<&str>) -> Result<Made, Error> {
        let (spec, graph) = self.read();
        let branch = branch.map(str::to_owned);
        let selection = Selection { nodes: graph.order().to_vec(), branch, ..Selection::default() };
        let hashes = HashCache::default();
        let planned = plan::plan(&self.context(&spec, &graph, &hashes), &selection).await;
        let planned = planned.map_err(|error| match error {
            Error::Branch(problem) => Error::Problems(vec![problem]),
            error => error,
        })?;
        Ok(Made { planned, spec, graph })
    }

    fn context<'a>(&'a self, spec: &'a Spec, graph: &'a Graph, hashes: &'a HashCache) -> Context<'a> {
        Context {
            spec,
            graph,
            engine: self.engine.as_ref(),
            registry: &self.registry,
            pins: &self.pins,
            hashes,
            records: self.records_dir(),
        }
    }

    async fn make(&self) -> Made {
        self.try_make(Some("main")).await.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// `file:line message` of all problems.
    async fn problems(&self) -> String {
        match self.try_make(Some("main")).await {
            Err(Error::Problems(problems) | Error::Bases(problems)) => shown(&problems),
            other => panic!("{other:?}"),
        }
    }

    /// Names of what a run would build.
    async fn to_build(&self) -> Vec<String> {
        let plan = self.make().await.planned.plan;
        plan.builds().map(|at| plan.images[at].name.to_string()).collect()
    }

    fn records_dir(&self) -> PathBuf {
        self.dir.path().join(".records")
    }

    fn records(&self) -> Records {
        Records::new(&self.records_dir(), "fake")
    }

    /// Plans, builds and tags everything.
    async fn build(&self) {
        let (plan, outcomes) = self.try_build().await;
        let (complete, unmoved) = outcomes.complete(&plan);
        assert!(unmoved.is_empty(), "{unmoved:?}: {outcomes:?}");
        let (events, _reports) = unbounded_channel();
        let registry = &*self.engine.hub().registry;
        build::move_tags(&plan, &complete, self.engine.as_ref(), registry, &events).await.unwrap();
    }

    /// Plans and builds everything, and keeps how it ended.
    async fn try_build(&self) -> (Arc<Plan>, Outcomes) {
        self.try_build_with(|_, _| {}).await
    }

    /// As `try_build`, with solves that are tampered with.
    async fn try_build_with(&self, tamper: impl Fn(&str, &mut Solve)) -> (Arc<Plan>, Outcomes) {
        let made = self.make().await;
        let mut solves = made.solves();
        for solve in solves.iter_mut().flatten() {
            let name = solve.node.to_string();
            tamper(&name, solve);
        }
        let PlannedRun { plan, snapshot, nodes, .. } = made.planned;
        let recorder = RunRecorder::new(self.records(), &plan, &nodes, snapshot);
        let plan = Arc::new(plan);
        let run = Run {
            platform: "linux/amd64".into(),
            plan: plan.clone(),
            logs: vec![None; solves.len()],
            solves,
            engine: self.engine.clone(),
            registry: self.engine.hub().registry.clone(),
            locks: Locks::open(&self.dir.path().join(".locks"), "fake").unwrap(),
            options: Options { jobs: 4, fail_fast: false },
        };
        let (events, _reports) = unbounded_channel();
        let outcomes = build::run(run, &events, &CancellationToken::new()).await;
        recorder.keep(&plan, &outcomes, 1_760_000_000).unwrap();
        (plan, outcomes)
    }
}

impl Made {
    fn solves(&self) -> Vec<Option<Solve>> {
        let around = BuildEnvironment::default();
        SolveInputs { spec: &self.spec, graph: &self.graph, planned: &self.planned, environment: &around }
            .solves()
    }

    fn position(&self, name: &str) -> usize {
        self.planned.plan.images.iter().position(|image| image.name.as_str() == name).unwrap()
    }

    /// What is solved for an image to be built.
    fn solve(&self, name: &str) -> Solve {
        self.solves().remove(self.position(name)).unwrap()
    }

    /// The build args of an image with a Dockerfile, as `NAME=value`.
    fn args(&self, name: &str) -> Vec<String> {
        let Start::Dockerfile(build) = self.solve(name).start else { panic!("{name} has no Dockerfile") };
        build.args.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn content(&self, name: &str) -> String {
        self.planned.plan.images[self.position(name)].content.to_string()
    }

    fn tags(&self) -> Vec<String> {
        self.planned.plan.tags.iter().map(|step| step.tag.to_string()).collect()
    }
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn digest(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

fn shown(problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        let place = problem
            .place
            .as_ref()
            .map_or("-".into(), |place| format!("{}:{}", place.file.path.display(), place.line_column().0));
        format!("{place} {}\n", problem.message)
    };
    problems.iter().map(line).collect()
}
