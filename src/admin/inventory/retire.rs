//! Removing an image for good, if nothing uses it.
//!
//! Images go first, the project file last: wherever that breaks off, what was
//! asked for is still written down, and `build` or a second `retire` goes on
//! from there.

use std::path::PathBuf;

use serde::Serialize;

use super::{Group, Key, Known, find, groups, stand_on, users_of};
use crate::engine::{Engine, Error};
use crate::model::labels::saved::is_saved;
use crate::model::names::ImageId;
use crate::model::reference::Reference;
use crate::spec::Project;
use crate::spec::SpecEntry;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    /// A project, a name of the list, or a reference.
    pub(crate) name: &'a str,
    /// `--keep-spec`: the project file stays as it is.
    pub(crate) keep_spec: bool,
}

/// A removal that is allowed; made only by [`decide`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Retirement {
    name: String,
    /// Those that move first, so that nobody deploys what is half gone.
    tags: Vec<Reference>,
    /// An image without tags.
    untagged: Option<ImageId>,
    entry: Option<Entry>,
}

/// A project's entry in the spec, which goes too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    pub(crate) project: String,
    /// As the spec shows it: relative to where people stand.
    pub(crate) file: PathBuf,
    /// The file holds nothing else and goes as a whole.
    pub(crate) alone: bool,
    /// The file's text when it was decided.
    #[serde(skip)]
    pub(crate) text: String,
}

/// What is no longer there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Gone {
    pub(crate) tags: Vec<Reference>,
    pub(crate) images: Vec<ImageId>,
}

impl Retirement {
    /// As messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The tags that are taken off.
    pub(crate) fn tags(&self) -> &[Reference] {
        &self.tags
    }

    /// An image without tags that is removed.
    pub(crate) fn untagged(&self) -> Option<&ImageId> {
        self.untagged.as_ref()
    }

    /// The entry of the spec that is taken out.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.untagged.is_none() && self.entry.is_none()
    }
}

/// Why an image is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is no image `{name}`")]
    NotFound { name: String, near: Option<String> },
    #[error("`{name}` is the name of several images: {}", names.join(", "))]
    Ambiguous { name: String, names: Vec<String> },
    #[error("`{name}` is a shared image")]
    Shared { name: String },
    #[error("image `{name}` belongs to {}", owner.as_deref().unwrap_or("nobody known"))]
    NotYours { name: String, owner: Option<String> },
    #[error("containers are on `{name}`: {}", containers.join(", "))]
    InUse { name: String, containers: Vec<String> },
    #[error("other images stand on `{name}`: {}", images.join(", "))]
    StoodOn { name: String, images: Vec<String> },
}

impl Refusal {
    /// What to do.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::NotFound { near: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::NotFound { near: None, .. } => {
                "`ds01-build image list` shows yours, with --all everybody's".into()
            }
            Self::Ambiguous { .. } => "say the whole name, as `ds01-build image list --all` shows it".into(),
            Self::Shared { .. } => {
                "take it out of the spec, if nothing stands on it; its image goes with `docker image rm`"
                    .into()
            }
            Self::NotYours { .. } => "ask its owner or an administrator".into(),
            Self::InUse { containers, .. } => {
                let commands =
                    containers.iter().map(|name| format!("`ds01-build container retire '{name}'`"));
                format!("retire them first: {}", commands.collect::<Vec<_>>().join(", "))
            }
            Self::StoodOn { .. } => "remove those first".into(),
        }
    }
}

/// Whether the caller may remove what was asked for. `layers`: of all images
/// of the engine.
///
/// # Errors
/// Why not. Whose an image is, its name or the spec says: labels are inherited
/// by whatever is built on it. Where no name says, it is an administrator's.
pub(crate) fn decide(
    asked: Asked<'_>,
    known: &Known<'_>,
    layers: &[(ImageId, Vec<String>)],
) -> Result<Retirement, Refusal> {
    let groups = groups(known);
    let group = find(asked.name, &groups, known)?;
    let name = group.shown();
    let project = match (&group.key, known.stack) {
        (Key::Node(node), Some(stack)) => match stack.subject(*node) {
            SpecEntry::Project(project) => Some(project),
            SpecEntry::Base(_) | SpecEntry::Image(_) => return Err(Refusal::Shared { name }),
        },
        _ => None,
    };
    let administrator = known.caller.is_administrator();
    if !administrator && group.uid != Some(known.caller.uid) {
        return Err(Refusal::NotYours { name, owner: group.owner.as_ref().map(ToString::to_string) });
    }
    let users = users_of(known, group);
    if !users.is_empty() {
        return Err(Refusal::InUse {
            name,
            containers: users.into_iter().map(|user| user.container).collect(),
        });
    }
    let ids: Vec<&ImageId> = leaving(group);
    let above = stand_on(&ids, layers);
    // A saved container keeps its layers, and nothing would build it again.
    let saved = |id: &ImageId| known.images.iter().any(|image| image.id == *id && is_saved(&image.labels));
    let above: Vec<&ImageId> = above.into_iter().filter(|id| !group.has(id) && !saved(id)).collect();
    if !above.is_empty() {
        let images = above.into_iter().map(|id| called(known, id)).collect();
        return Err(Refusal::StoodOn { name, images });
    }
    Ok(Retirement {
        name,
        tags: group.tags.clone(),
        untagged: match &group.key {
            Key::Untagged(id) => Some(id.clone()),
            _ => None,
        },
        entry: project.filter(|_| !asked.keep_spec).map(|project| entry(known, project)),
    })
}

/// Images that have no other name.
fn leaving<'a>(group: &Group<'a>) -> Vec<&'a ImageId> {
    let only = |image: &&&crate::engine::Image| image.tags.iter().all(|tag| group.tags.contains(tag));
    group.images.iter().filter(only).map(|image| &image.id).collect()
}

fn called(known: &Known<'_>, id: &ImageId) -> String {
    let image = known.images.iter().find(|image| image.id == *id);
    let tag = image.and_then(|image| image.tags.first()).map(ToString::to_string);
    tag.unwrap_or_else(|| super::rows::short(id).to_owned())
}

fn entry(known: &Known<'_>, project: &Project) -> Entry {
    let file = &project.place.file;
    let others = known.stack.into_iter().flat_map(|stack| &stack.spec.projects);
    let together = others.filter(|other| other.place.file.path == file.path).count();
    Entry {
        project: project.name.to_string(),
        file: file.path.clone(),
        alone: together == 1,
        text: file.text.clone(),
    }
}

/// Takes the tags off, and so removes the images that have no others. Never by
/// force: what came to be used meanwhile stays. A tag that is gone is passed over.
///
/// # Errors
/// The engine's; what was not reached is still there.
pub(crate) async fn retire(engine: &dyn Engine, retirement: &Retirement) -> Result<Gone, Error> {
    let mut gone = Gone::default();
    let mut images = Vec::new();
    for tag in &retirement.tags {
        let Some(image) = engine.image(&tag.to_string()).await? else { continue };
        engine.remove_image(&tag.to_string()).await?;
        gone.tags.push(tag.clone());
        if !images.contains(&image.id) {
            images.push(image.id);
        }
    }
    if let Some(id) = &retirement.untagged
        && engine.image(id.as_str()).await?.is_some()
    {
        engine.remove_image(id.as_str()).await?;
        images.push(id.clone());
    }
    for id in images {
        if engine.image(id.as_str()).await?.is_none() {
            gone.images.push(id);
        }
    }
    Ok(gone)
}
