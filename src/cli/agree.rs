//! Whether `users:` and the machine's user database say the same of people,
//! asked before something is done for them.

use super::load::CliError;
use super::plan::Made;
use super::settings::Settings;
use crate::model::names::Login;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::Graph;

/// Asks about those of these logins that `users:` has. A database that cannot
/// be asked is a warning: the spec alone says who they are then.
///
/// # Errors
/// Both know somebody, and differ; at the user's line.
pub(crate) fn check<'a>(
    settings: &Settings,
    spec: &Spec,
    logins: impl IntoIterator<Item = &'a Login>,
) -> Result<(), CliError> {
    match spec.disagreements(logins, settings.people.as_ref()) {
        Ok(problems) if problems.is_empty() => Ok(()),
        Ok(problems) => Err(CliError::problems(problems)),
        Err(why) => {
            settings.output().note(&format!("warning: uids are those of the spec alone, since {why}"));
            Ok(())
        }
    }
}

/// The same for everybody who is about to get an image.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_built(
    settings: &Settings,
    spec: &Spec,
    graph: &Graph,
    made: &Made,
) -> Result<(), CliError> {
    let images = made.plan.images.iter().zip(&made.nodes);
    let built = images.filter(|(image, _)| image.reasons().is_some());
    let logins = built.filter_map(|(_, &node)| match SpecEntry::of(spec, graph, node) {
        SpecEntry::Project(project) => Some(&project.account.login),
        SpecEntry::Base(_) | SpecEntry::Image(_) => None,
    });
    check(settings, spec, logins)
}
