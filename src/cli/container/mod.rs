//! `container`: one file for each of its commands; `deploy` has a folder of
//! its own. Here are the containers that commands name: found, allowed, and
//! one after the other.

mod enter;
mod list;
mod logs;
mod retire;
mod show;
mod start;
mod stop;
mod sweep;

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use super::args::{DEPLOY_EXAMPLES, DeployArgs};
use super::deploy;
use super::environment;
use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use crate::container::permission::{AccessError, Action, may};
use crate::engine::{Container, Engine};
use crate::host::people::Caller;
use crate::spec::Spec;
use crate::spec::graph::Graph;

#[derive(Debug, Subcommand)]
pub(crate) enum ContainerCommand {
    /// Create and start a container from a project, a shared image or any other image
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(Box<DeployArgs>),
    /// List your containers
    #[command(after_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Show one container: image, GPUs, limits, mounts, ports
    #[command(after_help = show::EXAMPLES)]
    Show(show::ShowArgs),
    /// Open a shell in a running container
    #[command(after_help = enter::EXAMPLES)]
    Enter(enter::EnterArgs),
    /// Print what a container's program wrote
    #[command(after_help = logs::EXAMPLES)]
    Logs(logs::LogsArgs),
    /// Stop a container; it keeps its files, its place and its GPUs
    #[command(after_help = stop::EXAMPLES)]
    Stop(stop::StopArgs),
    /// Start a stopped container again
    #[command(after_help = start::EXAMPLES)]
    Start(start::StartArgs),
    /// Stop and remove a container; its image and workspace stay
    #[command(after_help = retire::EXAMPLES)]
    Retire(retire::RetireArgs),
    /// Stop and remove containers that have been here long enough, after a warning (for a timer)
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(sweep::SweepArgs),
}

pub(crate) async fn run(session: &Session, command: &ContainerCommand) -> Result<Exit, CliError> {
    match command {
        ContainerCommand::Deploy(args) => deploy::run(session, args).await,
        ContainerCommand::List(args) => list::run(session, args).await,
        ContainerCommand::Show(args) => show::run(session, args).await,
        ContainerCommand::Enter(args) => enter::run(session, args).await,
        ContainerCommand::Logs(args) => logs::run(session, args).await,
        ContainerCommand::Stop(args) => stop::run(session, args).await,
        ContainerCommand::Start(args) => start::run(session, args).await,
        ContainerCommand::Retire(args) => retire::run(session, args).await,
        ContainerCommand::Sweep(args) => sweep::run(session, args).await,
    }
}

fn now() -> i64 {
    environment::now().as_second()
}

/// An engine's containers, and who asks for them.
struct Access<'a> {
    session: &'a Session,
    /// Only a spec that can be read names administrators.
    stack: Result<(Spec, Graph), CliError>,
    engine: Arc<dyn Engine>,
    caller: Caller,
    containers: Vec<Container>,
}

impl<'a> Access<'a> {
    async fn new(session: &'a Session) -> Result<Self, CliError> {
        let engine = session.engine().await?;
        let containers = engine.containers().await?;
        let stack = session.spec();
        let caller = session.caller(stack.as_ref().ok().map(|(spec, _)| spec));
        Ok(Self { session, stack, engine, caller, containers })
    }

    /// The container that is meant, if the caller may do this with it.
    fn may(&self, action: Action, name: &str, force: bool) -> Result<&Container, CliError> {
        let users = |uid| self.session.login(uid);
        may(action, name, force, &self.containers, &self.caller, &users)
            .map_err(|error| CliError::refused(error.problem(action, &self.containers)))
    }
}

/// A container that is only looked at, and is not there or not the only one.
pub(crate) fn not_found(error: &AccessError, all: &[Container]) -> CliError {
    CliError::refused(error.problem(Action::Logs, all))
}

/// What was done with one container, for people and for programs.
trait Report: Serialize {
    fn sentence(&self) -> String;

    /// What is said beside, whoever reads.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A report of one sentence.
#[derive(Debug, Serialize)]
struct ActionReport {
    /// As it was asked for, else as it is.
    container: String,
    /// `stopped`, `started`, …; `failed`.
    outcome: &'static str,
    /// For people.
    message: String,
}

impl Report for ActionReport {
    fn sentence(&self) -> String {
        self.message.clone()
    }
}

/// One of a list that programs read.
#[derive(Serialize)]
#[serde(untagged)]
enum JsonItem<T> {
    Success(T),
    Failure(ActionReport),
}

/// One container after the other: one that fails keeps no other from its turn.
/// The exit code is the highest.
///
/// # Errors
/// Of the only one that was asked for; else standard output cannot be written.
async fn each<T: Report>(
    session: &Session,
    names: &[String],
    act: impl AsyncFn(&str) -> Result<T, CliError>,
) -> Result<Exit, CliError> {
    let (mut exit, mut all) = (Exit::Done, Vec::new());
    for name in names {
        match act(name).await {
            Ok(report) => {
                let mut output = session.output();
                if !session.json {
                    output.line(&report.sentence());
                }
                report.notes().iter().for_each(|note| output.note(note));
                output.finish()?;
                all.push(JsonItem::Success(report));
            }
            Err(error) if names.len() == 1 || error.exit == Exit::Interrupted => return Err(error),
            Err(error) => {
                exit = if error.exit.code() > exit.code() { error.exit } else { exit };
                let (container, message) = (name.clone(), error.to_string());
                all.push(JsonItem::Failure(ActionReport { container, outcome: "failed", message }));
                if !session.json {
                    error.report(session.output());
                }
            }
        }
    }
    if session.json {
        let mut output = session.output();
        output.value(&all);
        output.finish()?;
    }
    Ok(exit)
}
