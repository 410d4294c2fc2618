//! What a container is made from: the word that was typed, as an image that
//! the engine has.
//!
//! In this order: a project of the owner, a name of the spec (another
//! person's project by its whole name), an image of the engine, another
//! person's project by its short name. A word that is none of these is an
//! error and never looked for on Docker Hub.

use super::making::{self, Ended};
use crate::build::account_layer;
use crate::cli::args::DeployArgs;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::cli::{pins, plan};
use crate::engine::{Engine, ImageDetail};
use crate::host::people::may_act_for;
use crate::model::labels;
use crate::model::labels::write::Catalogue;
use crate::model::names::{NodeName, ProjectName};
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::{Action, Planned, Where};
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, Node, NodeId};
use crate::spec::{Project, Spec};

/// Shortest part of an id that is taken for one: shorter words are names.
const ID_DIGITS: usize = 12;

/// An image to deploy.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) image: ImageDetail,
    /// A name under which the engine has it.
    pub(crate) reference: Reference,
    /// For the container and for the image with the account.
    pub(crate) name: String,
    pub(crate) project: Option<ProjectName>,
    /// What the spec says of it, where its labels may not.
    pub(crate) catalogue: Option<Catalogue>,
    /// Its name in the spec, if that has moved on.
    pub(crate) behind: Option<NodeName>,
    pub(crate) note: Option<String>,
}

/// What the words of the command line are looked for in.
#[derive(Clone, Copy)]
pub(crate) struct Among<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) args: &'a DeployArgs,
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
}

/// What a word is, before any image is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Project(NodeId, &'a Project),
    /// A shared image or base of the spec.
    Shared(NodeId),
    /// Maybe an image of the engine.
    Unknown,
}

impl<'a> Among<'a> {
    /// By the spec: a project of this uid before names of the spec.
    pub(crate) fn target(self, uid: u32) -> Target<'a> {
        let (word, spec, graph) = (self.args.image.as_str(), self.spec, self.graph);
        let own = graph.nodes().find(|node| match SpecEntry::of(spec, graph, node.id) {
            SpecEntry::Project(project) => project.name.as_str() == word && project.account.uid == uid,
            _ => false,
        });
        let named = || graph.nodes().find(|node| node.name.as_str() == word);
        own.or_else(named).map_or(Target::Unknown, |node| self.of(node.id))
    }

    /// Another person's project by its short name.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) fn others(self) -> Result<Target<'a>, Problem> {
        self.graph.find(&self.args.image).map(|node| self.of(node))
    }

    fn of(self, node: NodeId) -> Target<'a> {
        match SpecEntry::of(self.spec, self.graph, node) {
            SpecEntry::Project(project) => Target::Project(node, project),
            _ => Target::Shared(node),
        }
    }

    /// A project's finished image.
    ///
    /// # Errors
    /// It was not built yet.
    pub(crate) async fn project(
        self,
        engine: &dyn Engine,
        node: NodeId,
        project: &Project,
    ) -> Result<Source, CliError> {
        let latest = project.repository.with_tag("latest");
        let name = &self.graph.node(node).name;
        let Some(image) = engine.image(&latest.to_string()).await? else {
            return Err(unbuilt(&format!("there is no image {latest} yet"), name));
        };
        let planned = self.planned(engine, node).await;
        let behind = planned
            .is_some_and(|planned| planned.reasons().is_some() || !planned.is_recipe_of(&image.labels));
        Ok(Source {
            image,
            reference: latest,
            name: project.name.to_string(),
            project: Some(project.name.clone()),
            catalogue: None,
            behind: behind.then(|| name.clone()),
            note: None,
        })
    }

    /// The image of a name of the spec that is no project.
    ///
    /// # Errors
    /// The engine does not have it.
    pub(crate) async fn shared(self, engine: &dyn Engine, node: NodeId) -> Result<Source, Ended> {
        let subject = SpecEntry::of(self.spec, self.graph, node);
        let found = match subject.external() {
            Some(reference) => self.base(engine, reference).await?,
            None => self.newest(engine, self.graph.node(node)).await?,
        };
        let name = &self.graph.node(node).name;
        let (image, reference, note) = found;
        let catalogue = subject.catalogue().map(|(framework, arch)| Catalogue { framework, arch });
        let behind = note.behind.then(|| name.clone());
        Ok(Source {
            image,
            reference,
            name: account_layer::derived(name.as_str()),
            project: None,
            catalogue,
            behind,
            note: note.text,
        })
    }

    /// A base: what its pin names, else what its tag names.
    async fn base(self, engine: &dyn Engine, reference: &Reference) -> Result<Found, Ended> {
        let pins = pins::load(self.settings)?;
        let pinned = pins.of(reference).map(|pin| reference.pinned(pin.digest()));
        let by_digest =
            pinned.as_ref().and_then(|pinned| Some(pinned.repository().with_digest(pinned.digest()?)));
        if let (Some(pinned), Some(by_digest)) = (&pinned, by_digest)
            && let Some(image) = engine.image(&by_digest.to_string()).await?
        {
            return Ok((image, pinned.clone(), Note::default()));
        }
        let wanted = pinned.as_ref().unwrap_or(reference);
        if self.args.pull {
            let image = making::pull(self.settings, engine, wanted).await?;
            return Ok((image, wanted.clone(), Note::default()));
        }
        let Some(image) = engine.image(&reference.to_string()).await? else {
            return Err(absent(reference).into());
        };
        let text = pinned.map(|_| format!("{reference} on this engine may not be what spec.lock pins"));
        Ok((image, reference.clone(), Note { behind: false, text }))
    }

    /// A shared image: the one that is up to date, else the stable one, else
    /// the newest.
    async fn newest(self, engine: &dyn Engine, node: &Node) -> Result<Found, Ended> {
        let planned = self.planned(engine, node.id).await;
        if let Some(planned) = &planned {
            let in_registry =
                matches!(planned.action, Action::Keep(Where::Registry(_)) | Action::Fetch { .. });
            let image = match &planned.action {
                Action::Keep(Where::Engine(id)) => engine.image(id.as_str()).await?,
                _ if in_registry && self.args.pull => {
                    Some(making::pull(self.settings, engine, &planned.content).await?)
                }
                _ => None,
            };
            if let Some(image) = image {
                return Ok((image, planned.content.clone(), Note::default()));
            }
        }
        let repository = node.repository.as_ref().expect("what is built has a repository");
        let of_it = |reference: &&Reference| reference.repository() == *repository;
        let store = engine.images().await?;
        let mine = store.iter().filter(|image| {
            image.labels.get(labels::IMAGE.name).map(String::as_str) == Some(node.name.as_str())
        });
        let stable = |image: &crate::engine::Image| {
            image.tags.iter().filter(of_it).any(|tag| tag.tag() == Some(self.spec.tag.stable.as_str()))
        };
        let tagged = mine.filter_map(|image| Some((image, image.tags.iter().find(of_it)?)));
        let newest = tagged.max_by_key(|(image, _)| (stable(image), image.created, image.id.clone()));
        let Some((image, reference)) = newest else {
            return Err(
                unbuilt(&format!("there is no image of `{}` on the engine", node.name), &node.name).into()
            );
        };
        let detail = engine.image(image.id.as_str()).await?;
        let detail = detail.ok_or_else(|| CliError::Refused(gone(reference)))?;
        // Where nothing could be planned nothing is known to be newer.
        Ok((detail, reference.clone(), Note { behind: planned.is_some(), text: None }))
    }

    /// What a run would do with it. A base that cannot be asked must not keep
    /// anyone from their container.
    async fn planned(self, engine: &dyn Engine, node: NodeId) -> Option<Planned> {
        let mut selection = plan::everything(self.graph);
        let needed = self.graph.ancestors(&[node]);
        selection.nodes.retain(|n| *n == node || needed.contains(n));
        let made = plan::make(self.settings, self.spec, self.graph, engine, &selection).await;
        made.ok()?.plan.images.pop()
    }

    /// An image by reference or id. `None`: the engine has none, and the word
    /// may mean something else.
    ///
    /// # Errors
    /// It is another person's own, or it could not be pulled.
    pub(crate) async fn image(self, engine: &dyn Engine) -> Result<Option<Source>, Ended> {
        let word = self.args.image.as_str();
        let parsed = (!is_id(word)).then(|| Reference::parse(word).ok()).flatten();
        let name = parsed.as_ref().map_or_else(|| word.to_owned(), ToString::to_string);
        if parsed.is_none() && !is_id(word) {
            return Ok(None);
        }
        let image = match (engine.image(&name).await?, &parsed) {
            (Some(image), _) => image,
            (None, Some(reference)) if self.args.pull && is_whole(word) => {
                making::pull(self.settings, engine, reference).await?
            }
            (None, _) => return Ok(None),
        };
        let names = parsed.clone().map_or_else(|| image.tags.clone(), |reference| vec![reference]);
        self.may_use(&image, &names)?;
        let Some(reference) = parsed.or_else(|| image.tags.first().cloned()) else {
            let problem = Problem::new(format!("image {} has no name on the engine", image.id));
            return Err(
                CliError::Refused(problem.help("give it one with `docker tag` and deploy that")).into()
            );
        };
        let name = account_layer::derived(reference.repository().as_str());
        Ok(Some(Source { image, reference, name, project: None, catalogue: None, behind: None, note: None }))
    }

    /// A person's own image may hold what is theirs alone.
    fn may_use(self, image: &ImageDetail, names: &[Reference]) -> Result<(), CliError> {
        let caller = self.settings.caller(Some(self.spec));
        match account_layer::personal(&image.labels, names) {
            Some(uid) if !may_act_for(&caller, uid) => {
                let who =
                    self.settings.login(uid).map_or_else(|| format!("uid {uid}"), |login| login.to_string());
                let problem = Problem::new(format!("`{}` is the own image of {who}", self.args.image));
                Err(CliError::Refused(
                    problem.help(
                        "only its owner or an administrator can deploy it; deploy a shared image instead",
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// What to say of a word that is nothing.
    pub(crate) fn unknown(self, problem: Problem) -> CliError {
        let word = self.args.image.as_str();
        match Reference::parse(word) {
            Ok(reference) if is_whole(word) => absent(&reference),
            _ => {
                let help = problem.help.clone().unwrap_or_default();
                let more =
                    "an image that is not on the engine is written with its tag, and pulled with --pull";
                CliError::Usage(problem.help(format!("{help}; {more}")))
            }
        }
    }
}

type Found = (ImageDetail, Reference, Note);

#[derive(Debug, Default)]
struct Note {
    behind: bool,
    text: Option<String>,
}

fn unbuilt(message: &str, name: &NodeName) -> CliError {
    CliError::Refused(Problem::new(message).help(format!("build it first: ds01-build build {name}")))
}

fn absent(reference: &Reference) -> CliError {
    let problem = Problem::new(format!("image {reference} is not on the engine"));
    CliError::Refused(problem.help("say --pull to fetch it, or look for another with `docker images`"))
}

fn gone(reference: &Reference) -> Problem {
    Problem::new(format!("image {reference} was on the engine and is gone")).help("run it again")
}

/// Whether a word can only be a reference: it names a tag, a digest or a
/// folder. Others may be mistyped names.
fn is_whole(word: &str) -> bool {
    word.contains(['/', ':', '@'])
}

fn is_id(word: &str) -> bool {
    let hex = word.strip_prefix("sha256:").unwrap_or(word);
    hex.len() >= ID_DIGITS && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
