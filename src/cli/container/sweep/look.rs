//! The one look of a sweep: the engine's containers, several samples of the
//! GPUs where an idle one would matter, and those containers by themselves
//! that something may be due for.

use std::time::Duration;

use futures::stream::{self, StreamExt};

use crate::admin::doctor;
use crate::cli::args::SweepArgs;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::container::sweep::{Activity, Asked, Rules, Times, Watched, activity, is_worth_asking, subject};
use crate::engine::{Container, Engine, Error};
use crate::gpu::DriverState;
use crate::gpu::claims;
use crate::gpu::nvml::{GpuProbe, NvmlProbe};
use crate::gpu::overview::Overview;
use crate::gpu::usage::overview;

/// Questions at once.
const AT_ONCE: usize = 16;

/// What a sweep saw.
pub(crate) struct Looked {
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) watched: Vec<Watched>,
    /// Why nothing is known of idle GPUs, where that would matter.
    pub(crate) idle_unknown: Option<String>,
    /// Containers that could not be asked for, and why.
    pub(crate) unreadable: Vec<(String, String)>,
}

/// # Errors
/// The engine cannot be asked for its containers.
pub(crate) async fn look(
    settings: &Settings,
    engine: &dyn Engine,
    rules: &Rules<'_>,
    args: &SweepArgs,
) -> Result<Looked, CliError> {
    let mut containers = engine.containers().await?;
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    let may_idle = |container: &Container| {
        container.state.is_running()
            && subject(container, rules).is_ok_and(|subject| subject.lifetime.idle.is_some())
    };
    let (samples, idle_unknown) = match containers.iter().any(may_idle) {
        true => gpus(settings, engine, args).await?,
        false => (Vec::new(), None),
    };
    let at = super::now();
    let asked = stream::iter(containers).map(|container| {
        let activity = activity::of(&container.name, &samples);
        async move {
            let times = times(engine, &container, &activity, rules, at).await;
            (container, activity, times)
        }
    });
    let asked: Vec<_> = asked.buffered(AT_ONCE).collect().await;
    let mut looked = Looked { at, watched: Vec::new(), idle_unknown, unreadable: Vec::new() };
    for (container, activity, times) in asked {
        let times = match times {
            Ok(Some(times)) => times,
            // It is gone by now.
            Ok(None) => continue,
            Err(error) => {
                looked.unreadable.push((container.name.clone(), error.to_string()));
                Asked::InVain
            }
        };
        looked.watched.push(Watched { container, times, activity });
    }
    Ok(looked)
}

async fn times(
    engine: &dyn Engine,
    container: &Container,
    activity: &Activity,
    rules: &Rules<'_>,
    now: i64,
) -> Result<Option<Asked>, Error> {
    let subject = subject(container, rules);
    if !subject.is_ok_and(|subject| is_worth_asking(container, activity, &subject, now)) {
        return Ok(Some(Asked::No));
    }
    let detail = engine.container(&container.id).await?;
    Ok(detail.map(|detail| Asked::Answered(Times::from(&detail))))
}

/// Several samples, since each tells of its last moment only; else why there
/// are none.
async fn gpus(
    settings: &Settings,
    engine: &dyn Engine,
    args: &SweepArgs,
) -> Result<(Vec<Overview>, Option<String>), CliError> {
    let claimants = claims::read_all(engine).await?;
    let mut samples = Vec::new();
    for nth in 0..args.samples {
        if nth > 0 {
            tokio::time::sleep(Duration::from_secs(args.interval.into())).await;
        }
        let machine = NvmlProbe::open(settings.nvml_library.clone()).machine().await;
        if !matches!(machine.state, DriverState::Ready { .. }) {
            return Ok((Vec::new(), Some(doctor::machine::gpu_driver(&machine.state).message)));
        }
        samples.push(overview(&machine, Ok(&claimants), &|uid| settings.login(uid)));
    }
    Ok((samples, None))
}
