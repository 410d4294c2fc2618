//! `--since REV`: what differs from a revision, told to people.

use super::error::CliError;
use super::session::Session;
use super::signals::Signals;
use crate::model::problem::Problem;
use crate::plan::since::{self, Error, Now};
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};

/// The nodes that differ from a revision, with what is based on them; `None`:
/// it cannot be known, which has been said.
///
/// # Errors
/// The revision is none, or the files as they are now have problems.
pub(crate) async fn changed(
    session: &Session,
    signals: &Signals,
    spec: &Spec,
    graph: &Graph,
    revision: &str,
) -> Result<Option<Vec<NodeId>>, CliError> {
    if revision.is_empty() || revision.starts_with('-') {
        let problem = Problem::new(format!("`{revision}` is no revision of git"));
        return Err(CliError::usage(problem.help("say one such as HEAD~1, main, a tag or a commit")));
    }
    let now = Now {
        spec,
        graph,
        file: &session.spec_path(),
        lock: &session.pins()?.lock,
        hashes: session.hashes(),
        stand_ins: &session.bases,
        people: &session.people,
        arch: &session.host,
    };
    // From here on there is a folder to be removed.
    let working = signals.working();
    let difference = match since::since(&now, revision, working.token()).await {
        Ok(difference) => difference,
        Err(Error::Stopped) => return Err(CliError::interrupted()),
        Err(Error::Problems(problems)) => return Err(CliError::problems(problems)),
        Err(Error::Unknown(Problem { message: why, help, .. })) => {
            let help = help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
            session.output().note(&format!(
                "what changed since {revision} cannot be known, so everything is selected: {why}{help}"
            ));
            return Ok(None);
        }
    };
    let mut output = session.output();
    difference.lines(graph, revision).iter().for_each(|line| output.note(line));
    Ok(Some(difference.changed))
}
