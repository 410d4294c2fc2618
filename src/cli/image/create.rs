//! `image create`: a project file, checked with the whole spec before it is
//! put in place, and the image.

use serde_json::json;

use super::draft::{self, Draft};
use super::{form, options};
use crate::cli::args::CreateArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::{build, check, plan, signals};
use crate::host::files;
use crate::model::account::account_name;
use crate::model::names::{Login, ProjectName};
use crate::model::problem::Problem;
use crate::spec::edit::{self, ProjectEntry};
use crate::spec::files::Disk;
use crate::spec::paths::{PlacementError, new_project_file};
use crate::spec::{Project, Spec};

pub(crate) async fn run(session: &Session, args: &CreateArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    let (spec, graph) = session.spec()?;
    let ask = session.can_ask && !args.yes && (args.name.is_none() || args.image.is_none());
    let filled = match ask {
        true => Some(form::fill(session, &signals, &spec, &graph, args).await?),
        false => None,
    };
    let args = filled.as_ref().unwrap_or(args);
    let entry = options::entry(session, &spec, &graph, args)?;
    let draft = draft(session, &spec, &entry)?;
    check::uids(session, &draft.spec, [&draft.project().account.login])?;
    let shown = session.shown(&draft.path).display().to_string();
    let mut output = session.output();
    if ask && !args.dry_run && !form::confirm(session, &signals, &shown, &draft.text, !args.no_build).await? {
        output.note("nothing was written");
        output.finish()?;
        return Ok(Exit::Done);
    }
    let project = draft.project();
    let facts = |written: bool| {
        json!({
            "name": project.name,
            "image": draft.name(),
            "user": project.account.login,
            "file": shown,
            "text": draft.text,
            "written": written,
        })
    };
    if args.dry_run {
        let planned = draft.plan(session, &args.around).await?;
        if output.json {
            let mut data = planned.plan.to_json();
            data["project"] = facts(false);
            output.value(&data);
        } else {
            output.note(&format!("{shown} would be:"));
            output.text(&draft.text);
            plan::show(&planned, None, None, &mut output);
        }
        output.note("nothing was written");
        output.finish()?;
        return Ok(Exit::Done);
    }
    // A Dockerfile that cannot be built, or an engine that does not answer,
    // is found before anything is written.
    if !args.no_build {
        draft.plan(session, &args.around).await?;
    }
    files::create(&draft.path, &draft.text)
        .map_err(|error| draft::unwritten(session, &draft.path, &error))?;
    output.note(&format!("{shown} is written"));
    let (build, own) = (draft.build_name(), draft.own_name(session));
    if args.no_build {
        if output.json {
            output.value(&json!({ "project": facts(true) }));
        }
        output.note(&format!("to build it: ds01-build build {build}"));
        output.finish()?;
        return Ok(Exit::Done);
    }
    output.finish()?;
    let build_args = draft.build_args(&args.around);
    let ended = build::run_for(session, &signals, &build_args, Some(("project", facts(true)))).await;
    let mut output = session.output();
    match &ended {
        Ok(Exit::Done) => output.note(&format!("to run it: ds01-build deploy {own}")),
        Ok(Exit::Interrupted) => {
            output.note(&format!("{shown} stays; to go on: ds01-build build {build}"));
        }
        _ => output.note(&format!(
            "{shown} stays; change it with: ds01-build image update {own}, or try again: ds01-build build {build}"
        )),
    }
    ended
}

/// The text in a file that nobody has. Problems of a file that is not there
/// yet are those of flags.
fn draft(session: &Session, spec: &Spec, entry: &ProjectEntry) -> Result<Draft, CliError> {
    let login = Login::new(&entry.user);
    if let Some(there) = in_use(spec, &entry.name, &login) {
        let file = there.place.file.path.display();
        let problem =
            Problem::new(format!("NAME: {login} has a project `{}` already, in {file}", entry.name));
        let help = format!("choose another name, or change it: ds01-build image update {}", entry.name);
        return Err(CliError::usage(problem.help(help)));
    }
    let account = account_name(&login).map_err(CliError::usage)?;
    let path = new_project_file(spec, &account, &entry.name, &Disk)
        .map_err(|error| CliError::usage(no_place(error)))?;
    let text = edit::entry(entry);
    Draft::read(session, path, text.clone(), &ProjectName::new(&entry.name)).map_err(|mut error| {
        error.problems = error.problems.into_iter().map(|problem| options::of_flag(problem, &text)).collect();
        error
    })
}

fn no_place(error: PlacementError) -> Problem {
    match error {
        PlacementError::NoPattern => Problem::new("the spec takes in no new project files")
            .help("add `include: [projects/*.yml]` to it; nothing was written"),
        PlacementError::Taken(file) => Problem::new(format!("there is a file {} already", file.display()))
            .help("choose another name for the project"),
        PlacementError::Outside(folder) => {
            Problem::new(format!("`{}` leads out of the folder of the spec", folder.display()))
                .help("put a folder in place of the symbolic link; nothing was written")
        }
    }
}

/// A project of that name of the same person.
pub(super) fn in_use<'a>(spec: &'a Spec, name: &str, login: &Login) -> Option<&'a Project> {
    let account = account_name(login).ok()?;
    spec.projects.iter().find(|project| project.name.as_str() == name && project.account.name == account)
}
