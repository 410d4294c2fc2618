//! Runs on the engine in memory: what is built when, what a failure, a stop
//! or another run does. Time is tokio's, and paused: `sleep 60` costs nothing.

mod failing;
mod laws;
mod order;
mod others;
mod registries;
mod stopping;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::dockerfile::context::Context;
use crate::dockerfile::ignore::Ignore;
use crate::engine::ImageIndex;
use crate::engine::fake::FakeEngine;
use crate::image::recipe::{BaseIdentity, DockerfilePart, Parts, Recipe};
use crate::image::solve::{ConfigChange, DockerfileBuild, Start};
use crate::model::labels;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::{Reference, Repository};
use crate::plan::candidate::Candidate;
use crate::plan::decide::decide;
use crate::plan::history::Histories;
use crate::plan::registries::{RegistryTags, content_tags};

/// An image of a test: its name, those above it, and what its RUN does.
struct Image {
    name: String,
    parents: Vec<usize>,
    script: String,
}

/// Images, parents first, an engine that has their base, and the locks that
/// all runs on that engine share.
struct Stack {
    images: Vec<Image>,
    engine: Arc<FakeEngine>,
    forced: BTreeSet<usize>,
    /// The registry that the images live in.
    host: Option<&'static str>,
    /// `--push`.
    push: bool,
    options: Options,
    locks: tempfile::TempDir,
}

/// What a run came to.
struct Ran {
    plan: Arc<Plan>,
    outcomes: Outcomes,
    events: Vec<Event>,
}

impl Stack {
    /// Each line is `name < parent parent: script`; parents and script may be
    /// missing. A name with a `/` is a project's.
    fn new(lines: &str) -> Self {
        let mut images: Vec<Image> = Vec::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (head, script) = line.split_once(':').unwrap_or((line, "true"));
            let (name, parents) = head.split_once('<').unwrap_or((head, ""));
            let at = |name: &str| images.iter().position(|image| image.name == name).unwrap();
            let parents = parents.split_whitespace().map(at).collect();
            images.push(Image { name: name.trim().into(), parents, script: script.trim().into() });
        }
        Self::of(images)
    }

    fn of(images: Vec<Image>) -> Self {
        let engine = Arc::new(FakeEngine::new());
        engine.add_image(&base(), &BTreeMap::new());
        Self {
            images,
            engine,
            forced: BTreeSet::new(),
            host: None,
            push: false,
            options: Options { jobs: 8, fail_fast: false },
            locks: tempfile::tempdir().unwrap(),
        }
    }

    fn jobs(mut self, jobs: usize) -> Self {
        self.options.jobs = jobs;
        self
    }

    fn position(&self, name: &str) -> usize {
        self.images.iter().position(|image| image.name == name).unwrap()
    }

    /// Gives an image another script, and so another recipe.
    fn rewrite(&mut self, name: &str, script: &str) {
        let position = self.position(name);
        self.images[position].script = script.to_owned();
    }

    fn recipes(&self) -> Vec<Recipe> {
        let mut recipes: Vec<Recipe> = Vec::new();
        for image in &self.images {
            recipes.push(recipe(image, &recipes));
        }
        recipes
    }

    fn repository(&self, name: &str) -> Repository {
        let host = self.host.map(|host| format!("{host}/")).unwrap_or_default();
        Repository::parse(&format!("{host}ds01/{name}")).unwrap()
    }

    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(position, recipe): (usize, Recipe)| {
            let image = &self.images[position];
            Candidate {
                name: NodeName::new(&image.name),
                repository: self.repository(&image.name),
                recipe,
                parents: image.parents.clone(),
                forced: self.forced.contains(&position),
                is_project: image.name.contains('/'),
                moving: Some(self.repository(&image.name).with_tag("t-main")),
                caches: Vec::new(),
            }
        };
        self.recipes().into_iter().enumerate().map(candidate).collect()
    }

    /// Looks at the engine and asks registries, as `build` does.
    async fn plan(&self) -> Plan {
        let (candidates, store) = (self.candidates(), self.engine.images().await.unwrap());
        let images = ImageIndex::new(&store);
        let mut tags = RegistryTags { push: self.push, ..RegistryTags::default() };
        let contents = content_tags(&candidates, &images, self.push);
        tags.ask(&*self.engine.hub().registry, contents).await;
        decide(candidates, &images, &tags, &Histories::new())
    }

    fn prepare(&self, plan: Plan) -> Run {
        let kept = |at: usize| matches!(plan.images[at].action, crate::plan::Action::Keep(_));
        let solve = |at: usize| (!kept(at)).then(|| self.solve(&plan, at));
        Run {
            platform: "linux/amd64".into(),
            solves: (0..plan.images.len()).map(solve).collect(),
            engine: self.engine.clone(),
            registry: self.engine.hub().registry.clone(),
            locks: self.locks(),
            logs: vec![None; plan.images.len()],
            options: self.options,
            plan: Arc::new(plan),
        }
    }

    fn locks(&self) -> Locks {
        Locks::open(self.locks.path(), "fake").unwrap()
    }

    fn solve(&self, plan: &Plan, at: usize) -> Solve {
        let image = &self.images[at];
        let above: Vec<_> = image.parents.iter().map(|&p| plan.images[p].content.to_string()).collect();
        let base = above.first().cloned();
        let args = above.into_iter().enumerate().map(|(n, content)| (format!("PARENT{n}"), content));
        let context = Context {
            id: "c".into(),
            root: "/nowhere".into(),
            ignore: Ignore::default(),
            readable: BTreeSet::new(),
        };
        let recipe = &plan.images[at].recipe;
        Solve {
            node: plan.images[at].name.clone(),
            start: Start::Dockerfile(DockerfileBuild {
                dockerfile: dockerfile(image).into(),
                path: format!("images/{}/Dockerfile", image.name).into(),
                context: Arc::new(context),
                files: Arc::default(),
                target: None,
                args: args.collect(),
            }),
            steps: Vec::new(),
            user: None,
            sudo: None,
            config: ConfigChange {
                labels: [
                    (&labels::RECIPE, Some(recipe.digest().to_string())),
                    (&labels::INGREDIENTS, Some(recipe.ingredients_label())),
                    (&labels::BASE_NAME, base),
                ]
                .into_iter()
                .filter_map(|(key, value)| Some((key.name.to_owned(), value?)))
                .collect(),
                ..ConfigChange::default()
            },
            secrets: BTreeMap::new(),
            proxy: BTreeMap::new(),
            no_cache: false,
            cache_from: Vec::new(),
            inline_cache: false,
        }
    }

    /// Plans and builds, and moves tags where all is done, as `build` does.
    async fn run(&self) -> Ran {
        self.run_until(&CancellationToken::new()).await
    }

    async fn run_until(&self, cancel: &CancellationToken) -> Ran {
        let run = self.prepare(self.plan().await);
        self.carry_out(run, cancel).await
    }

    async fn carry_out(&self, run: Run, cancel: &CancellationToken) -> Ran {
        let (send, mut receive) = unbounded_channel();
        let (plan, registry) = (run.plan.clone(), run.registry.clone());
        let outcomes = super::run(run, &send, cancel).await;
        let (complete, _) = outcomes.complete(&plan);
        move_tags(&plan, &complete, self.engine.as_ref(), registry.as_ref(), &send).await.unwrap();
        drop(send);
        let mut events = Vec::new();
        while let Ok(event) = receive.try_recv() {
            events.push(event);
        }
        Ran { plan, outcomes, events }
    }

    /// Whether an image's content tag stands.
    async fn is_tagged(&self, plan: &Plan, name: &str) -> bool {
        let content = plan.images[self.position(name)].content.to_string();
        self.engine.image(&content).await.unwrap().is_some()
    }

    /// What people find under the branch's tag: names with the images' ids.
    async fn moved_ids(&self) -> Vec<(String, ImageId)> {
        let mut moved = Vec::new();
        for image in &self.images {
            let tag = self.repository(&image.name).with_tag("t-main").to_string();
            let found = self.engine.image(&tag).await.unwrap();
            moved.extend(found.map(|detail| (image.name.clone(), detail.id)));
        }
        moved
    }

    async fn moved(&self) -> Vec<String> {
        self.moved_ids().await.into_iter().map(|(name, _)| name).collect()
    }
}

impl Ran {
    /// What is said of tags that did not move.
    fn unmoved(&self) -> Vec<String> {
        self.outcomes.complete(&self.plan).1.iter().map(ToString::to_string).collect()
    }

    fn of(&self, name: &str) -> &Outcome {
        let at = self.plan.images.iter().position(|image| image.name.as_str() == name).unwrap();
        self.outcomes.of(at).unwrap_or_else(|| panic!("{name} was kept"))
    }

    /// `name: outcome` of each image that was to be built.
    fn ends(&self) -> Vec<String> {
        let images = self.plan.builds().map(|at| &self.plan.images[at].name);
        images.map(|name| format!("{name}: {}", word(self.of(name.as_str())))).collect()
    }

    /// The same of each image that something was to be done about.
    fn all_ends(&self) -> Vec<String> {
        let images = self.plan.work().map(|at| &self.plan.images[at].name);
        images.map(|name| format!("{name}: {}", word(self.of(name.as_str())))).collect()
    }

    /// The images that a worker took up, in order.
    fn started(&self) -> Vec<&str> {
        let started = self.events.iter().filter_map(|event| match event {
            Event::ImageStarted { image, .. } => Some(image.as_str()),
            _ => None,
        });
        started.collect()
    }

    /// The images that ended, in order.
    fn finished(&self) -> Vec<&str> {
        let finished = self.events.iter().filter_map(|event| match event {
            Event::ImageFinished { image, .. } => Some(image.as_str()),
            _ => None,
        });
        finished.collect()
    }

    fn failure(&self, name: &str) -> &crate::model::event::Failure {
        match self.of(name) {
            Outcome::Failed { failure, .. } => failure,
            other => panic!("{name} is {other:?}"),
        }
    }
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Built { .. } => "built".into(),
        Outcome::BuiltElsewhere { .. } => "built elsewhere".into(),
        Outcome::Fetched { .. } => "fetched".into(),
        Outcome::Pushed { .. } => "pushed".into(),
        Outcome::Failed { .. } => "failed".into(),
        Outcome::Blocked { by } => format!("blocked by {by}"),
        Outcome::Cancelled => "cancelled".into(),
    }
}

fn base() -> Reference {
    Reference::parse("base:1").unwrap()
}

/// Stands on its first parent and copies from the others.
fn dockerfile(image: &Image) -> String {
    let numbers = 0..image.parents.len();
    let args: String = numbers.clone().map(|n| format!("ARG PARENT{n}\n")).collect();
    let from = if image.parents.is_empty() { base().to_string() } else { "$PARENT0".to_owned() };
    let copies: String = numbers.skip(1).map(|n| format!("COPY --from=$PARENT{n} /x /x\n")).collect();
    format!("{args}FROM {from}\n{copies}RUN {}\n", image.script)
}

fn recipe(image: &Image, above: &[Recipe]) -> Recipe {
    let parent = |(n, &p): (usize, &usize)| {
        (format!("PARENT{n}"), BaseIdentity::ParentRecipe(above[p].digest().clone()))
    };
    let own = BTreeMap::from([("ds01.image".to_owned(), image.name.clone())]);
    Recipe::new(&Parts {
        dockerfile: Some(DockerfilePart { bytes: dockerfile(image).as_bytes(), target: None, syntax: None }),
        context: None,
        args: &BTreeMap::new(),
        declared_args: &BTreeSet::new(),
        bases: &image.parents.iter().enumerate().map(parent).collect(),
        packages: None,
        user: None,
        labels: &own,
        platform: "linux/amd64",
        secrets: &BTreeSet::new(),
        refresh: Default::default(),
    })
}
