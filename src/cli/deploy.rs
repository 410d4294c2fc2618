//! `deploy`: a container from a project's image, or from any image that its
//! owner's account is put onto. What was typed becomes a request; the rest is
//! [`crate::deploy`]'s.

mod show;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::args::{BuildArgs, DeployArgs};
use super::build;
use super::error::CliError;
use super::exit::Exit;
use super::plan;
use super::report;
use super::session::Session;
use super::signals;
use crate::admin::doctor;
use crate::deploy::create::Machine;
use crate::deploy::folders::TypedFolders;
use crate::deploy::gpus::read_device_files;
use crate::deploy::options;
use crate::deploy::prepare::{self, Arguments};
use crate::deploy::target::{self, Lookup};
use crate::deploy::{DeployError, DeployOptions};
use crate::engine::SolveError;
use crate::gpu::nvml::{GpuProbe, NvmlProbe};
use crate::gpu::request::GpuRequest;
use crate::model::problem::Problem;
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};

pub(crate) async fn run(session: &Session, args: &DeployArgs) -> Result<Exit, CliError> {
    let name = args.name.as_deref().map(options::name).transpose().map_err(CliError::usage)?;
    let options = options(args).map_err(CliError::usage)?;
    // NVML may take its time, and nobody is to wait for it with the lock.
    let wants_gpus = options.gpus != GpuRequest::Nothing;
    let probe = wants_gpus.then(|| NvmlProbe::open(session.nvml_library.clone()));
    let signals = signals::listen()?;
    let (spec, graph) = session.spec()?;
    let (caller, people) = (session.caller(Some(&spec)), session.people.as_ref());
    let (word, pull) = (args.image.as_str(), args.pull);
    let lookup = Lookup { word, pull, spec: &spec, graph: &graph, people, caller: &caller };
    let found = lookup.in_spec(args.user.as_deref())?;
    let (engine, registry) = (session.engine().await?, session.registry(&spec));
    let engine = engine.as_ref();
    let pins = session.pins()?;
    let plan = plan::context(session, (&spec, &graph), engine, registry.as_ref(), &pins);
    let progress = report::start(session, None);
    let resolved = lookup.resolve(found, &plan, &progress.events).await;
    report::finish(progress).await?;
    let resolved = resolved?;
    let facts = engine.info().await?;
    let locks = session.locks(&facts.id)?;
    let (files, users) = (read_device_files(Path::new("/")), |uid| session.login(uid));
    let never = CancellationToken::new();
    let mut machine = Machine {
        engine,
        facts: &facts,
        locks: &locks,
        gpus: probe.as_ref().map(|probe| probe as &dyn GpuProbe),
        device_files: &files,
        users: &users,
        limit: Duration::from_secs(args.wait),
        cancel: &never,
    };
    let folders = TypedFolders {
        here: &session.here,
        workspace: args.workspace.as_deref(),
        data: args.data.as_deref(),
        models: args.models.as_deref(),
        mounts: &args.mounts,
    };
    let arguments = Arguments { name, folders, options };
    let environment =
        build::surroundings(session, &BuildArgs::default(), &spec).map_err(|error| error.problems);
    let mut prepared =
        prepare::prepare(&mut machine, resolved, arguments, (people, &caller), environment).await?;
    if args.dry_run {
        return show::show_request(session, &prepared.preview(&machine).await?, &prepared);
    }
    // A signal removes what was not started yet.
    let working = signals.working();
    let progress = report::start(session, None);
    let deployed = prepared.deploy(&Machine { cancel: working.token(), ..machine }, &progress.events).await;
    report::finish(progress).await?;
    show::report(session, &deployed?, &prepared)
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
            DeployError::Spec(problems) => Self::problems(problems.clone()),
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
