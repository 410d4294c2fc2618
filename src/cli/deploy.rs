//! `deploy`: a container from a project's image.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::agree;
use super::args::DeployArgs;
use super::exit::Exit;
use super::load::{self, Trouble};
use super::plan;
use super::settings::Settings;
use crate::account::Account;
use crate::deploy::{self, Deployed, Order};
use crate::engine::{CreateContainer, Engine, ImageDetail};
use crate::graph::{Graph, NodeId};
use crate::names::NodeName;
use crate::people::{People, may_act_for};
use crate::problem::Problem;
use crate::spec::{Project, Spec};
use crate::subject::Subject;

pub async fn run(settings: &Settings, args: &DeployArgs) -> Result<Exit, Trouble> {
    let (spec, graph) = load::spec(settings)?;
    let node = find(&spec, &graph, &args.project, settings.uid)?;
    let Subject::Project(project) = Subject::of(&spec, &graph, node) else {
        let problem = Problem::new(format!("`{}` is no project's image", args.project))
            .help("containers are made from project images; ask for one with a file in projects/");
        return Err(Trouble::Usage(problem));
    };
    allowed(settings, &spec, &project.account)?;
    let engine = load::engine(settings).await?;
    let (image, newer) = image(settings, &spec, &graph, node, project, engine.as_ref()).await?;
    let workspace = workspace(settings, args, project)?;
    let request = request(&spec, project, &image, &workspace, engine.as_ref()).await?;
    if args.dry_run {
        return show_request(settings, &request);
    }
    make_folder(&workspace, &project.account)?;
    let deployed = deploy::run(engine.as_ref(), &request).await?;
    report(settings, &deployed, &workspace, newer.as_ref())
}

/// The project of that name; of several people's, the caller's own.
pub(super) fn find(spec: &Spec, graph: &Graph, name: &str, uid: u32) -> Result<NodeId, Trouble> {
    let own = |node: &&crate::graph::Node| match Subject::of(spec, graph, node.id) {
        Subject::Project(project) => project.name.as_str() == name && project.account.uid == uid,
        _ => false,
    };
    match graph.nodes().find(own) {
        Some(node) => Ok(node.id),
        None => graph.find(name).map_err(Trouble::Usage),
    }
}

/// Everybody deploys their own; an administrator for anybody.
fn allowed(settings: &Settings, spec: &Spec, account: &Account) -> Result<(), Trouble> {
    if !may_act_for(&settings.caller(Some(spec)), account.uid) {
        let problem = Problem::new(format!("the project belongs to {} (uid {})", account.login, account.uid));
        return Err(Trouble::Refused(problem.help("only its owner or an administrator can deploy it")));
    }
    agree::check(settings, spec, [&account.login])
}

/// The project's finished image; and its name, if the spec has moved on.
async fn image(
    settings: &Settings,
    spec: &Spec,
    graph: &Graph,
    node: NodeId,
    project: &Project,
    engine: &dyn Engine,
) -> Result<(ImageDetail, Option<NodeName>), Trouble> {
    let latest = project.repository.with_tag("latest");
    let Some(image) = engine.image(&latest.to_string()).await? else {
        let problem = Problem::new(format!("there is no image {latest} yet"))
            .help(format!("build it first: ds01-build build {}", graph.node(node).name));
        return Err(Trouble::Refused(problem));
    };
    let mut selection = plan::everything(graph);
    let needed = graph.ancestors(&[node]);
    selection.nodes.retain(|n| *n == node || needed.contains(n));
    // A base that cannot be asked must not keep anyone from their container.
    let behind = match plan::make(settings, spec, graph, engine, &selection).await {
        Ok(made) => made
            .plan
            .images
            .last()
            .is_some_and(|planned| planned.reasons().is_some() || !planned.is_recipe_of(&image.labels)),
        Err(_) => false,
    };
    Ok((image, behind.then(|| graph.node(node).name.clone())))
}

/// The folder for `/workspace`: the one that was named, or `workspace/NAME`
/// in the owner's home.
fn workspace(settings: &Settings, args: &DeployArgs, project: &Project) -> Result<PathBuf, Trouble> {
    if let Some(folder) = &args.workspace {
        return Ok(settings.here.join(folder));
    }
    let account = &project.account;
    let person = settings.people.by_uid(account.uid).map_err(|why| {
        Trouble::Refused(
            Problem::new(format!("the workspace cannot be found: {why}")).help("say --workspace DIR"),
        )
    })?;
    match person.and_then(|person| person.home) {
        Some(home) => Ok(home.join("workspace").join(project.name.as_str())),
        None => {
            let problem = Problem::new(format!(
                "{} (uid {}) has no home folder on this machine to take the workspace from",
                account.login, account.uid
            ));
            Err(Trouble::Refused(problem.help("say --workspace DIR")))
        }
    }
}

async fn request(
    spec: &Spec,
    project: &Project,
    image: &ImageDetail,
    workspace: &Path,
    engine: &dyn Engine,
) -> Result<CreateContainer, Trouble> {
    let (facts, containers) = tokio::join!(engine.facts(), engine.containers());
    let (facts, containers) = (facts?, containers?);
    #[expect(clippy::disallowed_methods, reason = "the label ds01.created_at is the time of this call")]
    let now = Timestamp::now();
    let order = Order {
        project: &project.name,
        account: &project.account,
        group: &project.group,
        limits: &spec.limits,
        image,
        workspace,
    };
    deploy::request(&order, &deploy::Seen { engine: &facts, containers: &containers, now })
        .map_err(|refusal| Trouble::Refused(Problem::new(refusal.to_string()).help(refusal.help())))
}

/// Makes a missing workspace, owned by the person it is for.
fn make_folder(workspace: &Path, account: &Account) -> Result<(), Trouble> {
    if workspace.parent().is_none() {
        let problem =
            Problem::new("`/` cannot be a workspace: it would give the container the whole machine");
        return Err(Trouble::Refused(problem.help("say a folder of the project with --workspace DIR")));
    }
    if workspace.is_dir() {
        return writable(workspace);
    }
    let trouble = |error: std::io::Error| {
        let problem = Problem::new(format!("the workspace {} cannot be made: {error}", workspace.display()));
        Trouble::Refused(problem.help("say another with --workspace DIR"))
    };
    std::fs::create_dir_all(workspace).map_err(trouble)?;
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(workspace, Some(account.uid), Some(account.gid)).map_err(trouble)?;
    }
    Ok(())
}

/// Nobody mounts what they could not write themselves.
fn writable(workspace: &Path) -> Result<(), Trouble> {
    rustix::fs::access(workspace, rustix::fs::Access::WRITE_OK).map_err(|error| {
        let problem =
            Problem::new(format!("you may not write to the workspace {}: {error}", workspace.display()));
        Trouble::Refused(problem.help("say another with --workspace DIR"))
    })
}

fn show_request(settings: &Settings, request: &CreateContainer) -> Result<Exit, Trouble> {
    let mut output = settings.output();
    output.value(request);
    output.note("nothing was created");
    output.finish()?;
    Ok(Exit::Done)
}

fn report(
    settings: &Settings,
    deployed: &Deployed,
    workspace: &Path,
    newer: Option<&NodeName>,
) -> Result<Exit, Trouble> {
    let mut output = settings.output();
    output.data(deployed, |deployed, _| {
        format!("{} is running; {} is its /workspace\n", deployed.name, workspace.display())
    });
    for note in &deployed.notes {
        output.note(&format!("note: {note}"));
    }
    if let Some(image) = newer {
        output.note(&format!(
            "note: its image is not up to date with the spec; ds01-build build {image} makes a new one"
        ));
    }
    output.finish()?;
    Ok(Exit::Done)
}
