//! `container start`: under the machine's lock, so that nobody is given the
//! container's GPUs between the look at them and its start.

use std::time::Duration;

use futures::StreamExt;

use super::asked::{Done, Here, each};
use crate::admin::doctor;
use crate::cli::args::StartArgs;
use crate::cli::deploy::{giving, making};
use crate::cli::exit::Exit;
use crate::cli::load::{self, CliError};
use crate::cli::settings::Settings;
use crate::cli::signals::{self, Signals, Working};
use crate::container::begin::{self, Watch};
use crate::container::start::{self, Obstacle};
use crate::container::{Action, Asked};
use crate::deploy::assign::{self, Stopped};
use crate::deploy::limits;
use crate::engine::{Container, ContainerState, Engine, Error, Facts, Logs};
use crate::gpu::claims::{self, Claim, GpuClaim};
use crate::gpu::nvml::{GpuProbe, NvmlProbe};
use crate::gpu::overview::Overview;
use crate::gpu::usage::overview;
use crate::host::lock::{ContainerLease, MachineLock};
use crate::model::labels::read::Owner;
use crate::model::problem::Problem;
use crate::ui::text::clean;

/// Longest wait for one who only looks whether somebody is at the container.
const LEAVING: Duration = Duration::from_secs(1);
/// Lines of a program that ended at once.
const LAST: u32 = 10;
/// Longest wait for those last lines.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(settings: &Settings, args: &StartArgs) -> Result<Exit, CliError> {
    let here = Here::look(settings).await?;
    let signals = signals::listen().map_err(|e| CliError::bug(format!("no signal handlers: {e}")))?;
    each(settings, &args.containers, async |name| start(settings, args, &here, &signals, name).await).await
}

async fn start(
    settings: &Settings,
    args: &StartArgs,
    here: &Here,
    signals: &Signals,
    name: &str,
) -> Result<Done, CliError> {
    let container = here.may(settings, Action::Start, Asked { name, force: args.force })?;
    let full = container.name.clone();
    let done = |outcome, message| Ok(Done { container: full.clone(), outcome, message });
    match container.state {
        ContainerState::Running | ContainerState::Restarting => {
            return done("running", format!("{full} runs already: {}", container.status));
        }
        ContainerState::Paused => {
            let problem = Problem::new(format!("container `{full}` is paused"));
            return Err(CliError::Refused(problem.help(format!("`docker unpause {full}` lets it go on"))));
        }
        _ => {}
    }
    let engine = here.engine.as_ref();
    let facts = engine.facts().await?;
    if args.dry_run {
        look(settings, here, container, facts.local).await?;
        return done("would_start", format!("{full} would be started; nothing was done"));
    }
    let turn = LockOutcome::wait(settings, &facts, signals, args, &full).await?;
    look(settings, here, container, facts.local).await?;
    // It holds its GPUs by its labels: others need not wait for its start.
    let living = turn.done_looking();
    let ended = begin::begin(engine, &container.id, Watch::Closely, ()).await?;
    drop(living);
    let Some(code) = ended else {
        return done(
            "started",
            format!("{full} runs; `ds01-build container enter {full}` opens a shell in it"),
        );
    };
    let wrote = last_lines(engine, &container.id).await;
    let text = format!("{full} was started, and its program has ended already with code {code}");
    if begin::could_not_run(code) {
        let message = format!("its program is not in the image or cannot be run (code {code}){wrote}");
        return Err(Error::Refused { action: format!("start container `{full}`"), message }.into());
    }
    done("ended", text + &wrote)
}

/// The machine, as long as this lives: nobody else gives away what it has, nor
/// takes the container for one that nobody will start. A signal is waited with
/// until it is handed back.
struct LockOutcome {
    machine: MachineLock,
    living: ContainerLease,
    working: Working,
}

impl LockOutcome {
    async fn wait(
        settings: &Settings,
        facts: &Facts,
        signals: &Signals,
        args: &StartArgs,
        container: &str,
    ) -> Result<Self, CliError> {
        let stopped = |stopped| giving::trouble(settings, stopped);
        let locks = making::locks(settings, &facts.id)?;
        let working = signals.working();
        let limit = Duration::from_secs(args.wait);
        let lock = assign::turn(&locks, limit, working.token(), &|uid| settings.login(uid)).await;
        let lock = lock.map_err(stopped)?;
        let living =
            locks.living_within(container, LEAVING).await.map_err(|error| stopped(Stopped::Lock(error)))?;
        let busy = || stopped(Stopped::Busy { name: container.to_owned() });
        Ok(Self { machine: lock, living: living.ok_or_else(busy)?, working })
    }

    /// Lets go of the machine, not yet of the container.
    fn done_looking(self) -> (ContainerLease, Working) {
        drop(self.machine);
        (self.living, self.working)
    }
}

/// Refused unless the container's GPUs are there and nobody else's.
async fn look(settings: &Settings, here: &Here, container: &Container, local: bool) -> Result<(), CliError> {
    let engine = here.engine.as_ref();
    let mut claimants = claims::read_all(engine).await?;
    let claim = start::claim(engine, container, &mut claimants).await?;
    if claim.is_empty() {
        return Ok(());
    }
    if !local {
        let message = format!("the GPUs of container `{}` cannot be seen from this machine", container.name);
        return Err(CliError::Refused(Problem::new(message).help("run this on the engine's own machine")));
    }
    let users = |uid| settings.login(uid);
    let machine = NvmlProbe::open(settings.nvml_library.clone()).machine().await;
    let seen = overview(&machine, Ok(&claimants), &users);
    let found = start::obstacles(container, &claim, &seen);
    if found.is_empty() {
        return allowed(settings, container, &claimants, &seen);
    }
    let (why, help) = match found.as_slice() {
        [Obstacle::Driver(state)] => {
            let finding = doctor::gpu::driver(state);
            (finding.message, finding.help.unwrap_or_else(|| "see what `nvidia-smi` says".into()))
        }
        _ => {
            let again = start::again(container, &here.caller, &users).join("\n");
            let help = "start it later, or save its files and make it anew with GPUs that are free:";
            (found.iter().map(Obstacle::to_string).collect::<Vec<_>>().join("; "), format!("{help}\n{again}"))
        }
    };
    let message = format!("container `{}` cannot have its GPUs: {why}", container.name);
    Err(CliError::Refused(Problem::new(message).help(help)))
}

/// Refused if its owner would hold more than they may: limits change, and of a
/// container that has no label for them nobody has counted the GPUs.
fn allowed(
    settings: &Settings,
    container: &Container,
    claimants: &[GpuClaim],
    seen: &Overview,
) -> Result<(), CliError> {
    let users = |uid| settings.login(uid);
    let counted = Claim::from_labels(&container.labels).is_some();
    let (spec, _) = match load::spec(settings) {
        Ok(read) => read,
        Err(_) if counted => return Ok(()),
        Err(trouble) => return Err(trouble),
    };
    let Some(Owner::Login(login)) = container.owner(&users) else {
        return Ok(());
    };
    let Some(limits) = spec.limits_of(&login) else {
        let problem = Problem::new(format!("no limits are known of {login}"));
        return Err(CliError::Refused(problem.help(format!("see `ds01-build limits {login}`"))));
    };
    let containers: Vec<_> = claimants.iter().map(|one| one.container.clone()).collect();
    limits::may_run(container, &login, &limits, &containers, seen, &users)
        .map_err(|refusal| CliError::Refused(Problem::new(refusal.to_string()).help(refusal.help())))
}

/// What a program wrote before it ended, for people.
async fn last_lines(engine: &dyn Engine, id: &str) -> String {
    let logs = Logs { tail: Some(LAST), ..Logs::default() };
    let read = async {
        let chunks = engine.logs(id, &logs).await.ok()?;
        let bytes: Vec<_> =
            chunks.filter_map(|chunk| async { chunk.ok() }).map(|chunk| chunk.bytes).concat().await;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    let text = tokio::time::timeout(PATIENCE, read).await.ok().flatten().unwrap_or_default();
    if text.is_empty() {
        return "; it wrote nothing".into();
    }
    let lines = text.lines().map(|line| format!("\n  {}", clean(line)));
    format!("; it wrote last:{}", lines.collect::<String>())
}
