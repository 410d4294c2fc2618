//! What a plan has to know of registries, asked all at once.
//!
//! With everything on the engine and nothing to send nobody is asked. That a
//! registry has no such image and that it could not be asked are never mixed
//! up.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::decide::decide;
use super::history::Histories;
use super::run::Error;
use super::{Plan, Planned, Reason};
use crate::engine::ImageIndex;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::registry::{self, Registry};
use crate::spec::graph::{Graph, NodeId};

/// What registries have, and whether they are to have what is built.
#[derive(Debug, Default)]
pub(crate) struct RegistryTags {
    /// Short form of a reference → the manifest digest it stands for.
    pub(crate) found: BTreeMap<String, String>,
    /// Why a registry could not be asked, one for each host.
    pub(crate) unavailable: BTreeMap<String, registry::Error>,
    /// `--push`.
    pub(crate) push: bool,
}

impl RegistryTags {
    /// The digest of what a reference stands for, as far as it was asked for.
    pub(crate) fn digest(&self, reference: &Reference) -> Option<&str> {
        self.found.get(&reference.to_string()).map(String::as_str)
    }

    /// One HEAD for each reference, but those of hosts that did not answer before.
    pub(crate) async fn ask(&mut self, registry: &dyn Registry, mut references: Vec<Reference>) {
        references.dedup();
        references.retain(|reference| !self.unavailable.contains_key(reference.registry()));
        let asked = references.iter().map(|reference| registry.digest(reference));
        let answers = futures::future::join_all(asked).await;
        for (reference, answer) in references.iter().zip(answers) {
            match answer {
                Ok(Some(digest)) => drop(self.found.insert(reference.to_string(), digest)),
                Ok(None) => {}
                Err(error) => {
                    self.unavailable.entry(reference.registry().to_owned()).or_insert(error);
                }
            }
        }
    }

    /// What people should know of those that did not answer.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |error: &registry::Error| {
            let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("{error}{help}; images that are not on the engine are built")
        };
        self.unavailable.values().map(warning).collect()
    }
}

/// Content tags that decide what is done: of images that live in a registry
/// and are not on the engine; to send them, of all, with their branch tags.
pub(crate) fn content_tags(candidates: &[Candidate], images: &ImageIndex<'_>, push: bool) -> Vec<Reference> {
    let mut wanted = Vec::new();
    for candidate in candidates.iter().filter(|candidate| candidate.repository.host().is_some()) {
        if push {
            wanted.push(candidate.content());
            wanted.extend(candidate.moving.clone());
        } else if !candidate.forced && candidate.present(images).is_none() {
            wanted.push(candidate.content());
        }
    }
    wanted
}

/// Decides, with what registries have of the images.
///
/// # Errors
/// To send images, every registry must answer.
pub(super) async fn decide_asking(
    registry: &dyn Registry,
    candidates: Vec<Candidate>,
    images: &ImageIndex<'_>,
    histories: &Histories,
    push: bool,
) -> Result<(Plan, RegistryTags), Error> {
    let mut tags = RegistryTags { push, ..RegistryTags::default() };
    tags.ask(registry, content_tags(&candidates, images, push)).await;
    let mut plan = decide(candidates, images, &tags, histories);
    tags.ask(registry, plan.cache_tags()).await;
    if push && !tags.unavailable.is_empty() {
        return Err(Error::Registries(tags.unavailable.into_values().collect()));
    }
    let replaced = plan.replaced();
    if !replaced.is_empty() {
        return Err(Error::Replaced(replaced));
    }
    plan.keep_caches(&tags);
    Ok((plan, tags))
}

/// Whether there is anything to send, and others may have it. `stand_in`: a
/// base that another image stands in for.
///
/// # Errors
/// No selected image lives in a registry; or with a stand-in, on which nobody
/// else's branch tag should come to stand.
pub(crate) fn may_push(graph: &Graph, nodes: &[NodeId], stand_in: Option<&str>) -> Result<(), Problem> {
    if let Some(name) = stand_in {
        let what = format!("--push sends nothing that is based on a stand-in (--base {name}=…)");
        return Err(Problem::new(what)
            .help("leave --push out to build here; or change the base in the spec, and all have the same"));
    }
    let lives = |node: &NodeId| graph.node(*node).repository.as_ref().is_some_and(|r| r.host().is_some());
    if nodes.iter().any(lives) {
        return Ok(());
    }
    let problem = Problem::new("--push: no selected image lives in a registry");
    Err(problem.help(
        "say `registry: reg.example.org/NAME` in the spec; a project's own image always stays on the engine",
    ))
}

impl Plan {
    /// What a registry has under a content tag is there for good: builds that
    /// would send another image under it.
    pub(super) fn replaced(&self) -> Vec<Problem> {
        let sent = self.images.iter().filter(|image| image.push && image.remote.is_some());
        let problem = |image: &Planned| {
            let rebuilt = image.reasons().into_iter().flatten().find_map(|reason| match reason {
                Reason::ParentRebuilt { parent } => Some(parent),
                _ => None,
            });
            let (name, content) = (&image.name, &image.content);
            let message = match rebuilt {
                Some(parent) => format!(
                    "{name} is in the registry as {content}, which never changes, and {parent}, which it is based on, would be built anew"
                ),
                None => format!("{name} is in the registry as {content}, which never changes"),
            };
            let anew = rebuilt.unwrap_or(name);
            Problem::new(message).help(format!(
                "to build it with fresh packages: ds01-build update --packages {anew}, and commit spec.lock"
            ))
        };
        sent.map(problem).collect()
    }

    /// Tags whose image may save steps of what is built, best first.
    pub(crate) fn cache_tags(&self) -> Vec<Reference> {
        self.images.iter().flat_map(|image| image.cache_from.iter().cloned()).collect()
    }

    /// Leaves those cache tags that are there, each content once.
    pub(crate) fn keep_caches(&mut self, tags: &RegistryTags) {
        for image in &mut self.images {
            let mut known = Vec::new();
            image.cache_from.retain(|reference| match tags.digest(reference) {
                Some(digest) if !known.contains(&digest) => {
                    known.push(digest);
                    true
                }
                _ => false,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::recipe::{Parts, Recipe};
    use crate::model::names::NodeName;
    use crate::model::reference::Repository;
    use crate::registry::fake::FakeRegistry;

    #[tokio::test]
    async fn what_is_not_there_and_who_could_not_be_asked_are_told_apart() {
        let registry = FakeRegistry::new();
        let references = ["reg.local/a:1", "reg.local/b:1", "gone.local/a:1", "gone.local/b:1"];
        let references = references.map(|text| Reference::parse(text).unwrap());
        let digest = registry.push(&references[0], &BTreeMap::new(), &["sha256:1"]);
        registry.lose("gone.local");
        let mut answers = RegistryTags::default();
        answers.ask(&registry, references.to_vec()).await;
        assert_eq!(answers.found, BTreeMap::from([("reg.local/a:1".to_owned(), digest)]));
        assert_eq!(answers.unavailable.keys().collect::<Vec<_>>(), ["gone.local"]);
        assert_eq!(registry.heads(), 4);
    }

    fn candidate(host: &str) -> Candidate {
        let recipe = Recipe::new(&Parts {
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
            refresh: Default::default(),
        });
        let repository = Repository::parse(&format!("{host}/x")).unwrap();
        Candidate {
            name: NodeName::new(host),
            caches: vec![repository.with_tag("stable")],
            repository,
            recipe,
            parents: Vec::new(),
            forced: false,
            is_project: false,
            moving: None,
        }
    }

    /// Decides on an engine without images.
    async fn look(
        registry: &dyn Registry,
        candidates: Vec<Candidate>,
        push: bool,
    ) -> Result<(RegistryTags, Vec<String>), Error> {
        let images = ImageIndex::new(&[]);
        let (_, tags) = decide_asking(registry, candidates, &images, &Histories::new(), push).await?;
        let warnings = tags.warnings();
        Ok((tags, warnings))
    }

    #[tokio::test]
    async fn a_registry_that_is_gone_is_told_once_and_only_a_push_needs_it() {
        let registry = FakeRegistry::new();
        registry.lose("gone.local");
        let candidates = ["gone.local", "gone.local", "reg.local"].map(candidate);
        let (remote, warnings) = look(&registry, candidates.to_vec(), false).await.unwrap();
        assert_eq!((remote.found.len(), warnings.len()), (0, 1), "{warnings:?}");
        assert!(warnings[0].contains("gone.local") && warnings[0].ends_with("are built"));
        assert_eq!(registry.heads(), 3, "a content tag each is 2, once for equal ones, and 1 cache");
        let refused = look(&registry, candidates.to_vec(), true).await;
        assert!(matches!(refused, Err(Error::Registries(errors)) if errors.len() == 1));
    }

    #[tokio::test]
    async fn a_registry_that_wants_a_login_says_how_to_log_in() {
        let registry = FakeRegistry::new();
        registry.deny("reg.local");
        let (_, warnings) = look(&registry, vec![candidate("reg.local")], false).await.unwrap();
        assert!(warnings[0].contains("`docker login reg.local`"), "{warnings:?}");
    }

    #[tokio::test]
    async fn nothing_is_asked_for_nothing() {
        let registry = FakeRegistry::new();
        let (remote, warnings) = look(&registry, vec![], true).await.unwrap();
        assert!(remote.found.is_empty() && warnings.is_empty());
        assert_eq!(registry.heads(), 0);
    }
}
