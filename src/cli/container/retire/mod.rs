//! `container retire`.

mod saving;
mod show;

use super::asked::each;
use crate::cli::args::RetireArgs;
use crate::cli::exit::Exit;
use crate::cli::load::{self, CliError};
use crate::cli::settings::Settings;
use crate::container::installed::{self, Target};
use crate::container::{self, Asked, Caller, Retirement};
use crate::engine::{Container, Engine};
use crate::model::labels::read;
use crate::model::labels::{USER_ID, USERNAME};
use crate::model::problem::Problem;
use crate::plan::why;
use crate::spec::Spec;
use crate::spec::graph::Graph;
use crate::spec::subject::Subject;
use show::Report;

type Stack = (Spec, Graph);

/// What is known when it is decided what to do.
struct Scene<'a> {
    settings: &'a Settings,
    args: &'a RetireArgs,
    /// As it was asked for.
    name: &'a str,
    engine: &'a dyn Engine,
    /// Only a spec that can be read names administrators.
    stack: Option<&'a Stack>,
    caller: &'a Caller,
}

impl Scene<'_> {
    fn decide(&self, containers: &[Container]) -> Result<Retirement, CliError> {
        let asked = Asked { name: self.name, force: self.args.force };
        container::decide(asked, containers, self.caller, &|uid| self.settings.login(uid))
            .map_err(|refusal| CliError::Refused(Problem::new(refusal.to_string()).help(refusal.help())))
    }

    /// What packages would be added to: the project as this caller calls it.
    fn target(&self, container: &Container) -> Target {
        let short = container.short_name();
        let node = self.stack.and_then(|(spec, graph)| {
            let node = why::node_of(spec, graph, container)?;
            Some((Subject::of(spec, graph, node), &graph.node(node).name))
        });
        match node {
            Some((Subject::Project(project), name)) => Target::Project(match project.account.uid {
                uid if uid == self.caller.uid => project.name.to_string(),
                _ => name.to_string(),
            }),
            Some((_, name)) => Target::New { name: short.to_owned(), image: Some(name.to_string()) },
            None => match read::text(&container.labels, &crate::model::labels::PROJECT) {
                // Without a spec the label is believed.
                Some(project) if self.stack.is_none() => Target::Project(self.owned(container, project)),
                _ => Target::New { name: short.to_owned(), image: None },
            },
        }
    }

    fn owned(&self, container: &Container, project: &str) -> String {
        let account = read::text(&container.labels, &USERNAME);
        let uid = read::text(&container.labels, &USER_ID).and_then(|uid| uid.parse::<u32>().ok());
        match account.filter(|_| uid != Some(self.caller.uid)) {
            Some(account) => format!("{account}/{project}"),
            None => project.to_owned(),
        }
    }
}

pub(crate) async fn run(settings: &Settings, args: &RetireArgs) -> Result<Exit, CliError> {
    let engine = load::engine(settings).await?;
    let stack = load::spec(settings).ok();
    let caller = settings.caller(stack.as_ref().map(|(spec, _)| spec));
    each(settings, &args.containers, async |name| {
        let (engine, stack) = (engine.as_ref(), stack.as_ref());
        one(&Scene { settings, args, name, engine, stack, caller: &caller }).await
    })
    .await
}

async fn one(scene: &Scene<'_>) -> Result<Report, CliError> {
    let (args, engine) = (scene.args, scene.engine);
    let found = engine.containers().await?;
    let retirement = scene.decide(&found)?;
    let container = found.iter().find(|container| container.id == retirement.id());
    let container =
        container.ok_or_else(|| CliError::bug("the container is not among those that are there"))?;
    let target = scene.target(container);
    if args.save.is_some() {
        return saving::run(scene, &retirement, &target).await;
    }
    let installed = match args.dry_run {
        true => installed::look(engine, retirement.id()).await,
        false => installed::glance(engine, retirement.id()).await,
    };
    if !args.dry_run {
        container::retire(engine, &retirement).await?;
    }
    Ok(Report::new(&retirement, &installed, &target, args.dry_run))
}
