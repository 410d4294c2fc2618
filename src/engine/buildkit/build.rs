//! Makes one image in one job: what it starts from, its steps, the account,
//! the config. The order is fixed by [`Solve`]; nothing is decided here.

use std::collections::HashMap;

use tonic::Status;

use super::config::{self, ImageConfig, Layer};
use super::job::{Export, Job, Ref};
use super::progress::{Seen, Watch};
use super::session::Offer;
use super::{Bases, account, failure};
use crate::engine::address::Address;
use crate::engine::llb::{Exec, Local, Mount, State, Step};
use crate::engine::{Error, SolveError, Solved, UserLayer};
use crate::image::solve::{DockerfileBuild, ExecStep, Solve, Start};
use crate::model::digest::sha256;
use crate::model::event::{Events, Failure};
use crate::model::names::ImageId;
use crate::model::reference::Reference;

/// Everything that one image is made with.
pub(super) struct Make<'a> {
    pub(super) solve: &'a Solve,
    pub(super) events: &'a Events,
    pub(super) job: &'a Job,
    pub(super) watch: &'a Watch<'a>,
    pub(super) offer: &'a Offer,
    pub(super) session: &'a str,
    pub(super) bases: &'a Bases,
    pub(super) address: &'a Address,
}

/// Why no image was made.
pub(super) enum Stop {
    /// BuildKit's own words.
    Said(Status),
    /// Ours.
    Known(SolveError),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Said(status)
    }
}

impl Stop {
    /// For people.
    pub(super) fn explain(self, solve: &Solve, seen: &Seen) -> SolveError {
        match self {
            Self::Said(status) => failure::explain(solve, &status, seen),
            Self::Known(error) => error,
        }
    }

    pub(super) fn refused(message: impl Into<String>, help: impl Into<Option<String>>) -> Self {
        let failure = Failure { message: message.into(), help: help.into(), ..Failure::default() };
        Self::Known(SolveError::Failed(Box::new(failure)))
    }

    /// What was built is not what was asked for.
    pub(super) fn unsound(message: String) -> Self {
        let failure = Failure { message, check: true, ..Failure::default() };
        Self::Known(SolveError::Failed(Box::new(failure)))
    }
}

/// An image under construction.
pub(super) struct Draft {
    pub(super) state: State,
    /// The state as BuildKit already knows it, while that is the whole state.
    pub(super) known: Option<Ref>,
    pub(super) config: ImageConfig,
    pub(super) layers: Vec<Layer>,
    /// The start's config as it came, which names the start's content.
    pub(super) origin: Option<String>,
}

impl Make<'_> {
    /// Runs the job from its opening to its end.
    pub(super) async fn run(&self) -> Result<Solved, Stop> {
        let export = Export::Image { cache: self.solve.inline_cache };
        let mut running = std::pin::pin!(self.job.run(self.session, export));
        let steered = tokio::select! {
            steered = self.steer() => steered,
            // Well ended: it was told its result, and we were not told so yet.
            ended = &mut running => return Ok(Solved { id: image_id(&ended?)?, layers: None }),
        };
        let stop = match steered {
            Ok(layers) => return Ok(Solved { id: image_id(&running.await?)?, layers: Some(layers) }),
            Err(stop) => stop,
        };
        // The job ends in order, so that its last output is heard.
        let status = match &stop {
            Stop::Said(status) => status.clone(),
            Stop::Known(_) => Status::aborted("refused by the client"),
        };
        let _ = self.job.fail(&status).await;
        Err(stop)
    }

    /// Runs a job that makes what the account would be laid on, and gives the
    /// layer.
    pub(super) async fn look(&self) -> Result<UserLayer, Stop> {
        let Some(account) = &self.solve.user else { return Ok(UserLayer::default()) };
        let asked = async {
            let mut draft = self.below_account().await?;
            let below = draft.layers.len();
            let layer = self.layer(&mut draft, account).await?;
            let _ = self.job.succeed("", None).await;
            Ok(UserLayer { layer, sudo: draft.layers.len() > below })
        };
        tokio::select! {
            layer = asked => layer,
            Err(status) = self.job.run(self.session, Export::Nothing) => Err(status.into()),
        }
    }

    /// Gives how many layers the image should have.
    async fn steer(&self) -> Result<usize, Stop> {
        let mut draft = self.below_account().await?;
        if let Some(account) = &self.solve.user {
            self.add_user(&mut draft, account).await?;
        }
        self.finish(draft).await
    }

    /// All that an image is made of but its account.
    async fn below_account(&self) -> Result<Draft, Stop> {
        let lacks = self.job.opened().await?;
        if !lacks.is_empty() {
            let cause = format!("its BuildKit lacks {}", lacks.join(", "));
            let address = self.address.to_string();
            return Err(Stop::Known(Error::NoBuildKit { address, cause }.into()));
        }
        self.offer.add_secrets(&self.solve.secrets);
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
    pub(super) async fn evaluate(&self, draft: &Draft) -> Result<Ref, Stop> {
        match draft.state.definition() {
            Some(definition) => Ok(self.job.solve(definition).await?),
            None => Ok(Ref::default()),
        }
    }

    async fn finish(&self, mut draft: Draft) -> Result<usize, Stop> {
        let result = match draft.known.take() {
            Some(known) => known,
            None => self.evaluate(&draft).await?,
        };
        draft.config.change(&self.solve.config);
        let from_image = matches!(self.solve.start, Start::Image(_));
        draft.config.add_layers(&draft.layers, from_image);
        // Every byte is then decided by the input, and so is the image's ID.
        let timeless = draft.layers.iter().all(|layer| layer.created.is_some());
        if from_image && self.solve.user.is_some() && timeless {
            draft.config.fix_times(&account::fixed_time());
        }
        self.job.succeed(&result.id, Some(draft.config.to_bytes())).await?;
        Ok(draft.config.told_layers())
    }

    pub(super) fn step(&self, title: &str) -> Step {
        Step { title: title.to_owned(), no_cache: self.solve.no_cache }
    }
}

fn image_id(exported: &HashMap<String, String>) -> Result<ImageId, Stop> {
    // What the engine calls the image in its store: the config's digest, or
    // the manifest's where it keeps images in containerd.
    let id = exported.get("containerimage.digest");
    id.map(ImageId::new).ok_or_else(|| Stop::refused("the engine names no image after the build", None))
}

impl Make<'_> {
    pub(super) async fn start_image(&self, reference: &Reference) -> Result<Draft, Stop> {
        let resolved = self.job.resolve(&reference.canonical(), "default").await?;
        Ok(Draft {
            state: State::image(reference),
            known: None,
            config: parse(&resolved.config)?,
            layers: Vec::new(),
            origin: Some(sha256(&resolved.config)),
        })
    }

    pub(super) async fn start_dockerfile(&self, build: &DockerfileBuild) -> Result<Draft, Stop> {
        self.offer.add_context(&build.context);
        let context = State::local(&Local {
            name: build.context.id.clone(),
            session: self.session.to_owned(),
            title: format!("load context {}", build.context.root.display()),
        });
        let title = Step::new(format!("load {}", build.path.display()));
        let dockerfile = State::file("/Dockerfile", build.dockerfile.as_bytes(), 0o644, &title);
        let inputs = [("context", context), ("dockerfile", dockerfile)];
        let inputs = inputs.into_iter().filter_map(|(name, state)| Some((name, state.definition()?)));
        let produced = self.job.dockerfile(self.options(build), inputs).await?;
        let state = match produced.result.definition.clone().filter(|d| !d.def.is_empty()) {
            Some(definition) => {
                self.watch.seen().source.clone_from(&definition.source);
                State::from_pb(definition)
                    .map_err(|e| Stop::refused(format!("the engine answered {e}"), None))?
            }
            None => State::scratch(),
        };
        let (known, config) = (Some(produced.result), parse(&produced.config)?);
        Ok(Draft { state, known, config, layers: Vec::new(), origin: None })
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
}

fn parse(config: &[u8]) -> Result<ImageConfig, Stop> {
    ImageConfig::parse(config).map_err(|e| Stop::refused(e, None))
}

/// Folders that apt locks against a second user, and so must we.
const APT: [&str; 2] = ["/var/cache/apt", "/var/lib/apt"];

impl Make<'_> {
    pub(super) fn add_step(&self, draft: &mut Draft, step: &ExecStep) {
        let mut env = draft.config.env();
        for (name, value) in &step.env {
            config::set(&mut env, name, value);
        }
        let exec =
            Exec { argv: step.argv.clone(), env, proxy: self.solve.proxy.clone(), mounts: mounts(step) };
        draft.state = draft.state.exec(&exec, &self.step(&step.title));
        draft.known = None;
        draft.layers.push(Layer { made_by: step.title.clone(), created: None });
    }
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
