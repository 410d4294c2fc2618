//! `container sweep`: reads, decides, keeps what the next sweep has to know,
//! and only then acts. One at a time; one container that fails stops no other.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::now;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::container::sweep::inspect::{Sampling, snapshot};
use crate::container::sweep::report::{StepReport, SweepReport};
use crate::container::sweep::state::{self, PATH};
use crate::container::sweep::{Rules, SweepState, carry_out_all, decide, lifetime};
use crate::engine::Engine;
use crate::gpu::nvml::NvmlProbe;
use crate::host::lock::ImageLock;
use crate::model::names::Login;
use crate::model::problem::Problem;

pub(super) const EXAMPLES: &str = "Examples:\n  ds01-build container sweep --dry-run       what would be done now, and what is left alone\n  ds01-build container sweep                 as the timer does it\n  ds01-build container sweep --notify /usr/local/bin/mail-owner\n  systemctl enable --now ds01-build-sweep.timer\n\nRules are those of the container's group in the spec, for each of them a time or null for never: `longest_run` (since its last start) and `idle` stop a container, `stopped` and `never_started` remove it, the latter not before 10 minutes. A whole GPU is idle while its utilization stays below `idle_below` percent, whatever processes wait on it; a MIG instance tells no utilization and is idle while no process computes on it. What cannot be read counts as busy.\n\nNothing is done that an earlier sweep did not announce: `warning` before, or at half of the rule's time if that is later. Whoever was warned late has as much longer. Containers of others, protected and exempt ones, and those of unknown groups are left alone. What a sweep has to know of the last one stands in the state file; losing it only postpones.\n\nThe program of --notify is run for each warning and action with one JSON object on standard input: step, container, owner, rule, due, text, advice. It has 30 seconds; what it does changes nothing else.";

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Show what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Where sweeps keep whom they warned
    #[arg(long, value_name = "FILE", default_value = PATH)]
    state: PathBuf,
    /// How often sweeps are made: after twice as long without one, GPUs count as busy till now
    #[arg(long, value_name = "MINUTES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1440))]
    every: u32,
    /// How often GPUs are looked at; the busiest moment counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    samples: u32,
    /// Between two of these looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=60))]
    interval: u32,
    /// Run this program for each warning and action
    #[arg(long, value_name = "PROGRAM")]
    notify: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, args: &SweepArgs) -> Result<Exit, CliError> {
    let (spec, _) = session.spec()?;
    if !session.caller(Some(&spec)).is_administrator() {
        let problem = Problem::new("only root and administrators may sweep everybody's containers");
        let help = "`ds01-build container list` shows what will happen to yours; \
                    `administrators:` in the spec names the groups of administrators";
        return Err(CliError::refused(problem.help(help)));
    }
    let engine = session.engine().await?;
    let mut output = session.output();
    let _one_at_a_time = lock(session, engine.as_ref()).await?;
    let earlier = state::load(&args.state).unwrap_or_else(|why| {
        output.note(&format!("warning: {why}; everybody is warned anew before anything is done"));
        SweepState::default()
    });

    let lifetimes = |owner: &Login, group: Option<&str>| lifetime(&spec, owner, group);
    let users = |uid| session.login(uid);
    let rules = Rules {
        lifetimes: &lifetimes,
        exemptions: &spec.limits.exemptions,
        users: &users,
        every: i64::from(args.every) * 60,
    };
    let probe = NvmlProbe::open(session.nvml_library.clone());
    let interval = Duration::from_secs(args.interval.into());
    let sampling = Sampling { probe: &probe, samples: args.samples, interval };
    let snapshot = snapshot(engine.as_ref(), &rules, &sampling, now).await?;
    let (steps, next) = decide(&snapshot.observations, &earlier, &rules, snapshot.at);
    if !args.dry_run {
        // First, so that nobody is warned who is not known to have been warned.
        state::save(&args.state, &next).map_err(|error| cannot_keep(args, &error))?;
    }
    let mut report = SweepReport::new(&snapshot, args.dry_run);
    let all = args.dry_run || session.verbose > 0;
    let show = |step: &StepReport| {
        if !session.json && (all || !step.quiet) {
            output.line(&step.text);
        }
        if let Some(why) = &step.notify_error {
            output.note(&format!("warning: {}: nobody was notified: {why}", step.container));
        }
    };
    carry_out_all(engine.as_ref(), steps, &mut report, args.notify.as_deref(), show).await;
    let failed = report.failed();
    output.data(&report, |report, _| report.summary());
    output.finish()?;
    Ok(if failed { Exit::Engine } else { Exit::Done })
}

/// One sweep at a time.
async fn lock(session: &Session, engine: &dyn Engine) -> Result<Option<ImageLock>, CliError> {
    let locks = session.locks(&engine.info().await?.id)?;
    let waiting = || session.output().note("another sweep is under way; waiting for it");
    // A signal ends the program meanwhile: nothing was begun.
    let lock = locks.lock_image("sweep", &CancellationToken::new(), waiting).await;
    lock.map_err(|error| session.unusable_locks(&error))
}

fn cannot_keep(args: &SweepArgs, error: &std::io::Error) -> CliError {
    let problem = Problem::new(format!("{} cannot be written: {error}", args.state.display()));
    CliError::usage(problem.help("nothing was done; run it as root, or name another file with --state"))
}
