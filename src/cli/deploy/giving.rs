//! Giving a container what it asked for, in the words of the command line.

use std::time::Duration;

use super::making;
use crate::admin::doctor;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;
use crate::deploy::Deployed;
use crate::deploy::assign::{self, Decide, Given, Stopped, World};
use crate::engine::{CreateContainer, Engine, EngineInfo};
use crate::gpu::nvml::{GpuProbe, NvmlProbe};
use crate::host::lock::Locks;
use crate::model::problem::Problem;
use tokio_util::sync::CancellationToken;

/// What is needed for it.
pub(crate) struct Allocator<'a> {
    settings: &'a Settings,
    engine: &'a dyn Engine,
    facts: &'a EngineInfo,
    gpus: Option<NvmlProbe>,
    locks: Locks,
    limit: Duration,
}

impl<'a> Allocator<'a> {
    /// `gpus` where NVIDIA's are asked for; `wait` in seconds.
    ///
    /// # Errors
    /// GPUs are asked for on another machine, or the locks cannot be used.
    pub(crate) fn new(
        settings: &'a Settings,
        engine: &'a dyn Engine,
        facts: &'a EngineInfo,
        gpus: Option<NvmlProbe>,
        wait: u64,
    ) -> Result<Self, CliError> {
        if gpus.is_some() && !facts.local {
            return Err(trouble(settings, Stopped::Elsewhere));
        }
        let locks = making::locks(settings, &facts.id)?;
        Ok(Self { settings, engine, facts, gpus, locks, limit: Duration::from_secs(wait) })
    }

    /// What would be created now; nothing is.
    ///
    /// # Errors
    /// It would be refused.
    pub(crate) async fn preview(&self, decide: &Decide<'_>) -> Result<CreateContainer, CliError> {
        let never = CancellationToken::new();
        let users = |uid| self.settings.login(uid);
        let request = assign::preview(&self.world(&users, &never), decide).await;
        request.map_err(|stopped| trouble(self.settings, stopped))
    }

    /// Creates and starts it. A signal removes what was not started yet.
    ///
    /// # Errors
    /// It is refused, or the engine fails.
    pub(crate) async fn run(&self, signals: &Signals, decide: &Decide<'_>) -> Result<Deployed, CliError> {
        let working = signals.working();
        let users = |uid| self.settings.login(uid);
        let deployed = assign::run(&self.world(&users, working.token()), decide).await;
        deployed.map_err(|stopped| trouble(self.settings, stopped))
    }

    fn world<'b>(
        &'b self,
        users: &'b dyn Fn(u32) -> Option<crate::model::names::Login>,
        cancel: &'b CancellationToken,
    ) -> World<'b> {
        World {
            engine: self.engine,
            facts: self.facts,
            locks: &self.locks,
            gpus: self.gpus.as_ref().map(|gpus| gpus as &dyn GpuProbe),
            users,
            limit: self.limit,
            cancel,
        }
    }
}

/// The same end in the words of the command line.
pub(crate) fn trouble(settings: &Settings, stopped: Stopped) -> CliError {
    let problem = Problem { help: stopped.help(), ..Problem::new(stopped.to_string()) };
    match (stopped.cause(), &stopped) {
        (_, Stopped::Engine(error)) => CliError::Engine(error.clone()),
        (Stopped::Cancelled, Stopped::Left { .. }) => {
            settings.output().problems(&[problem]);
            CliError::Interrupted
        }
        (Stopped::Cancelled, _) => CliError::Interrupted,
        (Stopped::Driver(state), _) => {
            let finding = doctor::machine::gpu_driver(state);
            let message = format!("the GPUs cannot be seen: {}", finding.message);
            CliError::Gpus(Problem { help: finding.help, ..Problem::new(message) })
        }
        (Stopped::NoGpus(_) | Stopped::Engine(_), _) => CliError::Gpus(problem),
        (Stopped::Lock(_), _) => CliError::Usage(problem),
        _ => CliError::Refused(problem),
    }
}

/// ` with GPU 0 (GPU-…)`; nothing without any.
pub(crate) fn with_words(gpus: &[Given]) -> String {
    let Some(first) = gpus.first() else { return String::new() };
    let kind = match (first.slot.contains('.'), gpus.len()) {
        (true, 1) => "MIG instance",
        (true, _) => "MIG instances",
        (false, 1) => "GPU",
        (false, _) => "GPUs",
    };
    let one = |given: &Given| match &given.uuid {
        Some(uuid) => format!("{} ({uuid})", given.slot),
        None => given.slot.clone(),
    };
    format!(" with {kind} {}", gpus.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_told_by_slot_and_uuid() {
        let given =
            |uuid: Option<&str>, slot: &str| Given { uuid: uuid.map(str::to_owned), slot: slot.into() };
        assert_eq!(with_words(&[]), "");
        assert_eq!(with_words(&[given(Some("GPU-1"), "0")]), " with GPU 0 (GPU-1)");
        let two = [given(Some("GPU-1"), "0"), given(Some("GPU-2"), "1")];
        assert_eq!(with_words(&two), " with GPUs 0 (GPU-1), 1 (GPU-2)");
        assert_eq!(with_words(&[given(Some("MIG-1"), "0.1")]), " with MIG instance 0.1 (MIG-1)");
        assert_eq!(with_words(&[given(None, "renderD128")]), " with GPU renderD128");
    }
}
