//! `container sweep`: looks, decides, keeps what the next sweep has to know,
//! and only then acts. One at a time; one container that fails stops no other.

mod look;
mod notify;
mod show;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::show::{Entry, Report};
use crate::cli::args::SweepArgs;
use crate::cli::exit::Exit;
use crate::cli::load::{self, CliError};
use crate::cli::settings::Settings;
use crate::container::sweep::words::Outcome;
use crate::container::sweep::{Rules, State, Step, act, decide, file};
use crate::engine::Engine;
use crate::host::lock::{ImageLock, Locks};
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::spec::Spec;
use crate::spec::limits::Lifetime;
use crate::ui::Output;

/// Containers that are stopped at once.
const AT_ONCE: usize = 8;

pub(crate) async fn run(settings: &Settings, args: &SweepArgs) -> Result<Exit, CliError> {
    let (spec, _) = load::spec(settings)?;
    if !settings.caller(Some(&spec)).is_administrator() {
        let problem = Problem::new("only root and administrators may sweep everybody's containers");
        let help = "`ds01-build container list` shows what will happen to yours; \
                    `administrators:` in the spec names the groups of administrators";
        return Err(CliError::Refused(problem.help(help)));
    }
    let engine = load::engine(settings).await?;
    let mut output = settings.output();
    let _one_at_a_time = lock(settings, engine.as_ref()).await?;
    let earlier = file::load(&args.state).unwrap_or_else(|why| {
        output.note(&format!("warning: {why}; everybody is warned anew before anything is done"));
        State::default()
    });

    let lifetimes = |owner: &Login, group: Option<&str>| lifetime(&spec, owner, group);
    let users = |uid| settings.login(uid);
    let rules = Rules {
        lifetimes: &lifetimes,
        exemptions: &spec.limits.exemptions,
        users: &users,
        every: i64::from(args.every) * 60,
    };
    let looked = look::look(settings, engine.as_ref(), &rules, args).await?;
    let (steps, next) = decide(&looked.watched, &earlier, &rules, looked.at);
    if !args.dry_run {
        // First, so that nobody is warned who is not known to have been warned.
        file::save(&args.state, &next).map_err(|error| cannot_keep(args, &error))?;
    }
    let mut report = Report::new(&looked, args.dry_run);
    carry_out(settings, engine.as_ref(), args, steps, looked.at, &mut report, &mut output).await;
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

async fn lock(settings: &Settings, engine: &dyn Engine) -> Result<Option<ImageLock>, CliError> {
    let unusable = |error: std::io::Error| {
        let folder = settings.lock_dir.display();
        let problem = Problem::new(format!("{folder} cannot be used for locks: {error}"));
        CliError::Usage(problem.help("make it writable, or name another folder in DS01_LOCK_DIR"))
    };
    let id = engine.facts().await?.id;
    let locks = Locks::open(&settings.lock_dir, &id).map_err(unusable)?;
    let waiting = || settings.output().note("another sweep is under way; waiting for it");
    // A signal ends the program meanwhile: nothing was begun.
    locks.take("sweep", &CancellationToken::new(), waiting).await.map_err(unusable)
}

fn cannot_keep(args: &SweepArgs, error: &std::io::Error) -> CliError {
    let problem = Problem::new(format!("{} cannot be written: {error}", args.state.display()));
    CliError::Usage(problem.help("nothing was done; run it as root, or name another file with --state"))
}

/// Every step; each is told as soon as it and those before it are done.
async fn carry_out(
    settings: &Settings,
    engine: &dyn Engine,
    args: &SweepArgs,
    steps: Vec<Step>,
    now: i64,
    report: &mut Report,
    output: &mut Output,
) {
    let all = args.dry_run || settings.verbose > 0;
    let mut ended = stream::iter(steps)
        .map(|step| async move {
            let outcome = match args.dry_run {
                true => Outcome::Planned,
                false => match act::carry_out(engine, &step).await {
                    Ok(end) => Outcome::Ended(end),
                    Err(error) => Outcome::Failed(error.to_string()),
                },
            };
            let entry = Entry::new(&step, outcome, now);
            let told = match &args.notify {
                Some(program) if entry.is_news() => notify::tell(program, &entry).await,
                _ => Ok(()),
            };
            (entry, told)
        })
        .buffered(AT_ONCE);
    while let Some((mut entry, told)) = ended.next().await {
        if !settings.json && (all || !entry.is_quiet()) {
            output.line(entry.line());
        }
        if let Err(why) = told {
            output.note(&format!("warning: {}: nobody was notified: {why}", entry.container));
            entry.untold = Some(why);
        }
        report.steps.push(entry);
    }
}

#[expect(clippy::disallowed_methods, reason = "times are counted from now; the core is given the time")]
fn now() -> i64 {
    Timestamp::now().as_second()
}
