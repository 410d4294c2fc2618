//! `check`: the spec, every file it names, and the uids of people.

use serde_json::json;

use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use crate::model::names::Login;
use crate::plan::{build_arg_warnings, observe};
use crate::spec::Spec;
use crate::ui::human::count;

pub(crate) fn run(session: &Session) -> Result<Exit, CliError> {
    let (spec, graph) = session.spec()?;
    uids(session, &spec, spec.users.keys())?;
    session.pins()?;
    let dockerfiles = observe::files(&spec, &graph, session.hashes()).map_err(CliError::problems)?;
    let doubtful = build_arg_warnings(&spec, &graph, &dockerfiles, graph.order());
    let counts = json!({
        "problems": [],
        "images": spec.images.len(),
        "bases": spec.bases.len(),
        "projects": spec.projects.len(),
    });
    let mut output = session.output();
    doubtful.iter().for_each(|warning| output.note(&format!("warning: {}", warning.sentence())));
    output.data(&counts, |_, _| {
        let (images, bases) = (count(spec.images.len(), "image"), count(spec.bases.len(), "base"));
        format!("no problems: {images} on {bases}, {}\n", count(spec.projects.len(), "project"))
    });
    output.finish()?;
    Ok(Exit::Done)
}

/// Whether `users:` and the machine's user database say the same of people,
/// asked before something is done for them: about those of these logins that `users:` has. A database that cannot
/// be asked is a warning: the spec alone says who they are then.
///
/// # Errors
/// Both know somebody, and differ; at the user's line.
pub(crate) fn uids<'a>(
    session: &Session,
    spec: &Spec,
    logins: impl IntoIterator<Item = &'a Login>,
) -> Result<(), CliError> {
    match spec.disagreements(logins, session.people.as_ref()) {
        Ok(problems) if problems.is_empty() => Ok(()),
        Ok(problems) => Err(CliError::problems(problems)),
        Err(why) => {
            session.output().note(&format!("warning: uids are those of the spec alone, since {why}"));
            Ok(())
        }
    }
}
