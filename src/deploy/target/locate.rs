//! Where the image of a word is: on the engine, or in a registry to be pulled
//! from. Does not know for whom it is.

use super::{Lookup, Target, absent, is_whole};
use crate::deploy::DeployError;
use crate::engine::{Engine, Image, ImageDetail};
use crate::model::labels;
use crate::model::names::NodeName;
use crate::model::reference::Reference;
use crate::plan::{self, Action, Context, Location, Planned, Selection};
use crate::spec::graph::{Node, NodeId};
use crate::spec::{Project, SpecEntry};

/// Shortest part of an id that is taken for one: shorter words are names.
const ID_DIGITS: usize = 12;

/// Where the image is.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) reference: Reference,
    /// `None`: it is to be pulled.
    pub(super) image: Option<ImageDetail>,
    /// The spec has moved on.
    pub(super) behind: bool,
    pub(super) note: Option<String>,
}

impl Located {
    fn new(reference: Reference, image: Option<ImageDetail>) -> Self {
        Self { reference, image, behind: false, note: None }
    }
}

impl Lookup<'_> {
    /// The image of a name of the spec.
    pub(super) async fn locate(self, target: Target<'_>, plan: &Context<'_>) -> Result<Located, DeployError> {
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
    pub(super) async fn by_reference(self, engine: &dyn Engine) -> Result<Option<Located>, DeployError> {
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

fn is_id(word: &str) -> bool {
    let hex = word.strip_prefix("sha256:").unwrap_or(word);
    hex.len() >= ID_DIGITS && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
