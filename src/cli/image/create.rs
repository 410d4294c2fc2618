//! `image create`: a project file, checked with the whole spec before it is
//! put in place, and the image.

use serde_json::json;

use super::form;
use super::write::Write;
use crate::cli::args::{CreateArgs, typed};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::{check, signals};
use crate::host::files;
use crate::spec::edit::{self, EditContext, ProjectEntry, of_flag};

pub(crate) async fn run(session: &Session, args: &CreateArgs) -> Result<Exit, CliError> {
    let signals = signals::listen()?;
    let (spec, graph) = session.spec()?;
    let caller = session.caller(Some(&spec));
    let context = EditContext { spec: &spec, graph: &graph, caller: &caller, here: &session.here };
    let ask = session.can_ask && !args.yes && (args.name.is_none() || args.image.is_none());
    let filled = match ask {
        true => Some(form::fill(session, &signals, context, args).await?),
        false => None,
    };
    let args = filled.as_ref().unwrap_or(args);
    let entry = entry(context, args)?;
    let path = context.place(&entry)?;
    // Problems of a file that is not there yet are those of flags.
    let text = edit::entry(&entry);
    let draft = super::draft(session, path, text.clone(), &entry.name).map_err(|error| CliError {
        problems: error.problems.into_iter().map(|problem| of_flag(problem, &text)).collect(),
        ..error
    })?;
    let project = draft.project();
    check::uids(session, &draft.spec, [&project.account.login])?;
    let shown = session.shown(&draft.path).display().to_string();
    if ask && !args.dry_run && !form::confirm(session, &signals, &shown, &draft.text, !args.no_build).await? {
        session.output().note("nothing was written");
        return Ok(Exit::Done);
    }
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
    let write = Write {
        session,
        signals: &signals,
        draft: &draft,
        shown: &shown,
        around: &args.around,
        dry_run: args.dry_run,
        no_build: args.no_build,
    };
    let show = |output: &mut crate::ui::Output| {
        if args.dry_run && !output.json {
            output.note(&format!("{shown} would be:"));
            output.text(&draft.text);
        }
    };
    let put = || {
        files::create(&draft.path, &draft.text)?;
        session.output().note(&format!("{shown} is written"));
        Ok(())
    };
    let Some(ended) = write.run(facts, show, put).await? else { return Ok(Exit::Done) };
    let (build, own) = (draft.build_name(), draft.own_name(session.uid));
    session.output().note(&match &ended {
        Ok(Exit::Done) => format!("to run it: ds01-build deploy {own}"),
        Ok(Exit::Interrupted) => format!("{shown} stays; to go on: ds01-build build {build}"),
        _ => format!(
            "{shown} stays; change it with: ds01-build image update {own}, or try again: ds01-build build {build}"
        ),
    });
    ended
}

/// The project that is asked for.
fn entry(context: EditContext<'_>, args: &CreateArgs) -> Result<ProjectEntry, CliError> {
    let CreateArgs { name, image, use_case, apt, pip, jupyter, .. } = args.clone();
    let missing = context.missing(name.is_none(), image.is_none());
    let (Some(name), Some(image)) = (name, image) else { return Err(missing.into()) };
    let [requirements, dockerfile] = [&args.requirements, &args.dockerfile].map(typed);
    let user = String::new();
    let mut entry = ProjectEntry { name, user, image, use_case, apt, pip, requirements, dockerfile, jupyter };
    context.check(&mut entry, args.user.as_deref())?;
    Ok(entry)
}
