//! What a container is made from: the word that was typed, as an image that
//! the engine has, and for whom.
//!
//! In this order: a project of the owner, a name of the spec (another
//! person's project by its whole name), an image of the engine, another
//! person's project by its short name. A word that is none of these is an
//! error and never looked for on Docker Hub.

mod locate;

use super::owner::{self, Owner};
use super::{DeployError, image};
use crate::build::account_image;
use crate::engine::ImageDetail;
use crate::host::people::{Caller, People, may_act_for};
use crate::model::event::Events;
use crate::model::labels::write::Catalogue;
use crate::model::names::{NodeName, ProjectName};
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::Context;
use crate::spec::graph::{Graph, Node, NodeId};
use crate::spec::{Project, Spec, SpecEntry};
use locate::Located;

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
            None => self.by_reference(plan.engine).await?,
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
        if may_act_for(self.caller, owner.account.uid) {
            return Ok(owner);
        }
        let message = format!("you may not make containers for {}", owner.account.login);
        Err(DeployError::refused(message, "only an administrator makes containers for others"))
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
        project.check_access(self.caller, "deploy").map_err(DeployError::Refused)?;
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
                (account_image::derived(node_name(node).as_str()), None, catalogue, Some(node))
            }
            None => {
                self.may_use(&image, std::slice::from_ref(&reference))?;
                (account_image::derived(reference.repository().as_str()), None, None, None)
            }
        };
        let behind = node.filter(|_| behind).map(|node| node_name(node).clone());
        let notes = note.into_iter().collect();
        Ok(Source { image, reference, name, project, catalogue, behind, notes })
    }

    /// A person's own image may hold what is theirs alone.
    fn may_use(self, image: &ImageDetail, names: &[Reference]) -> Result<(), DeployError> {
        let Some(uid) = account_image::personal(&image.labels, names) else { return Ok(()) };
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
