//! `image update`: a changed project file, checked with the whole spec before
//! it replaces the old one, and the image.

use std::path::{Path, PathBuf};

use serde_json::json;
use similar::{ChangeTag, TextDiff};

use super::write::Write;
use crate::admin::inventory::{is_of_project, running_old_image};
use crate::cli::args::ImageUpdateArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::{check, deploy, signals};
use crate::host::files;
use crate::model::problem::Problem;
use crate::spec::SpecEntry;
use crate::spec::edit::{Draft, EditContext};
use crate::ui::Output;

pub(crate) async fn run(session: &Session, args: &ImageUpdateArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    let (spec, graph) = session.spec()?;
    let caller = session.caller(Some(&spec));
    let context = EditContext { spec: &spec, graph: &graph, caller: &caller, here: &session.here };
    let name = &args.name;
    let node = deploy::find(&spec, &graph, name, session.uid)?;
    let SpecEntry::Project(project) = SpecEntry::of(&spec, &graph, node) else {
        let problem = Problem::new(format!("`{name}` is no project's image"));
        return Err(CliError::usage(problem.help("shared images are changed in the spec itself")));
    };
    project.check_access(&caller, "change").map_err(CliError::refused)?;
    let path = session.here.join(&project.place.file.path);
    let shown = session.shown(&path).display().to_string();
    // The spec is read with another text there, so without links.
    let (real, old) =
        read(&path).map_err(|error| CliError::usage(format!("{shown} cannot be read: {error}")))?;
    let (text, change) = context.change(&old, project, args.changes())?;
    let draft = super::draft(session, real, text, project.name.as_str())?;
    check::uids(session, &draft.spec, [&project.account.login])?;
    let diff = diff(&old, &draft.text);
    let facts = |written: bool| {
        json!({
            "name": name,
            "file": shown,
            "diff": diff,
            "changes": change.messages,
            "written": written && !diff.is_empty(),
        })
    };
    let write = Write {
        session,
        signals: &signals,
        draft: &draft,
        shown: &shown,
        around: &args.around,
        dry_run: args.dry_run,
        no_build: args.no_build,
    };
    let show = |output: &mut Output| {
        change.messages.iter().for_each(|message| output.note(message));
        if !diff.is_empty() {
            output.note(&format!("{shown}:"));
            diff.lines().for_each(|line| output.note(&format!("  {line}")));
        }
    };
    let put = || if diff.is_empty() { Ok(()) } else { files::replace(&path, &old, &draft.text) };
    let Some(ended) = write.run(facts, show, put).await? else { return Ok(Exit::Done) };
    match &ended {
        Ok(Exit::Done) => note_containers(session, &draft).await?,
        _ if !diff.is_empty() => session.output().note(&format!(
            "{shown} stays as it is now; mend it with another `ds01-build image update`, or try again: ds01-build build {}",
            draft.build_name()
        )),
        _ => {}
    }
    ended
}

/// A file's path without links, and its text.
fn read(path: &Path) -> std::io::Result<(PathBuf, String)> {
    Ok((std::fs::canonicalize(path)?, std::fs::read_to_string(path)?))
}

/// Lines that go and come, with `-` and `+`; empty if the texts are the same.
fn diff(old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    let changes = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
    changes.map(|change| format!("{} {}\n", change.tag(), change.value().trim_end())).collect()
}

/// Says which containers still run the project's old image, and how they get
/// the new one; where it has none, how one is made.
async fn note_containers(session: &Session, draft: &Draft) -> Result<(), CliError> {
    let (engine, project) = (session.engine().await?, draft.project());
    let latest = project.repository.with_tag("latest").to_string();
    let (image, containers) = tokio::join!(engine.image(&latest), engine.containers());
    let (Some(image), containers) = (image?, containers?) else { return Ok(()) };
    let uid = project.account.uid;
    let own = session.uid == uid;
    let deploy = if own { project.name.as_str() } else { draft.name() };
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
