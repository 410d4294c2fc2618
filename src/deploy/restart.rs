//! Starting a stopped container again: under the machine's lock, so that nobody
//! is given its GPUs between their check and its start. A container has the
//! GPUs that it was made with, and no others.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{DeployError, limits};
use crate::container::start::{self, Obstacle, StartCheck};
use crate::engine::{Container, Engine, EngineInfo};
use crate::gpu::claims::{self, Claim, GpuClaim};
use crate::gpu::nvml::{GpuProbe, NvmlProbe};
use crate::gpu::overview::Overview;
use crate::gpu::usage::overview;
use crate::host::lock::Locks;
use crate::host::people::Caller;
use crate::model::labels::read::{LoginOfUid, OwnerName};
use crate::spec::Spec;

/// Longest wait for one who only checks whether somebody is at the container.
const LEAVING: Duration = Duration::from_secs(1);

/// Where containers are started, and by whom.
pub(crate) struct Restart<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) facts: &'a EngineInfo,
    pub(crate) caller: &'a Caller,
    pub(crate) users: LoginOfUid<'a>,
    /// `None`: it cannot be read.
    pub(crate) spec: Option<&'a Spec>,
    /// NVML, where it is not found by its usual name.
    pub(crate) nvml_library: Option<PathBuf>,
}

/// Why a container was not started.
#[derive(Debug)]
pub(crate) enum RestartError {
    Deploy(DeployError),
    /// Nobody has counted its GPUs, and what its owner may have is not known.
    NoSpec,
}

impl<E: Into<DeployError>> From<E> for RestartError {
    fn from(error: E) -> Self {
        Self::Deploy(error.into())
    }
}

impl Restart<'_> {
    /// Starts it, if it can have its GPUs; the exit code of a program that
    /// ended at once. The machine is waited for as long as `limit`.
    ///
    /// # Errors
    /// It was not started.
    pub(crate) async fn run(
        &self,
        container: &Container,
        locks: &Locks,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Option<i64>, RestartError> {
        let name = &container.name;
        let machine = super::create::lock(locks, limit, cancel, self.users).await?;
        // Nobody is to take it for one that is never started.
        let lease = locks.lease_within(name, LEAVING).await.map_err(DeployError::Lock)?;
        let _lease = lease.ok_or_else(|| DeployError::Busy { name: name.clone() })?;
        self.check(container).await?;
        // It holds its GPUs by its labels: others need not wait for its start.
        drop(machine);
        Ok(start::start(self.engine, &container.id, StartCheck::Close, ()).await?)
    }

    /// Whether its GPUs are there and nobody else's.
    ///
    /// # Errors
    /// Why it cannot have them.
    pub(crate) async fn check(&self, container: &Container) -> Result<(), RestartError> {
        let mut claims = claims::read_all(self.engine).await?;
        let claim = start::claim(self.engine, container, &mut claims).await?;
        if claim.is_empty() {
            return Ok(());
        }
        let name = &container.name;
        if !self.facts.local {
            let message = format!("the GPUs of container `{name}` cannot be seen from this machine");
            return Err(DeployError::refused(message, "run this on the engine's own machine").into());
        }
        let machine = NvmlProbe::open(self.nvml_library.clone()).machine().await;
        let overview = overview(&machine, Ok(&claims), self.users);
        let obstacles = start::obstacles(container, &claim, &overview);
        let (why, help) = match obstacles.as_slice() {
            [] => return self.check_limits(container, &claims, &overview),
            [Obstacle::Driver(state)] => {
                let (why, help) = state.describe();
                (why, help.unwrap_or_default().to_owned())
            }
            _ => {
                let again = start::again(container, self.caller, self.users).join("\n");
                let help = "start it later, or save its files and make it anew with GPUs that are free:";
                let why: Vec<_> = obstacles.iter().map(Obstacle::to_string).collect();
                (why.join("; "), format!("{help}\n{again}"))
            }
        };
        Err(DeployError::refused(format!("container `{name}` cannot have its GPUs: {why}"), help).into())
    }

    /// Refused if its owner would hold more than they may: limits change, and
    /// of a container that has no label for them nobody has counted the GPUs.
    fn check_limits(
        &self,
        container: &Container,
        claims: &[GpuClaim],
        overview: &Overview,
    ) -> Result<(), RestartError> {
        let Some(spec) = self.spec else {
            let is_counted = Claim::from_labels(&container.labels).is_some();
            return if is_counted { Ok(()) } else { Err(RestartError::NoSpec) };
        };
        let Some(OwnerName::Login(login)) = container.owner(self.users) else { return Ok(()) };
        let limits = spec.limits_of(&login).ok_or_else(|| {
            let help = format!("see `ds01-build limits {login}`");
            DeployError::refused(format!("no limits are known of {login}"), help)
        })?;
        let containers = claims.iter().map(|one| &one.container);
        Ok(limits::may_run(container, &login, &limits, containers, overview, self.users)?)
    }
}
