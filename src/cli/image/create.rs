//! `image create`: a project file, checked with the whole spec before it is
//! put in place, and the image.

use serde_json::{Value, json};

use super::draft::{self, Checked, Draft};
use super::{form, options};
use crate::cli::args::CreateArgs;
use crate::cli::build;
use crate::cli::check;
use crate::cli::exit::Exit;
use crate::cli::load::{self, CliError};
use crate::cli::plan;
use crate::cli::settings::Settings;
use crate::cli::signals;
use crate::host::files;
use crate::model::account::account_name;
use crate::model::names::{Login, ProjectName};
use crate::model::problem::Problem;
use crate::plan::PlannedRun;
use crate::spec::edit::{self, ProjectEntry};
use crate::spec::files::Disk;
use crate::spec::paths::{PlacementError, new_project_file};
use crate::spec::{Project, Spec};

pub(crate) async fn run(settings: &Settings, args: &CreateArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    let (spec, graph) = load::spec(settings)?;
    let ask = settings.can_ask && !args.yes && (args.name.is_none() || args.image.is_none());
    let filled = match ask {
        true => Some(form::fill(settings, &signals, &spec, &graph, args).await?),
        false => None,
    };
    let args = filled.as_ref().unwrap_or(args);
    let entry = options::entry(settings, &spec, &graph, args)?;
    let draft = draft(&spec, &entry)?;
    let checked =
        draft.check(settings, &ProjectName::new(&entry.name)).map_err(|trouble| of_flags(trouble, &draft))?;
    check::uids(settings, &checked.spec, [&checked.project().account.login])?;
    let shown = settings.shown(&draft.path).display().to_string();
    if ask && !args.dry_run && !form::confirm(settings, &signals, &shown, &draft.text, !args.no_build).await?
    {
        settings.output().note("nothing was written");
        return Ok(Exit::Done);
    }
    let mut facts = facts(&checked, &shown, &draft.text);
    if args.dry_run {
        let made = checked.plan(settings, &args.around).await?;
        return dry_run(settings, &made, &draft.text, &shown, facts);
    }
    // A Dockerfile that cannot be built, or an engine that does not answer,
    // is found before anything is written.
    if !args.no_build {
        checked.plan(settings, &args.around).await?;
    }
    files::create(&draft.path, &draft.text)
        .map_err(|error| draft::unwritten(settings, &draft.path, &error))?;
    settings.output().note(&format!("{shown} is written"));
    facts["written"] = json!(true);
    if args.no_build {
        return not_built(settings, checked.build_name(), &facts);
    }
    let build = draft::build_args(checked.name(), &args.around);
    let ended = build::run_for(settings, &signals, &build, Some(("project", facts))).await;
    say_what_next(settings, &checked, &shown, &ended);
    ended
}

/// The text, and a file for it that nobody has.
fn draft(spec: &Spec, entry: &ProjectEntry) -> Result<Draft, CliError> {
    let login = Login::new(&entry.user);
    if let Some(there) = in_use(spec, &entry.name, &login) {
        let file = there.place.file.path.display();
        let problem =
            Problem::new(format!("NAME: {login} has a project `{}` already, in {file}", entry.name));
        return Err(CliError::usage(
            problem
                .help(format!("choose another name, or change it: ds01-build image update {}", entry.name)),
        ));
    }
    let account = account_name(&login).map_err(CliError::usage)?;
    let path = new_project_file(spec, &account, &entry.name, &Disk).map_err(|why| {
        CliError::usage(match why {
            PlacementError::NoPattern => Problem::new("the spec takes in no new project files")
                .help("add `include: [projects/*.yml]` to it; nothing was written"),
            PlacementError::Taken(file) => {
                Problem::new(format!("there is a file {} already", file.display()))
                    .help("choose another name for the project")
            }
            PlacementError::Outside(folder) => {
                Problem::new(format!("`{}` leads out of the folder of the spec", folder.display()))
                    .help("put a folder in place of the symbolic link; nothing was written")
            }
        })
    })?;
    Ok(Draft { path, text: edit::entry(entry) })
}

/// A project of that name of the same person.
pub(super) fn in_use<'a>(spec: &'a Spec, name: &str, login: &Login) -> Option<&'a Project> {
    let account = account_name(login).ok()?;
    spec.projects.iter().find(|project| project.name.as_str() == name && project.account.name == account)
}

/// Problems of the file that is not there yet are those of flags.
fn of_flags(trouble: CliError, draft: &Draft) -> CliError {
    let CliError { exit, problems } = trouble;
    let problems = problems.into_iter().map(|problem| options::of_flag(problem, &draft.text));
    CliError { exit, problems: problems.collect() }
}

fn facts(checked: &Checked, shown: &str, text: &str) -> Value {
    let project = checked.project();
    json!({
        "name": project.name,
        "image": checked.name(),
        "user": project.account.login,
        "file": shown,
        "text": text,
        "written": false,
    })
}

fn dry_run(
    settings: &Settings,
    made: &PlannedRun,
    text: &str,
    shown: &str,
    facts: Value,
) -> Result<Exit, CliError> {
    let mut output = settings.output();
    if output.json {
        let mut data = made.plan.to_json();
        data["project"] = facts;
        output.value(&data);
    } else {
        output.note(&format!("{shown} would be:"));
        output.text(text);
        plan::show(made, None, None, &mut output);
    }
    output.note("nothing was written");
    output.finish()?;
    Ok(Exit::Done)
}

fn not_built(settings: &Settings, name: &str, facts: &Value) -> Result<Exit, CliError> {
    let mut output = settings.output();
    if output.json {
        output.value(&json!({ "project": facts }));
    }
    output.note(&format!("to build it: ds01-build build {name}"));
    output.finish()?;
    Ok(Exit::Done)
}

fn say_what_next(settings: &Settings, checked: &Checked, shown: &str, ended: &Result<Exit, CliError>) {
    let (build, own) = (checked.build_name(), checked.own_name(settings));
    let mut output = settings.output();
    match ended {
        Ok(Exit::Done) => output.note(&format!("to run it: ds01-build deploy {own}")),
        Ok(Exit::Interrupted) => {
            output.note(&format!("{shown} stays; to go on: ds01-build build {build}"));
        }
        _ => output.note(&format!(
            "{shown} stays; change it with: ds01-build image update {own}, or try again: ds01-build build {build}"
        )),
    }
}
