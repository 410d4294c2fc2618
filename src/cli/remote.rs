//! Asks registries what a plan wants to know of them. Shared by all that plan.

use std::collections::BTreeMap;

use super::exit::Exit;
use super::load::CliError;
use super::settings::Settings;
use crate::engine::Image;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::observe::remote::{self, Answers};
use crate::plan::remote::{candidates, contents};
use crate::plan::{Candidate, Remote, Selection};
use crate::registry::{Error, Registry};
use crate::spec::graph::Graph;

/// What registries said, and what people should know of those that said
/// nothing.
///
/// # Errors
/// To send images, every registry must answer.
pub(crate) async fn look(
    registry: &dyn Registry,
    questions: &[Candidate],
    store: &[Image],
    push: bool,
) -> Result<(Remote, Vec<String>), CliError> {
    let mut remote = Remote { push, ..Remote::default() };
    let mut unasked = BTreeMap::new();
    take(&mut remote, &mut unasked, ask(registry, contents(questions, store, push)).await);
    let mut wanted = candidates(questions, store, &remote);
    wanted.retain(|reference| !unasked.contains_key(reference.registry()));
    take(&mut remote, &mut unasked, ask(registry, wanted).await);
    if push && !unasked.is_empty() {
        let problems = unasked.values().map(Problem::from).collect();
        return Err(CliError { exit: Exit::Engine, problems });
    }
    Ok((remote, unasked.values().map(warning).collect()))
}

async fn ask(registry: &dyn Registry, mut references: Vec<Reference>) -> Answers {
    references.dedup();
    remote::ask(registry, &references).await
}

fn take(remote: &mut Remote, unasked: &mut BTreeMap<String, Error>, answers: Answers) {
    remote.found.extend(answers.found);
    unasked.extend(answers.unasked);
}

fn warning(error: &Error) -> String {
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{error}{help}; images that are not on the engine are built")
}

/// Whether there is anything to send, and others may have it.
///
/// # Errors
/// No selected image lives in a registry; or `--base` stands another image
/// in, on which nobody else's branch tag should come to stand.
pub(crate) fn may_send(settings: &Settings, graph: &Graph, selection: &Selection) -> Result<(), CliError> {
    if let Some(name) = settings.bases.keys().next() {
        let problem =
            Problem::new(format!("--push sends nothing that stands on a stand-in (--base {name}=…)"));
        return Err(CliError::usage(
            problem.help(
                "leave --push out to build here; or change the base in the spec, and all have the same",
            ),
        ));
    }
    let lives = |repository: &crate::model::reference::Repository| repository.host().is_some();
    if selection.nodes.iter().any(|&node| graph.node(node).repository.as_ref().is_some_and(lives)) {
        return Ok(());
    }
    let problem = Problem::new("--push: no selected image lives in a registry");
    Err(CliError::usage(problem.help(
        "say `registry: reg.example.org/NAME` in the spec; a project's own image always stays on the engine",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::fake::FakeRegistry;

    fn question(host: &str) -> Candidate {
        let recipe = crate::image::recipe::Recipe::new(&crate::image::recipe::Parts {
            dockerfile: None,
            context: None,
            args: &BTreeMap::new(),
            declared_args: &Default::default(),
            bases: &BTreeMap::new(),
            packages: None,
            user: None,
            labels: &BTreeMap::new(),
            platform: "linux/amd64",
            secrets: &Default::default(),
        });
        let repository = crate::model::reference::Repository::parse(&format!("{host}/x")).unwrap();
        Candidate {
            name: crate::model::names::NodeName::new(host),
            caches: vec![repository.with_tag("stable")],
            repository,
            recipe,
            parents: Vec::new(),
            forced: false,
            moving: None,
        }
    }

    #[tokio::test]
    async fn a_registry_that_is_gone_is_told_once_and_only_a_push_needs_it() {
        let registry = FakeRegistry::new();
        registry.lose("gone.local");
        let questions = ["gone.local", "gone.local", "reg.local"].map(question);
        let (remote, warnings) = look(&registry, &questions, &[], false).await.unwrap();
        assert_eq!((remote.found.len(), warnings.len()), (0, 1), "{warnings:?}");
        assert!(warnings[0].contains("gone.local") && warnings[0].ends_with("are built"));
        assert_eq!(registry.heads(), 3, "a content tag each is 2, once for equal ones, and 1 cache");
        let refused = look(&registry, &questions, &[], true).await;
        assert!(matches!(refused, Err(error) if error.exit == Exit::Engine && error.problems.len() == 1));
    }

    #[tokio::test]
    async fn a_registry_that_wants_a_login_says_how_to_log_in() {
        let registry = FakeRegistry::new();
        registry.deny("reg.local");
        let (_, warnings) = look(&registry, &[question("reg.local")], &[], false).await.unwrap();
        assert!(warnings[0].contains("`docker login reg.local`"), "{warnings:?}");
    }

    #[tokio::test]
    async fn nothing_is_asked_for_nothing() {
        let registry = FakeRegistry::new();
        let (remote, warnings) = look(&registry, &[], &[], true).await.unwrap();
        assert!(remote.found.is_empty() && warnings.is_empty());
        assert_eq!(registry.heads(), 0);
    }
}
