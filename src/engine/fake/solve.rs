//! Reading a solve into steps and the image they make, and acting them out.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::store::{Store, Stored};
use super::{FakeEngine, dockerfile};
use crate::engine::{Error, SolveError, UserLayer};
use crate::image::solve::{ConfigChange, DockerfileBuild, ExecStep, Solve, Start};
use crate::image::user_layer::{self, BaseFacts, FactKind, FileFact};
use crate::model::event::{Event, Events, Excerpt, Failure, StepState};
use crate::model::labels::NAMESPACE;
use crate::model::names::NodeName;
use crate::model::reference::Reference;

impl FakeEngine {
    /// Counts a solve in; gives how many of this image there were with it.
    pub(super) fn enter(&self, node: &NodeName) -> Result<(Running<'_>, usize), Error> {
        let mut state = self.reached()?;
        state.solves.push(node.clone());
        let attempt = state.solves.iter().filter(|name| *name == node).count();
        state.running += 1;
        state.most_running = state.most_running.max(state.running);
        drop(state);
        Ok((Running(self), attempt))
    }
}

/// A solve under way; counted until it is dropped, also when it is cancelled.
pub(crate) struct Running<'a>(&'a FakeEngine);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

/// What a solve does, and what comes of it.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) steps: Vec<Step>,
    pub(crate) image: Stored,
}

/// One step as it is shown and acted out.
#[derive(Debug)]
pub(crate) struct Step {
    name: String,
    script: String,
    excerpt: Option<Excerpt>,
}

/// Reads a solve against what is in the store and the registries.
pub(crate) fn read(solve: &Solve, store: &Store) -> Result<Work, SolveError> {
    let (mut image, mut steps) = match &solve.start {
        Start::Image(reference) => (base(reference, store)?, Vec::new()),
        Start::Dockerfile(build) => from_dockerfile(build, store)?,
    };
    image.labels.retain(|name, _| !name.starts_with(NAMESPACE));
    image.digests.clear();
    // Used up by what is built FROM it, or left out.
    image.onbuild.clear();
    for step in &solve.steps {
        image.layers.push(step.argv.join(" "));
        steps.push(exec(step, solve)?);
    }
    if let Some(account) = &solve.user {
        image.layers.push(format!("account {}", account.name));
        image.account = Some(account.clone());
    }
    change(&mut image, &solve.config);
    Ok(Work { steps, image })
}

/// What an account lays on any image of the fake, which has one account: root.
pub(crate) fn user_layer(solve: &Solve) -> Result<UserLayer, SolveError> {
    let Some(account) = &solve.user else { return Ok(UserLayer::default()) };
    let mut base = BaseFacts::default();
    // What is asked for next depends on what is known; three rounds are enough.
    for _ in 0..4 {
        for want in user_layer::missing_inputs(&base, account) {
            let kind = match want.path() {
                "/etc/passwd" => FactKind::File(Some(b"root:x:0:0:root:/root:/bin/sh\n".to_vec())),
                "/etc/group" => FactKind::File(Some(b"root:x:0:\n".to_vec())),
                "/" => FactKind::Dir(Some(["etc".to_owned()].into())),
                _ => FactKind::Absent,
            };
            let fact = match kind {
                FactKind::Absent => FileFact::absent(),
                kind => FileFact { kind, mode: 0o644, uid: 0, gid: 0 },
            };
            base.learn(want.path(), fact);
        }
    }
    let layer = user_layer::layer(&base, account).map_err(|refusal| failed(refusal.to_string()))?;
    Ok(UserLayer { layer, sudo: false })
}

fn base(reference: &Reference, store: &Store) -> Result<Stored, SolveError> {
    let missing = || failed(format!("base image `{reference}` is in no store and no registry"));
    store.base(reference).ok_or_else(missing)
}

fn from_dockerfile(build: &DockerfileBuild, store: &Store) -> Result<(Stored, Vec<Step>), SolveError> {
    let script = dockerfile::read(&build.dockerfile, build.target.as_deref(), &build.args).map_err(failed)?;
    let find = |name: &String| base(&Reference::parse(name).map_err(failed)?, store);
    for name in &script.reads {
        find(name)?;
    }
    let mut image = script.base.as_ref().map_or_else(|| Ok(Stored::default()), find)?;
    let below = image.layers.len();
    image.layers.extend(script.layers);
    // Args and files decide what a layer holds, so they decide the id. Those
    // of the base are as they were.
    if let Some(top) = image.layers[below..].last_mut() {
        *top = format!("{top} with {:?} of {}", build.args, build.context.id);
    }
    let count = script.steps.len() + 1;
    let excerpt =
        |lines| Excerpt { path: build.path.clone(), lines, text: build.dockerfile.as_ref().to_owned() };
    let step = |(n, step): (usize, dockerfile::Step)| Step {
        name: format!("[{}/{count}] {}", n + 2, step.text),
        script: step.script,
        excerpt: Some(excerpt(step.lines)),
    };
    Ok((image, script.steps.into_iter().enumerate().map(step).collect()))
}

fn exec(step: &ExecStep, solve: &Solve) -> Result<Step, SolveError> {
    if let Some(id) = step.secrets.values().find(|id| !solve.secrets.contains_key(*id)) {
        return Err(failed(format!("secret `{id}` of step `{}` was not given", step.title)));
    }
    let script = match step.argv.as_slice() {
        [_, c, script] if c == "-c" => script.clone(),
        words => words.join(" "),
    };
    Ok(Step { name: step.title.clone(), script, excerpt: None })
}

fn change(image: &mut Stored, config: &ConfigChange) {
    if let Some(given) = &config.instead {
        let texts = |key: &str| {
            let list = given.get(key).and_then(|list| list.as_array()).into_iter().flatten();
            list.filter_map(|text| text.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let text = |key: &str| given.get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
        let labels = given.get("Labels").and_then(|labels| labels.as_object()).into_iter().flatten();
        let label = |(k, v): (&String, &serde_json::Value)| Some((k.clone(), v.as_str()?.to_owned()));
        image.labels = labels.filter_map(label).filter(|(name, _)| !name.starts_with(NAMESPACE)).collect();
        image.command = [texts("Entrypoint"), texts("Cmd")].concat();
        (image.env, image.user, image.workdir) = (texts("Env"), text("User"), text("WorkingDir"));
    }
    image.labels.retain(|name, _| !config.drop_labels.contains(name));
    image.labels.extend(config.labels.clone());
    let mut env: BTreeMap<String, String> = image
        .env
        .iter()
        .filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    env.extend(config.env.clone());
    if !config.path_first.is_empty() {
        let path = env.entry("PATH".into()).or_default();
        let old = (!path.is_empty()).then(|| path.clone());
        *path = config.path_first.iter().cloned().chain(old).collect::<Vec<_>>().join(":");
    }
    image.env = env.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    image.user = config.user.clone().unwrap_or_else(|| image.user.clone());
    image.workdir = config.workdir.clone().unwrap_or_else(|| image.workdir.clone());
}

/// Acts the steps out, one after another. `attempt` counts the solves of this
/// image from 1.
pub(crate) async fn run(
    steps: &[Step],
    solve: &Solve,
    attempt: usize,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<(), SolveError> {
    for (n, step) in steps.iter().enumerate() {
        let id = format!("{}#{n}", solve.node);
        let tell = |state| {
            let (image, id, name) = (solve.node.clone(), id.clone(), step.name.clone());
            // Nobody listening is no reason to stop.
            drop(events.send(Event::Step { image, id, name, state }));
        };
        tell(StepState::Started);
        let began = Instant::now();
        let mut output = Vec::new();
        let write = |line: &str| {
            let (image, text) = (solve.node.clone(), format!("{line}\n"));
            drop(events.send(Event::Log { image, step: id.clone(), text }));
        };
        let code = tokio::select! {
            biased;
            () = cancel.cancelled(), if !is_deaf(&step.script) => return Err(SolveError::Cancelled),
            code = shell(&step.script, attempt, &mut output, write) => code,
        };
        if code != 0 {
            let message = format!("step failed with exit code {code}");
            tell(StepState::Failed { message: message.clone() });
            return Err(SolveError::Failed(Box::new(Failure {
                step: Some(step.name.clone()),
                exit_code: Some(code),
                output,
                excerpt: step.excerpt.clone(),
                ..failure(message)
            })));
        }
        let millis = began.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        tell(StepState::Done { cached: false, millis });
    }
    if cancel.is_cancelled() { Err(SolveError::Cancelled) } else { Ok(()) }
}

/// Whether a step goes on when it is told to stop, as a shell does after `trap`.
fn is_deaf(script: &str) -> bool {
    script.trim_start().starts_with("trap ")
}

/// Interprets commands up to the first that fails; gives the exit code.
async fn shell(script: &str, attempt: usize, output: &mut Vec<String>, write: impl Fn(&str)) -> i32 {
    for command in script.split("&&").flat_map(|part| part.split(';')) {
        let command = command.trim();
        let (program, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match program {
            "false" => return 1,
            "exit" => return rest.trim().parse().unwrap_or(2),
            "sleep" => {
                let time = rest.trim().parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
                tokio::time::sleep(time.unwrap_or_default()).await;
            }
            "echo" => {
                write(rest);
                output.push(rest.to_owned());
            }
            "fail-resolving" if rest.trim().parse().is_ok_and(|times| attempt <= times) => {
                let line = "Temporary failure in name resolution";
                write(line);
                output.push(line.to_owned());
                return 1;
            }
            _ => {}
        }
    }
    0
}

fn failed(message: String) -> SolveError {
    SolveError::Failed(Box::new(failure(message)))
}

fn failure(message: String) -> Failure {
    Failure {
        message,
        step: None,
        exit_code: None,
        output: Vec::new(),
        excerpt: None,
        help: None,
        engine: false,
        check: false,
    }
}
