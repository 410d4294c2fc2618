//! Which images of the engine belong together: all that one name ever stood
//! for; and which of these people mean by what they type.

use std::collections::BTreeMap;

use super::{ContainerUse, InventoryError, Snapshot, is_of_project};
use crate::engine::{Container, Image};
use crate::model::labels::is_saved;
use crate::model::labels::read::{self, LoginOfUid, OwnerName};
use crate::model::labels::{self, IMAGE, USERNAME};
use crate::model::names::ImageId;
use crate::model::reference::{Reference, Repository};
use crate::spec::graph::NodeId;
use crate::spec::nearest;

/// Digits of an id that are enough to mean it.
const FEWEST_DIGITS: usize = 6;

/// What a group's images have in common. Ordered as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupKey {
    /// A node of the spec.
    Node(NodeId),
    /// `ds01-<uid>/<project>`, which the spec does not have.
    Personal(u32, String),
    /// A container that was saved, by its tag: no build of its project, and
    /// not removed with it.
    Saved(u32, String),
    /// Another repository whose images are labelled.
    Repository(String),
    /// A tag that ends in `._.<uid>`.
    Legacy(String),
    /// An image without a tag.
    Untagged(ImageId),
}

/// Images under one name.
#[derive(Clone, Debug)]
pub(crate) struct ImageGroup<'a> {
    pub(crate) key: GroupKey,
    /// As people type it.
    pub(crate) name: String,
    /// Without whose it is.
    pub(crate) project: String,
    /// By the name, or by the spec: the only ones that decide what may be removed.
    pub(crate) uid: Option<u32>,
    pub(crate) owner: Option<OwnerName>,
    /// Made by the systems before this one.
    pub(crate) legacy: bool,
    /// The one that the name stands for now is first.
    pub(crate) images: Vec<&'a Image>,
    /// The tags that are this name's, those that move first.
    pub(crate) tags: Vec<Reference>,
}

impl<'a> ImageGroup<'a> {
    /// An image that is nobody's, such as a base.
    pub(crate) fn of_base(name: &str, image: &'a Image) -> Self {
        Self {
            key: GroupKey::Repository(name.to_owned()),
            name: name.to_owned(),
            project: name.to_owned(),
            uid: None,
            owner: None,
            legacy: false,
            images: vec![image],
            tags: image.tags.clone(),
        }
    }

    fn of(snapshot: &Snapshot, key: GroupKey, mut images: Vec<&'a Image>, mut tags: Vec<Reference>) -> Self {
        tags.sort_by_key(|tag| (!tag.moves(), tag.to_string()));
        let is_current = |image: &Image| tags.iter().any(|tag| tag.moves() && image.tags.contains(tag));
        images.sort_by_key(|image| (!is_current(image), -image.created, image.id.clone()));
        let first = images.first().copied();
        let (name, project, uid) = names(snapshot, &key, first);
        let owner = match (snapshot.node(&key), uid) {
            (Some(node), _) => node.entry().account().map(|account| OwnerName::Login(account.login.clone())),
            (None, Some(uid)) => Some(OwnerName::of_uid(uid, &snapshot.users)),
            (None, None) => first.and_then(|image| labelled_owner(image, &snapshot.users)),
        };
        let legacy = matches!(key, GroupKey::Legacy(_)) || first.is_some_and(is_legacy);
        Self { name, project, uid, owner, legacy, images, tags, key }
    }

    pub(super) fn has(&self, id: &ImageId) -> bool {
        self.images.iter().any(|image| image.id == *id)
    }

    /// Whether it is the caller's own. By labels only where no name says.
    pub(crate) fn is_of_caller(&self, snapshot: &Snapshot) -> bool {
        match (&self.uid, &self.owner) {
            (Some(uid), _) | (None, Some(OwnerName::Uid(uid))) => *uid == snapshot.caller.uid,
            (None, Some(OwnerName::Login(login))) => *login == snapshot.caller.login,
            (None, None) => false,
        }
    }

    /// Containers on these images, running or not; of a person's project also
    /// those on an image whose tags have moved away.
    pub(super) fn containers(&self, snapshot: &Snapshot) -> Vec<ContainerUse> {
        let uid = self.uid.filter(|_| matches!(self.key, GroupKey::Node(_) | GroupKey::Personal(..)));
        let of_project = |container: &Container| {
            container.is_managed() && uid.is_some_and(|uid| is_of_project(container, uid, &self.project))
        };
        let containers = snapshot.containers.iter().filter(|c| self.has(&c.image_id) || of_project(c));
        let mut uses: Vec<_> = containers
            .map(|container| ContainerUse {
                container: container.name.clone(),
                running: container.state.is_running(),
                status: container.status.clone(),
            })
            .collect();
        uses.sort_by(|a, b| a.container.cmp(&b.container));
        uses
    }
}

/// Images of the spec in its order, built or not, then what else on the
/// engine was made by us or before us. Bases are left out.
pub(crate) fn groups(snapshot: &Snapshot) -> Vec<ImageGroup<'_>> {
    let mut found: BTreeMap<GroupKey, (Vec<&Image>, Vec<Reference>)> = BTreeMap::new();
    for node in snapshot.spec.iter().flat_map(|(_, graph)| graph.nodes()) {
        if node.repository.is_some() {
            found.entry(GroupKey::Node(node.id)).or_default();
        }
    }
    for image in &snapshot.images {
        for (key, tag) in keys(snapshot, image) {
            let (images, tags) = found.entry(key).or_default();
            if !images.iter().any(|other| other.id == image.id) {
                images.push(image);
            }
            tags.extend(tag);
        }
    }
    found.into_iter().map(|(key, (images, tags))| ImageGroup::of(snapshot, key, images, tags)).collect()
}

/// Everything an image is known as.
fn keys(snapshot: &Snapshot, image: &Image) -> Vec<(GroupKey, Option<Reference>)> {
    let marked = read::managed(&image.labels) || is_legacy(image);
    if image.tags.is_empty() && marked {
        return vec![(GroupKey::Untagged(image.id.clone()), None)];
    }
    let saved = is_saved(&image.labels);
    let key = |tag: &Reference| {
        let repository = tag.repository();
        let personal = personal(&repository);
        if let Some((uid, _)) = personal.filter(|_| saved) {
            return Some(GroupKey::Saved(uid, tag.to_string()));
        }
        node_of(snapshot, &repository, image)
            .map(GroupKey::Node)
            .or_else(|| personal.map(|(uid, project)| GroupKey::Personal(uid, project.to_owned())))
            .or_else(|| tag.tag().and_then(read::split_name).map(|_| GroupKey::Legacy(tag.to_string())))
            .or_else(|| marked.then(|| GroupKey::Repository(repository.to_string())))
    };
    image.tags.iter().filter_map(|tag| Some((key(tag)?, Some(tag.clone())))).collect()
}

/// The node whose tags are in this repository.
fn node_of(snapshot: &Snapshot, repository: &Repository, image: &Image) -> Option<NodeId> {
    let named = image.labels.get(IMAGE.name).map(String::as_str);
    let (_, graph) = snapshot.spec.as_ref()?;
    let mut nodes = graph.nodes().filter(|node| node.repository.as_ref() == Some(repository));
    nodes.find(|node| node.is_named(named)).map(|node| node.id)
}

/// `ds01-1001/thesis` → 1001 and `thesis`. The uid is compared as a number, so
/// that 1001 is not found in 10012.
fn personal(repository: &Repository) -> Option<(u32, &str)> {
    let (owner, project) = repository.as_str().strip_prefix("ds01-")?.split_once('/')?;
    let plain =
        owner.bytes().all(|b| b.is_ascii_digit()) && !owner.starts_with('0') && !project.contains('/');
    plain.then(|| owner.parse().ok().map(|uid| (uid, project)))?
}

fn is_legacy(image: &Image) -> bool {
    let ours = image.labels.contains_key(labels::MANAGED.name);
    !ours && image.labels.keys().any(|key| key.starts_with("aime.mlc"))
}

/// What labels alone say: enough to show, not to remove.
fn labelled_owner(image: &Image, users: LoginOfUid<'_>) -> Option<OwnerName> {
    let setup = read::user_setup(&image.labels).map(|setup| OwnerName::of_uid(setup.uid, users));
    setup.or_else(|| read::owner(&image.labels, "", users))
}

/// Whose an image is, without a spec: by its names before its labels.
pub(crate) fn owner_without_spec(image: &Image, users: LoginOfUid<'_>) -> Option<OwnerName> {
    let named = image.tags.iter().find_map(|tag| {
        let marked = || tag.tag().and_then(read::split_name).map(|(_, uid)| uid);
        personal(&tag.repository()).map(|(uid, _)| uid).or_else(marked)
    });
    named.map(|uid| OwnerName::of_uid(uid, users)).or_else(|| labelled_owner(image, users))
}

/// A group's name, the same without its owner, and the owner's uid.
fn names(snapshot: &Snapshot, key: &GroupKey, image: Option<&Image>) -> (String, String, Option<u32>) {
    let (name, project, uid) = match key {
        GroupKey::Node(_) => {
            let Some(node) = snapshot.node(key) else { return Default::default() };
            let (name, entry) = (node.name().as_str(), node.entry());
            match entry.account() {
                Some(account) => (name.to_owned(), entry.key(), Some(account.uid)),
                None => (name.to_owned(), name, None),
            }
        }
        GroupKey::Personal(uid, project) => {
            let account = image.and_then(|image| read::text(&image.labels, &USERNAME));
            let owner = account.map_or_else(|| format!("ds01-{uid}"), str::to_owned);
            (format!("{owner}/{project}"), project.as_str(), Some(*uid))
        }
        GroupKey::Saved(uid, name) => {
            (name.clone(), name.split_once('/').map_or(name.as_str(), |(_, short)| short), Some(*uid))
        }
        GroupKey::Repository(name) => (name.clone(), name.as_str(), None),
        GroupKey::Legacy(name) => {
            // A tag has no colon, so the last one is before it.
            let tag = name.rsplit_once(':').and_then(|(_, tag)| read::split_name(tag));
            let (short, uid) = tag.map_or((name.as_str(), None), |(short, uid)| (short, Some(uid)));
            (name.clone(), short, uid)
        }
        GroupKey::Untagged(id) => (id.short().to_owned(), id.short(), None),
    };
    (name, project.to_owned(), uid)
}

/// The images that a name means: a node of the spec (of several people's
/// projects the caller's own), a name of the list, a project or an old image
/// of the caller's own, a reference, or an id. Several are never guessed among.
///
/// # Errors
/// None or several are meant.
pub(crate) fn find<'g, 'a>(
    name: &str,
    groups: &'g [ImageGroup<'a>],
    snapshot: &Snapshot,
) -> Result<&'g ImageGroup<'a>, InventoryError> {
    let own = |group: &ImageGroup<'_>| group.uid == Some(snapshot.caller.uid);
    let in_spec = |group: &ImageGroup<'_>| matches!(group.key, GroupKey::Node(_));
    let short = |group: &ImageGroup<'_>| group.project == name;
    let whole = Reference::parse(name).ok().map(|reference| reference.canonical());
    let tagged = |group: &ImageGroup<'_>| {
        // Saved containers lie beside their project's images.
        let of_all = !matches!(group.key, GroupKey::Saved(..));
        let is =
            |tag: &Reference| Some(tag.canonical()) == whole || of_all && tag.repository().as_str() == name;
        group.tags.iter().any(is)
    };
    let old = |group: &ImageGroup<'_>| {
        group.tags.iter().any(|tag| tag.tag() == Some(name) && read::split_name(name).is_some())
    };
    let digits = name.strip_prefix("sha256:").unwrap_or(name).to_ascii_lowercase();
    let is_id = name.len() >= FEWEST_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let has_id =
        |image: &&Image| image.id.as_str().strip_prefix("sha256:").is_some_and(|id| id.starts_with(&digits));
    let rules: [&dyn Fn(&ImageGroup<'a>) -> bool; 8] = [
        &|group| own(group) && in_spec(group) && short(group),
        &|group| group.name == name,
        &|group| own(group) && short(group),
        &|group| in_spec(group) && short(group),
        &tagged,
        &old,
        &short,
        &|group| is_id && group.images.iter().any(has_id),
    ];
    for rule in rules {
        match groups.iter().filter(|group| rule(group)).collect::<Vec<_>>().as_slice() {
            [] => {}
            [group] => return Ok(group),
            several => {
                let names = several.iter().map(|group| group.name.clone()).collect();
                return Err(InventoryError::Ambiguous { name: name.to_owned(), names });
            }
        }
    }
    let names = groups.iter().flat_map(|group| [group.name.as_str(), group.project.as_str()]);
    let near = nearest(name, names).map(str::to_owned);
    Err(InventoryError::NotFound { name: name.to_owned(), near })
}
