//! What a container is made from: the word that was typed, as an image that
//! the engine has, and for whom.
//!
//! In this order: a project of the owner, a name of the spec (another
//! person's project by its whole name), an image of the engine, another
//! person's project by its short name. A word that is none of these is an
//! error and never looked for on Docker Hub.

use super::DeployError;
use super::image;
use super::owner::{self, Owner};
use crate::build::user_layer;
use crate::engine::{Engine, Image, ImageDetail};
use crate::host::people::{Caller, People, may_act_for};
use crate::model::event::Events;
use crate::model::labels;
use crate::model::labels::write::Catalogue;
use crate::model::names::{NodeName, ProjectName};
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::{self, Action, Context, Location, Planned, Selection};
use crate::spec::graph::{Graph, Node, NodeId};
use crate::spec::{Project, Spec, SpecEntry};

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
    /// For people.
    pub(crate) notes: Vec<String>,
}

/// Where the image is.
#[derive(Debug)]
struct Located {
    reference: Reference,
    /// `None`: it is to be pulled.
    image: Option<ImageDetail>,
    /// The spec has moved on.
    behind: bool,
    note: Option<String>,
}

impl Located {
    fn new(reference: Reference, image: Option<ImageDetail>) -> Self {
        Self { reference, image, behind: false, note: None }
    }
}

/// A name of the spec.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    Project(NodeId, &'a Project),
    /// A shared image or base.
    Shared(NodeId),
}

/// What the spec alone says of the word.
#[derive(Debug)]
pub(crate) struct SpecMatch<'a> {
    /// `None`: an image of the engine, or another person's project.
    target: Option<Target<'a>>,
    /// `None`: the caller, or the owner of that project.
    owner: Option<Owner>,
}

/// What was typed, who typed it, and what it is looked for in.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'a> {
    pub(crate) word: &'a str,
    /// `--pull`.
    pub(crate) pull: bool,
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    pub(crate) people: &'a dyn People,
    pub(crate) caller: &'a Caller,
}

impl<'a> Lookup<'a> {
    /// What the word is by the spec, and for whom the container is: nobody is
    /// to wait for an engine to hear that they may not have it. `user` is
    /// `--user`.
    ///
    /// # Errors
    /// Nobody is called so, or the caller may not act for them.
    pub(crate) fn in_spec(self, user: Option<&str>) -> Result<SpecMatch<'a>, DeployError> {
        let named = user.map(|login| self.named_owner(login)).transpose()?;
        let target = self.target(named.as_ref().map_or(self.caller.uid, |owner| owner.account.uid));
        Ok(SpecMatch { target, owner: self.owner(target, named)? })
    }

    /// The image behind the word, pulled if need be, and for whom the
    /// container is.
    ///
    /// # Errors
    /// There is none, or they may not have it.
    pub(crate) async fn resolve(
        self,
        found: SpecMatch<'a>,
        plan: &Context<'_>,
        events: &Events,
    ) -> Result<(Source, Owner), DeployError> {
        let SpecMatch { mut target, mut owner } = found;
        let by_reference = match target {
            Some(_) => None,
            None => self.image(plan.engine).await?,
        };
        if target.is_none() && by_reference.is_none() {
            target = Some(self.others()?);
            owner = self.owner(target, owner)?;
        }
        let mut located = match (by_reference, target) {
            (None, Some(target)) => self.locate(target, plan).await?,
            (located, _) => located.expect("an image or a name of the spec was found"),
        };
        let image = match located.image.take() {
            Some(image) => image,
            None => image::pull(plan.engine, &located.reference, events).await?,
        };
        let mut source = self.source(target, located, image)?;
        let owner = owner.map_or_else(|| self.caller(), Ok)?;
        owner.check_account()?;
        source.notes.extend(self.check_uid(&owner)?);
        Ok((source, owner))
    }

    /// The image of a name of the spec.
    async fn locate(self, target: Target<'_>, plan: &Context<'_>) -> Result<Located, DeployError> {
        match target {
            Target::Project(node, project) => {
                let mut located = self.built(plan.engine, node, project).await?;
                if let (Some(image), Some(planned)) = (&located.image, planned(plan, node).await) {
                    located.behind = is_behind(image, &planned);
                }
                Ok(located)
            }
            Target::Shared(node) => match SpecEntry::of(self.spec, self.graph, node).external() {
                Some(reference) => {
                    let pinned = plan.pins.of(reference).map(|pin| reference.pinned(pin.digest()));
                    self.base(plan.engine, reference, pinned).await
                }
                None => {
                    let planned = planned(plan, node).await;
                    self.newest(plan.engine, self.graph.node(node), planned.as_ref()).await
                }
            },
        }
    }

    /// The uid of the spec must be the machine's, whose folders are mounted.
    /// A note where the machine's cannot be asked for.
    fn check_uid(self, owner: &Owner) -> Result<Option<String>, DeployError> {
        match self.spec.disagreements([&owner.account.login], self.people) {
            Ok(problems) if problems.is_empty() => Ok(None),
            Ok(problems) => Err(DeployError::Spec(problems)),
            Err(why) => Ok(Some(format!("uids are those of the spec alone, since {why}"))),
        }
    }

    /// Who `--user` names.
    fn named_owner(self, login: &str) -> Result<Owner, DeployError> {
        let owner = owner::by_login(self.spec, self.people, login).map_err(DeployError::Refused)?;
        let message = format!("you may not make containers for {}", owner.account.login);
        self.check_may_act_for(&owner, message, "only an administrator makes containers for others")?;
        Ok(owner)
    }

    /// For whom it is; `None` while the word may still be another's project.
    fn owner(self, target: Option<Target<'_>>, named: Option<Owner>) -> Result<Option<Owner>, DeployError> {
        let Some(Target::Project(_, project)) = target else {
            return match (named, target) {
                (Some(named), _) => Ok(Some(named)),
                (None, Some(_)) => self.caller().map(Some),
                (None, None) => Ok(None),
            };
        };
        if let Some(named) = named.filter(|named| named.account.uid != project.account.uid) {
            let (theirs, login) = (&project.account.login, &named.account.login);
            let message = format!("the project belongs to {theirs}, not to {login}");
            return Err(DeployError::refused(message, "leave --user out"));
        }
        let owner = Owner::of_project(self.spec, project).map_err(DeployError::Refused)?;
        let message = format!("the project belongs to {} (uid {})", owner.account.login, owner.account.uid);
        self.check_may_act_for(&owner, message, "only its owner or an administrator can deploy it")?;
        Ok(Some(owner))
    }

    /// The caller, as an owner; root has no containers.
    fn caller(self) -> Result<Owner, DeployError> {
        let uid = self.caller.uid;
        let owner = owner::by_uid(self.spec, self.people, uid).map_err(DeployError::Refused)?;
        if uid == 0 {
            let help = "say for whom it is with --user LOGIN";
            return Err(DeployError::refused("root has no containers of its own", help));
        }
        Ok(owner)
    }

    fn check_may_act_for(self, owner: &Owner, message: String, help: &str) -> Result<(), DeployError> {
        if may_act_for(self.caller, owner.account.uid) {
            return Ok(());
        }
        Err(DeployError::refused(message, help))
    }

    /// By the spec: a project of this uid before names of the spec.
    fn target(self, uid: u32) -> Option<Target<'a>> {
        let named = || self.graph.nodes().find(|node| node.name.as_str() == self.word).map(|node| node.id);
        own_project(self.spec, self.graph, self.word, uid).or_else(named).map(|node| self.of(node))
    }

    /// Another person's project by its short name, if there is one alone.
    fn others(self) -> Result<Target<'a>, DeployError> {
        match self.graph.find(self.word) {
            Ok(node) => Ok(self.of(node)),
            Err(problem) => Err(self.unknown(problem)),
        }
    }

    fn of(self, node: NodeId) -> Target<'a> {
        match SpecEntry::of(self.spec, self.graph, node) {
            SpecEntry::Project(project) => Target::Project(node, project),
            _ => Target::Shared(node),
        }
    }

    /// A project's finished image.
    async fn built(
        self,
        engine: &dyn Engine,
        node: NodeId,
        project: &Project,
    ) -> Result<Located, DeployError> {
        let latest = project.repository.with_tag("latest");
        match engine.image(&latest.to_string()).await? {
            Some(image) => Ok(Located::new(latest, Some(image))),
            None => Err(unbuilt(&format!("there is no image {latest} yet"), &self.graph.node(node).name)),
        }
    }

    /// A base: what its pin names, else what its tag names.
    async fn base(
        self,
        engine: &dyn Engine,
        reference: &Reference,
        pinned: Option<Reference>,
    ) -> Result<Located, DeployError> {
        let by_digest =
            pinned.as_ref().and_then(|pinned| Some(pinned.repository().with_digest(pinned.digest()?)));
        if let (Some(pinned), Some(by_digest)) = (&pinned, by_digest)
            && let Some(image) = engine.image(&by_digest.to_string()).await?
        {
            return Ok(Located::new(pinned.clone(), Some(image)));
        }
        if self.pull {
            return Ok(Located::new(pinned.unwrap_or_else(|| reference.clone()), None));
        }
        let Some(image) = engine.image(&reference.to_string()).await? else {
            return Err(absent(reference));
        };
        let note = pinned.map(|_| format!("{reference} on this engine may not be what spec.lock pins"));
        Ok(Located { note, ..Located::new(reference.clone(), Some(image)) })
    }

    /// A shared image: the one that is up to date, else the stable one, else
    /// the newest. `planned` is what a build would do with it, if that is known.
    async fn newest(
        self,
        engine: &dyn Engine,
        node: &Node,
        planned: Option<&Planned>,
    ) -> Result<Located, DeployError> {
        if let Some(planned) = planned {
            let located = |image| Located::new(planned.content.clone(), image);
            match &planned.action {
                Action::Keep(Location::Engine(id)) => {
                    if let Some(image) = engine.image(id.as_str()).await? {
                        return Ok(located(Some(image)));
                    }
                }
                Action::Keep(Location::Registry(_)) | Action::Fetch { .. } if self.pull => {
                    return Ok(located(None));
                }
                _ => {}
            }
        }
        let repository = node.repository.as_ref().expect("what is built has a repository");
        let of_it = |reference: &&Reference| reference.repository() == *repository;
        let images = engine.images().await?;
        let mine = images.iter().filter(|image| {
            image.labels.get(labels::IMAGE.name).map(String::as_str) == Some(node.name.as_str())
        });
        let stable = |image: &Image| {
            image.tags.iter().filter(of_it).any(|tag| tag.tag() == Some(self.spec.tag.stable.as_str()))
        };
        let tagged = mine.filter_map(|image| Some((image, image.tags.iter().find(of_it)?)));
        let newest = tagged.max_by_key(|(image, _)| (stable(image), image.created, image.id.clone()));
        let Some((image, reference)) = newest else {
            return Err(unbuilt(&format!("there is no image of `{}` on the engine", node.name), &node.name));
        };
        let Some(image) = engine.image(image.id.as_str()).await? else {
            let message = format!("image {reference} was on the engine and is gone");
            return Err(DeployError::refused(message, "run it again"));
        };
        // Where nothing could be planned nothing is known to be newer.
        Ok(Located { behind: planned.is_some(), ..Located::new(reference.clone(), Some(image)) })
    }

    /// An image by reference or id. `None`: the engine has none, and the word
    /// may mean something else.
    async fn image(self, engine: &dyn Engine) -> Result<Option<Located>, DeployError> {
        let parsed = (!is_id(self.word)).then(|| Reference::parse(self.word).ok()).flatten();
        let name = match &parsed {
            Some(reference) => reference.to_string(),
            None if is_id(self.word) => self.word.to_owned(),
            None => return Ok(None),
        };
        Ok(match (engine.image(&name).await?, parsed) {
            (Some(image), Some(reference)) => Some(Located::new(reference, Some(image))),
            (Some(image), None) => {
                self.may_use(&image, &image.tags)?;
                let Some(reference) = image.tags.first().cloned() else {
                    let message = format!("image {} has no name on the engine", image.id);
                    let help = "give it one with `docker tag` and deploy that";
                    return Err(DeployError::refused(message, help));
                };
                Some(Located::new(reference, Some(image)))
            }
            (None, Some(reference)) if self.pull && is_whole(self.word) => {
                Some(Located::new(reference, None))
            }
            (None, _) => None,
        })
    }

    /// What is deployed: `image` as it was located, under this name of the
    /// spec; `None`: under its own, unless that is another person's.
    fn source(
        self,
        target: Option<Target<'_>>,
        located: Located,
        image: ImageDetail,
    ) -> Result<Source, DeployError> {
        let Located { reference, behind, note, .. } = located;
        let node_name = |node| &self.graph.node(node).name;
        let (name, project, catalogue, node) = match target {
            Some(Target::Project(node, project)) => {
                (project.name.to_string(), Some(project.name.clone()), None, Some(node))
            }
            Some(Target::Shared(node)) => {
                let catalogue = SpecEntry::of(self.spec, self.graph, node).catalogue();
                let catalogue = catalogue.map(|(framework, arch)| Catalogue { framework, arch });
                (user_layer::derived(node_name(node).as_str()), None, catalogue, Some(node))
            }
            None => {
                self.may_use(&image, std::slice::from_ref(&reference))?;
                (user_layer::derived(reference.repository().as_str()), None, None, None)
            }
        };
        let behind = node.filter(|_| behind).map(|node| node_name(node).clone());
        let notes = note.into_iter().collect();
        Ok(Source { image, reference, name, project, catalogue, behind, notes })
    }

    /// A person's own image may hold what is theirs alone.
    fn may_use(self, image: &ImageDetail, names: &[Reference]) -> Result<(), DeployError> {
        let Some(uid) = user_layer::personal(&image.labels, names) else { return Ok(()) };
        if may_act_for(self.caller, uid) {
            return Ok(());
        }
        let person = self.people.by_uid(uid).ok().flatten();
        let who = person.map_or_else(|| format!("uid {uid}"), |person| person.login.to_string());
        Err(DeployError::refused(
            format!("`{}` is the own image of {who}", self.word),
            "only its owner or an administrator can deploy it; deploy a shared image instead",
        ))
    }

    /// What to say of a word that is nothing.
    fn unknown(self, problem: Problem) -> DeployError {
        match Reference::parse(self.word) {
            Ok(reference) if is_whole(self.word) => absent(&reference),
            _ => {
                let help = problem.help.clone().unwrap_or_default();
                let more =
                    "an image that is not on the engine is written with its tag, and pulled with --pull";
                DeployError::Usage(problem.help(format!("{help}; {more}")))
            }
        }
    }
}

/// A project of this name and uid.
pub(crate) fn own_project(spec: &Spec, graph: &Graph, name: &str, uid: u32) -> Option<NodeId> {
    let own = |node: &&Node| match SpecEntry::of(spec, graph, node.id) {
        SpecEntry::Project(project) => project.name.as_str() == name && project.account.uid == uid,
        _ => false,
    };
    graph.nodes().find(own).map(|node| node.id)
}

/// What a build would do with it. A base that cannot be asked must not keep
/// anyone from their container.
async fn planned(context: &Context<'_>, node: NodeId) -> Option<Planned> {
    let selection = Selection::with_bases(context.graph, &[node]);
    plan::plan(context, &selection).await.ok()?.plan.images.pop()
}

/// Whether a build would make another image than this one.
fn is_behind(image: &ImageDetail, planned: &Planned) -> bool {
    planned.reasons().is_some() || !planned.is_recipe_of(&image.labels)
}

fn unbuilt(message: &str, name: &NodeName) -> DeployError {
    DeployError::refused(message, format!("build it first: ds01-build build {name}"))
}

fn absent(reference: &Reference) -> DeployError {
    DeployError::refused(
        format!("image {reference} is not on the engine"),
        "say --pull to fetch it, or look for another with `docker images`",
    )
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
