//! Makes one image in one job: what it starts from, its steps, the account,
//! the config. The order is fixed by [`Solve`]; nothing is decided here.

use std::collections::HashMap;

use tonic::Status;

use super::config::{self, HistoryEntry, ImageConfig};
use super::job::{Export, Job, Ref};
use super::progress::{JobProgress, ProgressReader};
use super::session::SessionContent;
use super::{Bases, account, failure};
use crate::engine::address::Address;
use crate::engine::llb::{Exec, Local, Mount, State, Step};
use crate::engine::{Error, SolveError, Solved, UserLayer};
use crate::image::solve::{DockerfileBuild, ExecStep, Solve, Start};
use crate::model::digest::sha256;
use crate::model::event::{Event, Events, Failure};
use crate::model::human;
use crate::model::names::ImageId;
use crate::model::reference::Reference;

/// Folders that apt locks against a second user, and so must we.
const APT: [&str; 2] = ["/var/cache/apt", "/var/lib/apt"];

/// Everything that one image is made with.
pub(super) struct ImageBuild<'a> {
    pub(super) solve: &'a Solve,
    pub(super) events: &'a Events,
    pub(super) job: &'a Job,
    pub(super) reader: &'a ProgressReader<'a>,
    pub(super) content: &'a SessionContent,
    pub(super) session: &'a str,
    pub(super) bases: &'a Bases,
    pub(super) address: &'a Address,
}

/// Why no image was made.
pub(super) enum BuildError {
    /// BuildKit's.
    Status(Status),
    /// Ours.
    Solve(SolveError),
}

impl From<Status> for BuildError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl BuildError {
    /// For people.
    pub(super) fn explain(self, solve: &Solve, progress: &JobProgress) -> SolveError {
        match self {
            Self::Status(status) => failure::explain(solve, &status, progress),
            Self::Solve(error) => error,
        }
    }

    pub(super) fn refused(message: impl Into<String>, help: impl Into<Option<String>>) -> Self {
        Self::failed(Failure { message: message.into(), help: help.into(), ..Failure::default() })
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self::Solve(SolveError::Failed(Box::new(failure)))
    }
}

/// An image under construction.
pub(super) struct ImageDraft {
    pub(super) state: State,
    /// The state as BuildKit already knows it, while that is the whole state.
    pub(super) known: Option<Ref>,
    pub(super) config: ImageConfig,
    pub(super) layers: Vec<HistoryEntry>,
    /// The start's config as it came, which names the start's content.
    pub(super) origin: Option<String>,
}

impl ImageBuild<'_> {
    /// Runs the job from its opening to its end.
    pub(super) async fn run(&self) -> Result<Solved, BuildError> {
        let export = Export::Image { cache: self.solve.inline_cache };
        let mut running = std::pin::pin!(self.job.run(self.session, export));
        let assembled = tokio::select! {
            assembled = self.assemble() => assembled,
            // Well ended: it has its result, and the answer to that is on its way.
            ended = &mut running => return Ok(Solved { id: image_id(&ended?)?, layers: None }),
        };
        let error = match assembled {
            Ok(layers) => return Ok(Solved { id: image_id(&running.await?)?, layers: Some(layers) }),
            Err(error) => error,
        };
        // The job ends in order, so that its last output is heard.
        let status = match &error {
            BuildError::Status(status) => status.clone(),
            BuildError::Solve(_) => Status::aborted("refused by the client"),
        };
        let _ = self.job.fail(&status).await;
        Err(error)
    }

    /// Runs a job that makes what is below the account, and gives the account's
    /// layer.
    pub(super) async fn user_layer(&self) -> Result<UserLayer, BuildError> {
        let Some(account) = &self.solve.user else { return Ok(UserLayer::default()) };
        let layer = async {
            let mut draft = self.below_account().await?;
            let below = draft.layers.len();
            let layer = self.layer(&mut draft, account).await?;
            let _ = self.job.succeed("", None).await;
            Ok(UserLayer { layer, sudo: draft.layers.len() > below })
        };
        tokio::select! {
            layer = layer => layer,
            Err(status) = self.job.run(self.session, Export::Nothing) => Err(status.into()),
        }
    }

    /// Gives how many layers the image should have.
    async fn assemble(&self) -> Result<usize, BuildError> {
        let mut draft = self.below_account().await?;
        if let Some(account) = &self.solve.user {
            self.add_user(&mut draft, account).await?;
        }
        self.finish(draft).await
    }

    /// All that an image is made of but its account.
    async fn below_account(&self) -> Result<ImageDraft, BuildError> {
        let missing = self.job.opened().await?;
        if !missing.is_empty() {
            let cause = format!("its BuildKit lacks {}", missing.join(", "));
            let address = self.address.to_string();
            return Err(BuildError::Solve(Error::NoBuildKit { address, cause }.into()));
        }
        self.content.add_secrets(&self.solve.secrets);
        let mut draft = match &self.solve.start {
            Start::Image(reference) => self.start_image(reference).await?,
            Start::Dockerfile(build) => self.start_dockerfile(build).await?,
        };
        for step in &self.solve.steps {
            self.add_step(&mut draft, step);
        }
        Ok(draft)
    }

    /// The draft's state, run by BuildKit.
    pub(super) async fn evaluate(&self, draft: &ImageDraft) -> Result<Ref, BuildError> {
        match draft.state.definition() {
            Some(definition) => Ok(self.job.solve(definition).await?),
            None => Ok(Ref::default()),
        }
    }

    async fn finish(&self, mut draft: ImageDraft) -> Result<usize, BuildError> {
        let result = match draft.known.take() {
            Some(known) => known,
            None => self.evaluate(&draft).await?,
        };
        draft.config.change(&self.solve.config);
        let from_image = matches!(self.solve.start, Start::Image(_));
        let triggers = if from_image { draft.config.drop_triggers() } else { 0 };
        if triggers > 0 {
            let text = format!(
                "what it is based on has {}, which only a Dockerfile's FROM runs: the image has none of it",
                human::count(triggers, "ONBUILD instruction")
            );
            let _ = self.events.send(Event::Warning { image: Some(self.solve.node.clone()), text });
        }
        draft.config.add_layers(&draft.layers, from_image);
        // Every byte is then decided by the input, and so is the image's ID.
        let timeless = draft.layers.iter().all(|layer| layer.created.is_some());
        if from_image && self.solve.user.is_some() && timeless {
            draft.config.fix_times(&account::fixed_time());
        }
        self.job.succeed(&result.id, Some(draft.config.to_bytes())).await?;
        Ok(draft.config.layer_count())
    }

    pub(super) fn step(&self, title: &str) -> Step {
        Step { title: title.to_owned(), no_cache: self.solve.no_cache }
    }

    async fn start_image(&self, reference: &Reference) -> Result<ImageDraft, BuildError> {
        let resolved = self.job.resolve(&reference.canonical(), "default").await?;
        Ok(ImageDraft {
            state: State::image(reference),
            known: None,
            config: parse(&resolved.config)?,
            layers: Vec::new(),
            origin: Some(sha256(&resolved.config)),
        })
    }

    async fn start_dockerfile(&self, build: &DockerfileBuild) -> Result<ImageDraft, BuildError> {
        self.content.add_context(&build.context, &build.files);
        let context = State::local(&Local {
            name: build.context.id.clone(),
            session: self.session.to_owned(),
            title: format!("load context {}", build.context.root.display()),
        });
        let title = Step::new(format!("load {}", build.path.display()));
        let dockerfile = State::file("/Dockerfile", build.dockerfile.as_bytes(), 0o644, &title);
        let inputs = [("context", context), ("dockerfile", dockerfile)];
        let inputs = inputs.into_iter().filter_map(|(name, state)| Some((name, state.definition()?)));
        let frontend = self.job.dockerfile(self.options(build), inputs).await?;
        let state = match frontend.result.def.clone().filter(|d| !d.def.is_empty()) {
            Some(definition) => {
                self.reader.progress().source.clone_from(&definition.source);
                State::from_pb(definition)
                    .map_err(|e| BuildError::refused(format!("the engine answered {e}"), None))?
            }
            None => State::scratch(),
        };
        let (known, config) = (Some(frontend.result), parse(&frontend.config)?);
        Ok(ImageDraft { state, known, config, layers: Vec::new(), origin: None })
    }

    fn options(&self, build: &DockerfileBuild) -> HashMap<String, String> {
        let args = self.solve.proxy.iter().chain(&build.args);
        let mut options: HashMap<String, String> =
            args.map(|(name, value)| (format!("build-arg:{name}"), value.clone())).collect();
        if let Some(target) = &build.target {
            options.insert("target".into(), target.clone());
        }
        if self.solve.no_cache {
            options.insert("no-cache".into(), String::new());
        }
        options
    }

    pub(super) fn add_step(&self, draft: &mut ImageDraft, step: &ExecStep) {
        let mut env = draft.config.env();
        for (name, value) in &step.env {
            config::set(&mut env, name, value);
        }
        let exec =
            Exec { argv: step.argv.clone(), env, proxy: self.solve.proxy.clone(), mounts: mounts(step) };
        draft.state = draft.state.exec(&exec, &self.step(&step.title));
        draft.known = None;
        draft.layers.push(HistoryEntry { made_by: step.title.clone(), created: None });
    }
}

fn image_id(exported: &HashMap<String, String>) -> Result<ImageId, BuildError> {
    // What the engine calls the image in its store: the config's digest, or
    // the manifest's where it keeps images in containerd.
    let id = exported.get("containerimage.digest");
    id.map(ImageId::new).ok_or_else(|| BuildError::refused("the engine names no image after the build", None))
}

fn parse(config: &[u8]) -> Result<ImageConfig, BuildError> {
    ImageConfig::parse(config).map_err(|e| BuildError::refused(e, None))
}

fn mounts(step: &ExecStep) -> Vec<Mount> {
    let caches = step.caches.iter().map(|(target, id)| Mount::Cache {
        target: target.clone(),
        id: id.clone(),
        locked: APT.iter().any(|folder| target.starts_with(folder)),
    });
    let secrets =
        step.secrets.iter().map(|(target, id)| Mount::Secret { target: target.clone(), id: id.clone() });
    let tmpfs = step.tmpfs.iter().map(|target| Mount::Tmpfs { target: target.clone() });
    let files = step
        .files
        .iter()
        .map(|(target, content)| Mount::File { target: target.clone(), content: content.clone() });
    // A tmpfs first: what is mounted into it comes after.
    tmpfs.chain(caches).chain(secrets).chain(files).collect()
}
