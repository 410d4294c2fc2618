//! `container sweep`: reads, decides, keeps what the next sweep has to know,
//! and only then acts. One at a time; one container that fails stops no other.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use futures::stream::{self, StreamExt};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::now;
use crate::admin::doctor;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::container::sweep::inspect::{Sampling, snapshot};
use crate::container::sweep::report::{StepReport, SweepReport};
use crate::container::sweep::state::{self, PATH};
use crate::container::sweep::{Outcome, Rules, Step, SweepState, carry_out, decide};
use crate::engine::Engine;
use crate::gpu::nvml::NvmlProbe;
use crate::host::lock::{ImageLock, Locks};
use crate::host::process;
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::spec::Spec;
use crate::spec::limits::Lifetime;
use crate::ui::Output;

/// Containers that are stopped at once.
const AT_ONCE: usize = 8;

/// A mail server may be slow, and the sweep has others to tell.
const LIMIT: Duration = Duration::from_secs(30);

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
    let idle_unknown = snapshot.no_driver.as_ref().map(|driver| doctor::machine::gpu_driver(driver).message);
    let mut report = SweepReport::new(&snapshot, idle_unknown, args.dry_run);
    carry_out_all(session, engine.as_ref(), args, steps, &mut report, &mut output).await;
    let failed = report.failed();
    output.data(&report, |report, _| report.summary());
    output.finish()?;
    Ok(if failed { Exit::Engine } else { Exit::Done })
}

/// What holds for an owner: by the group of the container's label, else by
/// what the spec says of the person. A group that nothing names is not taken
/// for the default one: that would be guessed.
fn lifetime(spec: &Spec, owner: &Login, group: Option<&str>) -> Option<(String, Lifetime)> {
    let group = group.or_else(|| spec.users.get(owner).and_then(|user| user.group.as_deref()));
    let applied = spec.limits.of(owner, group)?;
    (!applied.by_default).then_some((applied.group, applied.limits.lifetime))
}

async fn lock(session: &Session, engine: &dyn Engine) -> Result<Option<ImageLock>, CliError> {
    let unusable = |error: std::io::Error| {
        let folder = session.lock_dir.display();
        let problem = Problem::new(format!("{folder} cannot be used for locks: {error}"));
        CliError::usage(problem.help("make it writable, or name another folder in DS01_LOCK_DIR"))
    };
    let id = engine.info().await?.id;
    let locks = Locks::open(&session.lock_dir, &id).map_err(unusable)?;
    let waiting = || session.output().note("another sweep is under way; waiting for it");
    // A signal ends the program meanwhile: nothing was begun.
    locks.lock_image("sweep", &CancellationToken::new(), waiting).await.map_err(unusable)
}

fn cannot_keep(args: &SweepArgs, error: &std::io::Error) -> CliError {
    let problem = Problem::new(format!("{} cannot be written: {error}", args.state.display()));
    CliError::usage(problem.help("nothing was done; run it as root, or name another file with --state"))
}

/// Every step; each is reported as soon as it and those before it are done.
async fn carry_out_all(
    session: &Session,
    engine: &dyn Engine,
    args: &SweepArgs,
    steps: Vec<Step>,
    report: &mut SweepReport,
    output: &mut Output,
) {
    let (all, at) = (args.dry_run || session.verbose > 0, report.seconds);
    let mut done = stream::iter(steps)
        .map(|step| async move {
            let outcome = if args.dry_run {
                Outcome::Planned
            } else {
                carry_out(engine, &step).await.unwrap_or_else(|error| Outcome::Failed(error.to_string()))
            };
            let mut step = StepReport::new(&step, outcome, at);
            if let Some(program) = args.notify.as_deref().filter(|_| step.is_news()) {
                step.notify_error = notify(program, &step).await.err();
            }
            step
        })
        .buffered(AT_ONCE);
    while let Some(step) = done.next().await {
        if !session.json && (all || !step.quiet) {
            output.line(&step.text);
        }
        if let Some(why) = &step.notify_error {
            output.note(&format!("warning: {}: nobody was notified: {why}", step.container));
        }
        report.steps.push(step);
    }
}

/// Runs the program of `--notify`, with the step as JSON on its standard input.
/// It tells people, by mail or chat: what it does and whether it can changes
/// nothing of the sweep.
///
/// # Errors
/// It cannot be run, fails or takes too long; a sentence's end.
async fn notify(program: &Path, step: &StepReport) -> Result<(), String> {
    let shown = program.display();
    let text = serde_json::to_vec(step).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    // Its output is none of ours: on standard output there may be JSON.
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    match process::run(command, &text, tokio::time::sleep(LIMIT)).await {
        Ok(Some(output)) if output.status.success() => Ok(()),
        Ok(Some(output)) => {
            let wrote = String::from_utf8_lossy(&output.stderr);
            let last = wrote.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            let wrote = if last.is_empty() { String::new() } else { format!(": {}", last.trim()) };
            Err(format!("`{shown}` ended with {}{wrote}", output.status))
        }
        Err(error) => Err(format!("`{shown}` cannot be run: {error}")),
        Ok(None) => Err(format!("`{shown}` took more than {} s and was ended", LIMIT.as_secs())),
    }
}
