//! `deploy`: a container from a project's image, or from any image that its
//! owner's account is put onto. What was typed becomes a request; the rest is
//! [`crate::deploy`]'s.

mod show;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::args::{BuildArgs, DeployArgs};
use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use super::signals::{self, Signals};
use super::{build, check, plan};
use crate::admin::doctor;
use crate::build::BuildEnvironment;
use crate::build::user_layer;
use crate::deploy::folders::{self, TypedFolders};
use crate::deploy::gpus::{is_for_amd, read_device_files};
use crate::deploy::image::{self, AccountLayer};
use crate::deploy::options;
use crate::deploy::owner::Owner;
use crate::deploy::start::{self, Machine};
use crate::deploy::target::{self, Located, Lookup, Source, Target};
use crate::deploy::{DeployError, DeployOptions, DeployRequest, Deployed};
use crate::engine::{Engine, SolveError};
use crate::gpu::nvml::{GpuProbe, NvmlProbe};
use crate::gpu::request::GpuRequest;
use crate::model::event::Events;
use crate::model::problem::Problem;
use crate::plan::{Planned, Selection};
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};
use crate::ui;

pub(crate) async fn run(session: &Session, args: &DeployArgs) -> Result<Exit, CliError> {
    check_name(args)?;
    let options = options(args).map_err(CliError::usage)?;
    // NVML may take its time, and nobody is to wait for it with the lock.
    let wants_gpus = options.gpus != GpuRequest::Nothing;
    let probe = wants_gpus.then(|| NvmlProbe::open(session.nvml_library.clone()));
    let signals = signals::listen()?;
    let (spec, graph) = session.spec()?;
    let (caller, people) = (session.caller(Some(&spec)), session.people.as_ref());
    let (word, pull) = (args.image.as_str(), args.pull);
    let lookup = Lookup { word, pull, spec: &spec, graph: &graph, people, caller: &caller };
    let named = args.user.as_ref().map(|login| lookup.named_owner(login)).transpose()?;
    let target = lookup.target(named.as_ref().map_or(session.uid, |owner| owner.account.uid));
    // Whom it is for is known before the engine is asked for anything.
    let owner = lookup.owner(target, named)?;
    let engine = session.engine().await?;
    let engine = engine.as_ref();
    let (source, owner) = find_source(session, lookup, target, owner, engine).await?;
    check::uids(session, &spec, [&owner.account.login])?;
    let name = args.name.clone().unwrap_or_else(|| source.name.clone());
    let typed = TypedFolders {
        here: &session.here,
        workspace: args.workspace.as_deref(),
        data: args.data.as_deref(),
        models: args.models.as_deref(),
        mounts: &args.mounts,
    };
    let folders = folders::find(typed, &name, &owner, people, caller.is_administrator())?;
    let facts = engine.info().await?;
    let around = if owner.account.sudo {
        build::surroundings(session, &BuildArgs::default(), &spec)?
    } else {
        BuildEnvironment::default()
    };
    let layer = AccountLayer::find(&source, &owner.account, &facts.platform, &around, engine).await?;
    let probe = probe.filter(|_| !is_for_amd(&source.image));
    if probe.is_some() && !facts.local {
        return Err(DeployError::Elsewhere.into());
    }
    let locks = session.locks(&facts.id)?;
    let mut request = DeployRequest {
        name,
        project: source.project.clone(),
        owner,
        image: layer.image(&source).clone(),
        workspace: folders.workspace().to_owned(),
        mounts: folders.mounts.clone(),
        options,
    };
    let (files, users) = (read_device_files(Path::new("/")), |uid| session.login(uid));
    let never = CancellationToken::new();
    let machine = Machine {
        engine,
        facts: &facts,
        locks: &locks,
        gpus: probe.as_ref().map(|probe| probe as &dyn GpuProbe),
        device_files: &files,
        users: &users,
        limit: Duration::from_secs(args.wait),
        cancel: &never,
    };
    // Refused before anything is made for it; under the lock it is decided anew.
    let is_missing = matches!(layer, AccountLayer::Missing { .. });
    if args.dry_run || is_missing || !folders.workspace().is_dir() {
        let decision = start::preview(&machine, &request).await?;
        if args.dry_run {
            return show::show_request(session, &decision, &layer, &source, &request.owner);
        }
    }
    folders::make(&folders, &request.owner.account)?;
    if let AccountLayer::Missing { layer, why } = &layer {
        let login = &request.owner.account.login;
        let reason = format!("{} gets the account of {login}, since {why}", source.reference);
        let working = signals.working();
        let cancel = working.token();
        request.image = reported(session, async |events| {
            image::put_account(engine, &locks, &source.image, layer, &reason, events, cancel).await
        })
        .await?;
    }
    let deployed = start(&signals, machine, &request).await?;
    show::report(session, &deployed, &source, &request)
}

/// A signal removes what was not started yet.
async fn start(
    signals: &Signals,
    machine: Machine<'_>,
    request: &DeployRequest,
) -> Result<Deployed, DeployError> {
    let working = signals.working();
    start::deploy(&Machine { cancel: working.token(), ..machine }, request).await
}

/// `--name` is taken as it is, so it must be a name already.
fn check_name(args: &DeployArgs) -> Result<(), CliError> {
    let Some(typed) = &args.name else { return Ok(()) };
    let name = user_layer::named(typed);
    if name.as_ref() == Some(typed) {
        return Ok(());
    }
    let problem = Problem::new(format!("`{}` is no container name", typed.escape_debug()));
    let grammar = "use small letters, digits and single `.`, `_`, `-` between them";
    Err(CliError::usage(problem.help(match name {
        Some(name) => format!("{grammar}: `{name}`"),
        None => grammar.to_owned(),
    })))
}

/// What was typed of GPUs, sizes, ports and the program.
///
/// # Errors
/// One of the options means nothing.
pub(crate) fn options(args: &DeployArgs) -> Result<DeployOptions, Problem> {
    let (gpus, mig, memory) = (args.gpus.as_deref(), args.mig.as_deref(), args.gpu_memory.as_deref());
    Ok(DeployOptions {
        gpus: GpuRequest::parse(gpus, mig, memory, args.cpu_only)?,
        cpus: args.cpus.map(options::cpus).transpose()?,
        memory: args.memory.as_deref().map(options::memory).transpose()?,
        shm_size: args.shm_size.as_deref().map(options::shm_size).transpose()?,
        ports: args.publish.iter().map(|text| options::port(text)).collect::<Result<_, _>>()?,
        env: args.env.iter().map(|text| options::variable(text)).collect::<Result<_, _>>()?,
        command: (!args.command.is_empty()).then(|| args.command.clone()),
    })
}

/// The image behind the word, and for whom the container is.
async fn find_source(
    session: &Session,
    lookup: Lookup<'_>,
    mut target: Option<Target<'_>>,
    mut owner: Option<Owner>,
    engine: &dyn Engine,
) -> Result<(Source, Owner), CliError> {
    let mut located = None;
    if target.is_none() {
        located = lookup.image(engine).await?;
        if located.is_none() {
            target = Some(lookup.others()?);
            owner = lookup.owner(target, owner)?;
        }
    }
    let mut located = match (located, target) {
        (None, Some(target)) => locate(session, lookup, target, engine).await?,
        (located, _) => located.expect("an image or a name of the spec was found"),
    };
    let image = match located.image.take() {
        Some(image) => image,
        None => {
            let reference = &located.reference;
            reported(session, async |events| image::pull(engine, reference, events).await).await?
        }
    };
    let source = lookup.source(target, located, image)?;
    let owner = owner.map_or_else(|| lookup.caller(), Ok)?;
    owner.check_account()?;
    Ok((source, owner))
}

/// The image of a name of the spec.
async fn locate(
    session: &Session,
    lookup: Lookup<'_>,
    target: Target<'_>,
    engine: &dyn Engine,
) -> Result<Located, CliError> {
    Ok(match target {
        Target::Project(node, project) => {
            let mut located = lookup.built(engine, node, project).await?;
            if let (Some(image), Some(planned)) =
                (&located.image, planned(session, lookup, engine, node).await)
            {
                located.behind = target::is_behind(image, &planned);
            }
            located
        }
        Target::Shared(node) => match lookup.external(node) {
            Some(reference) => {
                let pins = session.pins()?;
                let pinned = pins.of(reference).map(|pin| reference.pinned(pin.digest()));
                lookup.base(engine, reference, pinned).await?
            }
            None => {
                let planned = planned(session, lookup, engine, node).await;
                lookup.newest(engine, lookup.graph.node(node), planned.as_ref()).await?
            }
        },
    })
}

/// What a build would do with it. A base that cannot be asked must not keep
/// anyone from their container.
async fn planned(
    session: &Session,
    lookup: Lookup<'_>,
    engine: &dyn Engine,
    node: NodeId,
) -> Option<Planned> {
    let selection = Selection::with_bases(lookup.graph, &[node]);
    let made = plan::make(session, lookup.spec, lookup.graph, engine, &selection).await;
    made.ok()?.plan.images.pop()
}

/// Shows the progress of a piece of work.
async fn reported<T>(
    session: &Session,
    work: impl AsyncFnOnce(&Events) -> Result<T, DeployError>,
) -> Result<T, CliError> {
    let (events, received) = mpsc::unbounded_channel();
    let progress = session.progress.resolve(&session.screen);
    let reporter = ui::reporter(progress, session.screen.stderr_style());
    let reports = tokio::spawn(ui::drive(received, vec![reporter], None));
    let done = work(&events).await;
    drop(events);
    reports.await.map_err(|e| CliError::bug(format!("the report broke off: {e}")))?;
    Ok(done?)
}

impl From<DeployError> for CliError {
    fn from(error: DeployError) -> Self {
        let problem = Problem { help: error.help(), ..Problem::new(error.to_string()) };
        let is_left = matches!(error, DeployError::Left { .. });
        match error.cause() {
            // The report has told already.
            DeployError::Image(error) => Self {
                exit: match error {
                    SolveError::Cancelled => Exit::Interrupted,
                    SolveError::Failed(_) => Exit::BuildFailed,
                    SolveError::Engine(_) => Exit::Engine,
                },
                problems: Vec::new(),
            },
            DeployError::Cancelled if is_left => Self { exit: Exit::Interrupted, problems: vec![problem] },
            DeployError::Cancelled => Self::interrupted(),
            DeployError::Driver(state) => {
                let finding = doctor::machine::gpu_driver(state);
                let message = format!("the GPUs cannot be seen: {}", finding.message);
                Self::engine(Problem { help: finding.help, ..Problem::new(message) })
            }
            DeployError::NoGpus(_) | DeployError::Engine(_) => Self::engine(problem),
            DeployError::Lock(_) | DeployError::Usage(_) => Self::usage(problem),
            _ => Self::refused(problem),
        }
    }
}

/// The project of that name; of several people's, the caller's own.
///
/// # Errors
/// There is none, or there are several of others.
pub(super) fn find(spec: &Spec, graph: &Graph, name: &str, uid: u32) -> Result<NodeId, CliError> {
    match target::own_project(spec, graph, name, uid) {
        Some(node) => Ok(node),
        None => graph.find(name).map_err(CliError::usage),
    }
}
