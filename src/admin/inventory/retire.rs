//! Removing an image for good, if nothing uses it.
//!
//! Images go first, the project file last: wherever that breaks off, what was
//! asked for is still written down, and `build` or a second `retire` goes on
//! from there.

use std::path::{Path, PathBuf};
use std::{fs, io};

use futures::future::try_join_all;
use rustix::fs::{Access, access};
use serde::Serialize;

use super::{GroupKey, ImageGroup, InventoryError, Snapshot, find, groups};
use crate::engine::{Engine, Error, Image, ImageIndex};
use crate::host::files;
use crate::model::labels::is_saved;
use crate::model::names::ImageId;
use crate::model::reference::Reference;
use crate::spec::{Project, SpecEntry, edit};

/// Calls under way at one time.
const AT_ONCE: usize = 16;

/// A removal that is allowed; made only by [`decide`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImageRemoval {
    name: String,
    /// Those that move first, so that nobody deploys what is half gone.
    tags: Vec<Reference>,
    /// An image without tags.
    untagged: Option<ImageId>,
    entry: Option<EntryRemoval>,
}

/// A project's entry in the spec, which is taken out too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EntryRemoval {
    pub(crate) project: String,
    /// As the spec shows it: relative to where people stand.
    pub(crate) file: PathBuf,
    /// The file holds nothing else and goes as a whole.
    pub(crate) alone: bool,
    /// The file's text when it was decided.
    #[serde(skip)]
    pub(crate) text: String,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Removal {
    pub(crate) tags: Vec<Reference>,
    pub(crate) images: Vec<ImageId>,
}

impl ImageRemoval {
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
    pub(crate) fn entry(&self) -> Option<&EntryRemoval> {
        self.entry.as_ref()
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.untagged.is_none() && self.entry.is_none()
    }
}

/// Whether the caller may remove what was asked for. `keep_spec`: the project
/// file stays as it is; `layers`: of all images of the engine.
///
/// # Errors
/// Why not. Whose an image is, its name or the spec says: labels are inherited
/// by whatever is built on it. Where no name says, it is an administrator's.
pub(crate) fn decide(
    name: &str,
    keep_spec: bool,
    snapshot: &Snapshot,
    layers: &[(ImageId, Vec<String>)],
) -> Result<ImageRemoval, InventoryError> {
    let groups = groups(snapshot);
    let group = find(name, &groups, snapshot)?;
    let name = match &group.key {
        GroupKey::Untagged(id) => id.short().to_owned(),
        _ => group.name.clone(),
    };
    let project = match snapshot.node(&group.key).map(|node| node.entry()) {
        Some(SpecEntry::Project(project)) => Some(project),
        Some(SpecEntry::Base(_) | SpecEntry::Image(_)) => return Err(InventoryError::Shared { name }),
        None => None,
    };
    if !snapshot.caller.is_administrator() && group.uid != Some(snapshot.caller.uid) {
        return Err(InventoryError::NotYours { name, owner: group.owner.as_ref().map(ToString::to_string) });
    }
    let containers: Vec<_> = group.containers(snapshot).into_iter().map(|used| used.container).collect();
    if !containers.is_empty() {
        return Err(InventoryError::InUse { name, containers });
    }
    let images = images_above(group, snapshot, layers);
    if !images.is_empty() {
        return Err(InventoryError::HasChildren { name, images });
    }
    Ok(ImageRemoval {
        name,
        tags: group.tags.clone(),
        untagged: match &group.key {
            GroupKey::Untagged(id) => Some(id.clone()),
            _ => None,
        },
        entry: project.filter(|_| !keep_spec).map(|project| entry(snapshot, project)),
    })
}

/// Names of images that are based on those which would go. A saved container
/// does not go with what is below it: it keeps its layers, and nothing would
/// build it again.
fn images_above(
    group: &ImageGroup<'_>,
    snapshot: &Snapshot,
    layers: &[(ImageId, Vec<String>)],
) -> Vec<String> {
    let only_here = |image: &&&Image| image.tags.iter().all(|tag| group.tags.contains(tag));
    let ids: Vec<&ImageId> = group.images.iter().filter(only_here).map(|image| &image.id).collect();
    let index = ImageIndex::new(&snapshot.images);
    let image = |id: &ImageId| index.by_id(id.as_str());
    let saved = |id: &ImageId| image(id).is_some_and(|image| is_saved(&image.labels));
    let above = based_on(&ids, layers).filter(|id| !group.has(id) && !saved(id));
    let name = |id: &ImageId| match image(id).and_then(|image| image.tags.first()) {
        Some(tag) => tag.to_string(),
        None => id.short().to_owned(),
    };
    above.map(name).collect()
}

/// Images whose layers begin with all layers of one of `ids`, unless another
/// image that stays has just those layers. `layers`: of all images of the
/// engine, bottom first.
fn based_on<'a>(ids: &[&ImageId], layers: &'a [(ImageId, Vec<String>)]) -> impl Iterator<Item = &'a ImageId> {
    let (going, staying): (Vec<_>, Vec<_>) = layers.iter().partition(|(id, _)| ids.contains(&id));
    let kept = |own: &[String]| staying.iter().any(|(_, layers)| layers == own);
    let below: Vec<&[String]> =
        going.iter().map(|(_, own)| own.as_slice()).filter(|own| !own.is_empty() && !kept(own)).collect();
    let above = move |layers: &[String]| below.iter().any(|own| layers.starts_with(own));
    staying.into_iter().filter(move |(_, layers)| above(layers)).map(|(id, _)| id)
}

fn entry(snapshot: &Snapshot, project: &Project) -> EntryRemoval {
    let file = &project.place.file;
    let others = snapshot.spec.iter().flat_map(|(spec, _)| &spec.projects);
    let together = others.filter(|other| other.place.file.path == file.path).count();
    EntryRemoval {
        project: project.name.to_string(),
        file: file.path.clone(),
        alone: together == 1,
        text: file.text.clone(),
    }
}

/// The layers of every image, to see what is based on what. An image that is
/// gone by now is based on nothing.
///
/// # Errors
/// The engine's.
pub(crate) async fn layers(
    engine: &dyn Engine,
    images: &[Image],
) -> Result<Vec<(ImageId, Vec<String>)>, Error> {
    let mut found = Vec::with_capacity(images.len());
    for some in images.chunks(AT_ONCE) {
        let details = try_join_all(some.iter().map(|image| engine.image(image.id.as_str()))).await?;
        found.extend(details.into_iter().flatten().map(|image| (image.id, image.diff_ids)));
    }
    Ok(found)
}

/// Takes the tags off, and so removes the images that have no others. Never by
/// force: what came to be used meanwhile stays. A tag that is gone is passed over.
///
/// # Errors
/// The engine's; what was not reached is still there.
pub(crate) async fn retire(engine: &dyn Engine, retirement: &ImageRemoval) -> Result<Removal, Error> {
    let mut removal = Removal::default();
    let mut images = Vec::new();
    for tag in &retirement.tags {
        let Some(image) = engine.image(&tag.to_string()).await? else { continue };
        engine.remove_image(&tag.to_string()).await?;
        removal.tags.push(tag.clone());
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
            removal.images.push(id);
        }
    }
    Ok(removal)
}

/// What becomes of the file that has an entry which is taken out.
pub(crate) struct FileChange {
    path: PathBuf,
    before: String,
    /// `None`: the file goes.
    after: Option<String>,
}

impl FileChange {
    /// The file without the entry. `here`: where people stand.
    ///
    /// # Errors
    /// The entry cannot be told from the rest, or the file cannot be changed.
    pub(crate) fn without(entry: &EntryRemoval, here: &Path) -> Result<Self, InventoryError> {
        let after = if entry.alone { Ok(None) } else { edit::remove(&entry.text, &entry.project) };
        let file = || entry.file.clone();
        let after = after.map_err(|why| InventoryError::EntryUnclear { file: file(), why })?;
        let path = here.join(&entry.file);
        changeable(&path)
            .map_err(|error| InventoryError::FileReadOnly { file: file(), cause: error.to_string() })?;
        Ok(Self { path, before: entry.text.clone(), after })
    }

    /// Absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whole or not at all; never over what somebody else wrote meanwhile.
    ///
    /// # Errors
    /// The file was changed, or cannot be written.
    pub(crate) fn apply(&self) -> io::Result<()> {
        if fs::read_to_string(&self.path)? != self.before {
            return Err(io::Error::other("it was changed meanwhile"));
        }
        match &self.after {
            Some(after) => files::replace(&self.path, &self.before, after),
            None => fs::remove_file(&self.path),
        }
    }
}

/// Whether files may come and go beside it, which is how it is changed.
fn changeable(file: &Path) -> io::Result<()> {
    let file = fs::canonicalize(file)?;
    let folder = file.parent().unwrap_or(&file);
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}
