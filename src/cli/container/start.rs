//! `container start`: under the machine's lock, so that nobody is given the
//! container's GPUs between their check and its start.

use std::time::Duration;

use clap::Args;
use futures::StreamExt;

use super::{Access, ActionReport, each};
use crate::admin::doctor;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::signals::{self, Signals};
use crate::container::permission::Action;
use crate::container::start::{self, Obstacle, StartCheck};
use crate::deploy::{DeployError, limits};
use crate::engine::{Container, ContainerState, Engine, Error, Logs};
use crate::gpu::claims::{self, Claim, GpuClaim};
use crate::gpu::nvml::{GpuProbe, NvmlProbe};
use crate::gpu::overview::Overview;
use crate::gpu::usage::overview;
use crate::model::labels::read::Owner;
use crate::model::problem::Problem;
use crate::ui::text::clean;

pub(super) const EXAMPLES: &str = "Examples:
  ds01-build container start thesis
  ds01-build container start thesis bert
  ds01-build container start thesis --dry-run    whether its GPUs are there and free

A container has the GPUs it was made with, and no others. Where one is gone, broken or somebody
else's by now, it is not started (exit code 5), and the commands that make it anew are shown.";

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Containers: `thesis`, or a whole name `thesis._.1722830498`
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
    /// Do it though it is protected (administrators)
    #[arg(long)]
    force: bool,
    /// How long to wait while others are given GPUs
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// Show what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Longest wait for one who only checks whether somebody is at the container.
const LEAVING: Duration = Duration::from_secs(1);
/// Lines of a program that ended at once.
const LAST: u32 = 10;
/// Longest wait for those last lines.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(session: &Session, args: &StartArgs) -> Result<Exit, CliError> {
    let access = Access::new(session).await?;
    let signals = signals::listen()?;
    each(session, &args.containers, async |name| start(&access, args, &signals, name).await).await
}

async fn start(
    access: &Access<'_>,
    args: &StartArgs,
    signals: &Signals,
    name: &str,
) -> Result<ActionReport, CliError> {
    let container = access.may(Action::Start, name, args.force)?;
    let name = &container.name;
    let report = |outcome, message| Ok(ActionReport { container: name.clone(), outcome, message });
    match container.state {
        ContainerState::Running | ContainerState::Restarting => {
            return report("running", format!("{name} runs already: {}", container.status));
        }
        ContainerState::Paused => {
            let problem = Problem::new(format!("container `{name}` is paused"));
            return Err(CliError::refused(problem.help(format!("`docker unpause {name}` lets it go on"))));
        }
        _ => {}
    }
    let (session, engine) = (access.session, access.engine.as_ref());
    let info = engine.info().await?;
    if args.dry_run {
        check_gpus(access, container, info.local).await?;
        return report("would_start", format!("{name} would be started; nothing was done"));
    }
    let locks = session.locks(&info.id)?;
    // A signal waits until it is started.
    let working = signals.working();
    let limit = Duration::from_secs(args.wait);
    let users = |uid| session.login(uid);
    let machine = crate::deploy::start::lock(&locks, limit, working.token(), &users).await?;
    // Nobody is to take it for one that is never started.
    let lease = locks.lease_within(name, LEAVING).await.map_err(DeployError::Lock)?;
    let lease = lease.ok_or_else(|| DeployError::Busy { name: name.clone() })?;
    check_gpus(access, container, info.local).await?;
    // It holds its GPUs by its labels: others need not wait for its start.
    drop(machine);
    let code = start::start(engine, &container.id, StartCheck::Close, ()).await?;
    drop((lease, working));
    let Some(code) = code else {
        let message = format!("{name} runs; `ds01-build container enter {name}` opens a shell in it");
        return report("started", message);
    };
    let wrote = last_lines(engine, &container.id).await;
    if start::could_not_run(code) {
        let message = format!("its program is not in the image or cannot be run (code {code}){wrote}");
        return Err(Error::Refused { action: format!("start container `{name}`"), message }.into());
    }
    report("ended", format!("{name} was started, and its program has ended already with code {code}{wrote}"))
}

/// Refused unless the container's GPUs are there and nobody else's.
async fn check_gpus(access: &Access<'_>, container: &Container, is_local: bool) -> Result<(), CliError> {
    let (session, engine) = (access.session, access.engine.as_ref());
    let mut claims = claims::read_all(engine).await?;
    let claim = start::claim(engine, container, &mut claims).await?;
    if claim.is_empty() {
        return Ok(());
    }
    if !is_local {
        let message = format!("the GPUs of container `{}` cannot be seen from this machine", container.name);
        return Err(CliError::refused(Problem::new(message).help("run this on the engine's own machine")));
    }
    let users = |uid| session.login(uid);
    let machine = NvmlProbe::open(session.nvml_library.clone()).machine().await;
    let overview = overview(&machine, Ok(&claims), &users);
    let obstacles = start::obstacles(container, &claim, &overview);
    if obstacles.is_empty() {
        return check_limits(session, container, &claims, &overview);
    }
    let (why, help) = match obstacles.as_slice() {
        [Obstacle::Driver(state)] => {
            let finding = doctor::machine::gpu_driver(state);
            (finding.message, finding.help.unwrap_or_else(|| "see what `nvidia-smi` says".into()))
        }
        _ => {
            let again = start::again(container, &access.caller, &users).join("\n");
            let help = "start it later, or save its files and make it anew with GPUs that are free:";
            let why = obstacles.iter().map(Obstacle::to_string).collect::<Vec<_>>().join("; ");
            (why, format!("{help}\n{again}"))
        }
    };
    let message = format!("container `{}` cannot have its GPUs: {why}", container.name);
    Err(CliError::refused(Problem::new(message).help(help)))
}

/// Refused if its owner would hold more than they may: limits change, and of a
/// container that has no label for them nobody has counted the GPUs.
fn check_limits(
    session: &Session,
    container: &Container,
    claims: &[GpuClaim],
    overview: &Overview,
) -> Result<(), CliError> {
    let users = |uid| session.login(uid);
    let is_counted = Claim::from_labels(&container.labels).is_some();
    let (spec, _) = match session.spec() {
        Ok(stack) => stack,
        Err(_) if is_counted => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(Owner::Login(login)) = container.owner(&users) else {
        return Ok(());
    };
    let Some(limits) = spec.limits_of(&login) else {
        let problem = Problem::new(format!("no limits are known of {login}"));
        return Err(CliError::refused(problem.help(format!("see `ds01-build limits {login}`"))));
    };
    let containers: Vec<_> = claims.iter().map(|one| one.container.clone()).collect();
    limits::may_run(container, &login, &limits, &containers, overview, &users)
        .map_err(|refusal| DeployError::from(refusal).into())
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
