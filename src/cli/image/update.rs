//! `image update`: a changed project file, checked with the whole spec before
//! it replaces the old one, and the image.

use std::path::{Path, PathBuf};

use serde_json::json;
use similar::{ChangeTag, TextDiff};

use super::draft::{self, Draft};
use super::options;
use crate::admin::inventory::{is_of_project, running_old_image};
use crate::cli::args::ImageUpdateArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::{build, check, deploy, plan, signals};
use crate::container::may_act_for;
use crate::host::files;
use crate::model::problem::Problem;
use crate::spec::SpecEntry;
use crate::spec::edit::{self, EntryEdit, ProjectChanges};
use crate::spec::graph::Graph;
use crate::spec::{Project, Spec};

pub(crate) async fn run(session: &Session, args: &ImageUpdateArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    let (spec, graph) = session.spec()?;
    let project = project(session, &spec, &graph, &args.name)?;
    let file = ProjectFile::read(session, project)?;
    let change = change(session, args, &spec, &graph, project, &file)?;
    let text = edit::apply(&file.text, project.name.as_str(), &change.changes)
        .map_err(|why| file.unchangeable(session, &why))?;
    let draft = Draft::read(session, file.real.clone(), text, &project.name)?;
    check::uids(session, &draft.spec, [&project.account.login])?;
    let planned = match args.no_build && !args.dry_run {
        true => None,
        false => Some(draft.plan(session, &args.around).await?),
    };
    let shown = session.shown(&file.path).display().to_string();
    let diff = diff(&file.text, &draft.text);
    let facts = |written: bool| {
        json!({
            "name": args.name,
            "file": shown,
            "diff": diff,
            "changes": change.messages,
            "written": written && !diff.is_empty(),
        })
    };
    let mut output = session.output();
    change.messages.iter().for_each(|message| output.note(message));
    if !diff.is_empty() {
        output.note(&format!("{shown}:"));
        diff.lines().for_each(|line| output.note(&format!("  {line}")));
    }
    if let Some(planned) = planned.filter(|_| args.dry_run) {
        if output.json {
            let mut data = planned.plan.to_json();
            data["project"] = facts(false);
            output.value(&data);
        } else {
            plan::show(&planned, None, None, &mut output);
        }
        output.note("nothing was written");
        output.finish()?;
        return Ok(Exit::Done);
    }
    if !diff.is_empty() {
        files::replace(&file.path, &file.text, &draft.text)
            .map_err(|error| draft::unwritten(session, &file.path, &error))?;
    }
    let name = draft.build_name();
    if args.no_build {
        if output.json {
            output.value(&json!({ "project": facts(true) }));
        }
        output.note(&format!("to build it: ds01-build build {name}"));
        output.finish()?;
        return Ok(Exit::Done);
    }
    let build = draft.build_args(&args.around);
    let ended = build::run_for(session, &signals, &build, Some(("project", facts(true)))).await;
    match &ended {
        Ok(Exit::Done) => note_containers(session, draft.project()).await?,
        _ if !diff.is_empty() => output.note(&format!(
            "{shown} stays as it is now; mend it with another `ds01-build image update`, or try again: ds01-build build {name}",
        )),
        _ => {}
    }
    ended
}

/// The project of that name. Only its owner, or an administrator, changes it.
fn project<'a>(
    session: &Session,
    spec: &'a Spec,
    graph: &Graph,
    name: &str,
) -> Result<&'a Project, CliError> {
    let node = deploy::find(spec, graph, name, session.uid)?;
    let SpecEntry::Project(project) = SpecEntry::of(spec, graph, node) else {
        let problem = Problem::new(format!("`{name}` is no project's image"));
        return Err(CliError::usage(problem.help("shared images are changed in the spec itself")));
    };
    let account = &project.account;
    if may_act_for(&session.caller(Some(spec)), account.uid) {
        return Ok(project);
    }
    let problem = Problem::new(format!("the project belongs to {} (uid {})", account.login, account.uid));
    Err(CliError::refused(problem.help("only its owner or an administrator can change it")))
}

/// A project file as it is.
struct ProjectFile {
    path: PathBuf,
    /// Without links: the spec may be read with another text there.
    real: PathBuf,
    text: String,
}

impl ProjectFile {
    fn read(session: &Session, project: &Project) -> Result<Self, CliError> {
        let path = session.here.join(&project.place.file.path);
        let read = || Ok((std::fs::canonicalize(&path)?, std::fs::read_to_string(&path)?));
        let (real, text) = read().map_err(|error: std::io::Error| {
            CliError::usage(format!("{} cannot be read: {error}", session.shown(&path).display()))
        })?;
        Ok(Self { path, real, text })
    }

    fn unchangeable(&self, session: &Session, why: &str) -> CliError {
        let problem = Problem::new(format!("{} was not changed: {why}", session.shown(&self.path).display()));
        CliError::usage(problem.help("edit it, and then run `ds01-build image update` without flags"))
    }
}

fn change(
    session: &Session,
    args: &ImageUpdateArgs,
    spec: &Spec,
    graph: &Graph,
    project: &Project,
    old: &ProjectFile,
) -> Result<EntryEdit, CliError> {
    let mut problems: Vec<Problem> = Vec::new();
    problems.extend(args.image.as_deref().and_then(|image| options::check_base(graph, image).err()));
    let mut file = |flag, file: Option<&Path>| options::below_root(session, spec, flag, file, &mut problems);
    let requirements = file("--requirements", args.requirements.as_deref());
    let dockerfile = file("--dockerfile", args.dockerfile.as_deref());
    let changes = ProjectChanges { requirements, dockerfile, ..args.changes() };
    let entry =
        edit::read(&old.text, project.name.as_str()).map_err(|why| old.unchangeable(session, &why))?;
    match edit::change(&entry, &changes, &spec.build.allow_urls) {
        Ok(change) if problems.is_empty() => Ok(change),
        Ok(_) => Err(CliError::problems(problems)),
        Err(more) => {
            problems.extend(more);
            Err(CliError::problems(problems))
        }
    }
}

/// Lines that go and come, with `-` and `+`; empty if the texts are the same.
fn diff(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let changes = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
    changes.map(|change| format!("{} {}\n", change.tag(), change.value().trim_end())).collect()
}

/// Says which containers still run the project's old image, and how they get
/// the new one; where it has none, how one is made.
async fn note_containers(session: &Session, project: &Project) -> Result<(), CliError> {
    let engine = session.engine().await?;
    let latest = project.repository.with_tag("latest").to_string();
    let (image, containers) = tokio::join!(engine.image(&latest), engine.containers());
    let (Some(image), containers) = (image?, containers?) else { return Ok(()) };
    let uid = project.account.uid;
    let own = session.uid == uid;
    let deploy = match own {
        true => project.name.to_string(),
        false => format!("{}/{}", project.account.name, project.name),
    };
    let mut output = session.output();
    for container in running_old_image(project, &image, &containers) {
        let name = if own { container.short_name() } else { &container.name };
        output.note(&format!(
            "{} still runs the old image; what is not in /workspace goes when you move it to the new one:\n  \
             ds01-build container retire {name} && ds01-build deploy {deploy}",
            container.name
        ));
    }
    if !containers.iter().any(|container| is_of_project(container, uid, project.name.as_str())) {
        output.note(&format!("to run it: ds01-build deploy {deploy}"));
    }
    output.finish()?;
    Ok(())
}
