//! What `create` and `update` do alike once they have a draft: show it, write
//! its file, and build its image.

use std::io;

use serde_json::{Value, json};

use crate::cli::args::{self, BuildArgs, ImageSurroundings};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::signals::Signals;
use crate::cli::{build, plan};
use crate::model::problem::Problem;
use crate::plan::PlannedRun;
use crate::spec::edit::Draft;
use crate::ui::Output;

pub(super) struct Write<'a> {
    pub(super) session: &'a Session,
    pub(super) signals: &'a Signals,
    pub(super) draft: &'a Draft,
    /// The file, as people know it.
    pub(super) shown: &'a str,
    pub(super) around: &'a ImageSurroundings,
    pub(super) dry_run: bool,
    pub(super) no_build: bool,
}

impl Write<'_> {
    /// How the build ended; `None`: none was asked for. `facts`: for programs,
    /// by whether it is written; `show`: what people see before, `put`: writes it.
    ///
    /// # Errors
    /// It cannot be planned, which is found before anything is written; or written.
    pub(super) async fn run(
        &self,
        facts: impl Fn(bool) -> Value,
        show: impl FnOnce(&mut Output),
        put: impl FnOnce() -> io::Result<()>,
    ) -> Result<Option<Result<Exit, CliError>>, CliError> {
        let planned = match self.no_build && !self.dry_run {
            true => None,
            false => Some(self.plan().await?),
        };
        let mut output = self.session.output();
        show(&mut output);
        if let Some(planned) = planned.filter(|_| self.dry_run) {
            if output.json {
                let mut data = planned.plan.to_json();
                data["project"] = facts(false);
                output.value(&data);
            } else {
                plan::show(&planned, None, None, &mut output);
            }
            output.note("nothing was written");
            output.finish()?;
            return Ok(None);
        }
        put().map_err(|error| {
            let problem = Problem::new(format!("{} cannot be written: {error}", self.shown));
            let help = "--dry-run shows what it would be; somebody with rights can put it there";
            CliError::usage(problem.help(help))
        })?;
        if self.no_build {
            if output.json {
                output.value(&json!({ "project": facts(true) }));
            }
            output.note(&format!("to build it: ds01-build build {}", self.draft.build_name()));
            output.finish()?;
            return Ok(None);
        }
        output.finish()?;
        let facts = Some(("project", facts(true)));
        Ok(Some(build::run_for(self.session, self.signals, &self.build_args(), facts).await))
    }

    /// Dockerfiles and contexts are read.
    async fn plan(&self) -> Result<PlannedRun, CliError> {
        let Draft { spec, graph, node, .. } = self.draft;
        let engine = self.session.engine().await?;
        let selection =
            plan::select_nodes(self.session, spec, graph, &[*node], self.around.branch.as_deref());
        plan::make(self.session, spec, graph, engine.as_ref(), &selection).await
    }

    /// `build` of this image alone.
    fn build_args(&self) -> BuildArgs {
        let ImageSurroundings { branch, ca_bundle, secrets } = self.around.clone();
        let images = vec![self.draft.name().to_owned()];
        let selection = args::Selection { images, branch, ..args::Selection::default() };
        BuildArgs { selection, ca_bundle, secrets, ..BuildArgs::default() }
    }
}
