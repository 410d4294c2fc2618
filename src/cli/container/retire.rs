//! `container retire`, and with `--save` the image first.

use clap::Args;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Access, Report, each};
use crate::cli::environment::now;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::signals;
use crate::container::installed_packages::PackageTarget;
use crate::container::permission::Action;
use crate::container::retire::{self, ContainerRemoval, RetireReport};
use crate::container::save::{self, Save, SaveError};
use crate::engine::{self, Container, Engine};
use crate::host::lock::ImageLock;
use crate::model::problem::Problem;
use crate::plan::why;
use crate::spec::SpecEntry;

pub(super) const EXAMPLES: &str = "Examples:
  ds01-build container retire thesis
  ds01-build container retire thesis bert           one after the other
  ds01-build container retire thesis --dry-run      what is installed in it and would go with it
  ds01-build container retire thesis --save         first saves its files as a new image
  ds01-build container retire thesis --save before-pruning
  ds01-build container retire 'thesis._.1722830498'

Packages installed in the container that its image lacks are told, with the `image update` that adds
them: an image that says what is in it can be built again, a saved one cannot.

--save makes an image `ds01-<uid>/<project>:saved-<time>`, or with the tag that is said, never over
one that is there. It has the container's files, but none of its mounts (/workspace stays where it
is), labels, variables and log files. `ds01-build deploy` takes it by that name, `image list` shows
it. If it cannot be saved the container stays, and runs again if it ran.";

#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// Containers: `thesis`, or a whole name `thesis._.1722830498`
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
    /// First save its files as an image under a new tag; stands behind the container
    #[arg(long, value_name = "TAG", num_args = 0..=1, default_missing_value = "")]
    save: Option<String>,
    /// Remove it though it is protected (administrators)
    #[arg(long)]
    force: bool,
    /// Show what would be removed and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(session: &Session, args: &RetireArgs) -> Result<Exit, CliError> {
    let request = Request { args, access: Access::new(session).await? };
    each(session, &args.containers, async |name| request.retire(name).await).await
}

impl Report for RetireReport {
    fn sentence(&self) -> String {
        self.sentence()
    }

    fn notes(&self) -> Vec<String> {
        self.notes()
    }
}

struct Request<'a> {
    args: &'a RetireArgs,
    access: Access<'a>,
}

impl Request<'_> {
    async fn retire(&self, name: &str) -> Result<RetireReport, CliError> {
        let retirement = self.decide(name).await?;
        let target = self.target(retirement.container());
        if self.args.save.is_some() {
            return self.save(name, retirement, &target).await;
        }
        Ok(retire::report(self.engine(), &retirement, &target, self.args.dry_run).await?)
    }

    fn engine(&self) -> &dyn Engine {
        self.access.engine.as_ref()
    }

    /// By the containers that there are now: others may have gone before it.
    async fn decide(&self, name: &str) -> Result<ContainerRemoval, CliError> {
        let (containers, users) = (self.engine().containers().await?, |uid| self.access.session.login(uid));
        retire::decide(name, self.args.force, &containers, &self.access.caller, &users)
            .map_err(|error| CliError::refused(error.problem(Action::Retire, &containers)))
    }

    /// What packages would be added to.
    fn target(&self, container: &Container) -> PackageTarget {
        let entry = self.access.stack.as_ref().ok().and_then(|(spec, graph)| {
            let node = why::node_of(spec, graph, container)?;
            Some((SpecEntry::of(spec, graph, node), &graph.node(node).name))
        });
        PackageTarget::of(container, &self.access.caller, entry, self.access.stack.is_ok())
    }

    /// The image first, then the removal.
    async fn save(
        &self,
        name: &str,
        retirement: ContainerRemoval,
        target: &PackageTarget,
    ) -> Result<RetireReport, CliError> {
        let (engine, output) = (self.engine(), || self.access.session.output());
        let signals = signals::listen()?;
        let save = self.plan_save(&retirement).await?;
        if self.args.dry_run {
            let inspected = save::inspect(engine, &save, &retirement, target, true).await;
            return inspected.map(|(_, report)| report).map_err(|error| not_saved(&save, error));
        }
        let working = signals.working();
        let _lock = self.lock(&save, working.token()).await?;
        // Another run may have been here while this one waited.
        let retirement = self.decide(name).await?;
        let save = self.plan_save(&retirement).await?;
        let inspected = save::inspect(engine, &save, &retirement, target, false).await;
        let (preview, mut report) = inspected.map_err(|error| not_saved(&save, error))?;
        let name = retirement.name().to_owned();
        output().note(&format!("saving {name} as {}", save.target()));
        // Nobody looks at the steps: there is one, and it runs nothing.
        let (events, _) = mpsc::unbounded_channel();
        match save::run(engine, &save, &preview, &events, working.token()).await {
            Ok(saved) => report.saved = Some(saved),
            Err(failed) => {
                output().note(&failed.left(&name));
                failed.notes.iter().for_each(|note| output().note(&format!("note: {note}")));
                return Err(not_saved(&save, failed.error));
            }
        }
        drop(working);
        if let Err(error) = retire::retire(engine, &retirement.stopped()).await {
            output().note(&format!("{name} is saved as {}, and still there", save.target()));
            return Err(error.into());
        }
        Ok(report)
    }

    async fn plan_save(&self, retirement: &ContainerRemoval) -> Result<Save, CliError> {
        let images = self.engine().images().await?;
        save::decide(retirement, self.args.save.as_deref(), &images, now()).map_err(|refusal| {
            let problem = Problem::new(refusal.to_string()).help(refusal.help());
            if refusal.is_usage() { CliError::usage(problem) } else { CliError::refused(problem) }
        })
    }

    async fn lock(&self, save: &Save, cancel: &CancellationToken) -> Result<ImageLock, CliError> {
        let session = self.access.session;
        let locks = session.locks(&self.engine().info().await?.id)?;
        let waits = || session.output().note("waiting: another container of the same person is being saved");
        let lock = locks.lock_image(&save.lock(), cancel, waits).await;
        let lock = lock.map_err(|error| session.unusable_locks(&error))?;
        lock.ok_or_else(CliError::interrupted)
    }
}

fn not_saved(save: &Save, error: SaveError) -> CliError {
    let target = save.target();
    match error {
        SaveError::BaseGone | SaveError::TooLarge { .. } => {
            let problem = Problem::new(format!("{target} cannot be made: {error}"));
            CliError::refused(Problem { help: error.help(), ..problem })
        }
        SaveError::Engine(error) => error.into(),
        SaveError::Unsound(message) => {
            engine::Error::Refused { action: format!("make {target}"), message }.into()
        }
        SaveError::Cancelled => CliError::interrupted(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use crate::cli::Cli;

    fn parsed(command: &str) -> Vec<String> {
        let words = command.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect::<Vec<_>>();
        Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{command}: {e}"));
        words
    }

    proptest! {
        #[test]
        fn the_printed_command_is_one_of_ours(
            pip in proptest::collection::vec("[a-z][a-z0-9-]{0,8}[a-z0-9]-[0-9]{1,2}(\\.[0-9a-z+!]{1,4}){0,3}", 0..4),
            apt in proptest::collection::vec("[ -~]{1,12}", 0..4),
            image in proptest::option::of("[a-z]{1,8}"),
        ) {
            use crate::container::installed_packages::{PackageTarget, read};
            use crate::engine::{Change, ChangeKind};
            let pip = pip.iter().map(|name| format!("/opt/lib/site-packages/{name}.dist-info"));
            let apt = apt.iter().map(|name| format!("/var/lib/dpkg/info/{name}.list"));
            let changes: Vec<_> = pip.chain(apt).map(|path| Change { path, kind: ChangeKind::Added }).collect();
            let installed = read(&changes, "");
            for target in [PackageTarget::Project("a/thesis".into()), PackageTarget::New { name: "thesis".into(), image }] {
                if let Some(command) = installed.command(&target) {
                    parsed(&command);
                }
            }
        }
    }
}
