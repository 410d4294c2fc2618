//! Which images of the engine belong together: all that one name ever stood for.

use std::collections::BTreeMap;

use super::{Known, owner_of};
use crate::engine::Image;
use crate::model::labels::read::{self, Owner, Users};
use crate::model::labels::saved::is_saved;
use crate::model::labels::{self, IMAGE, USERNAME};
use crate::model::names::ImageId;
use crate::model::reference::{Reference, Repository};
use crate::model::tags;
use crate::spec::graph::{NodeId, NodeKind};

/// What a group's images have in common. Ordered as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
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
pub(crate) struct Group<'a> {
    pub(crate) key: Key,
    /// As people type it.
    pub(crate) name: String,
    /// Without whose it is.
    pub(crate) project: String,
    /// By the name, or by the spec: the only ones that decide what may be removed.
    pub(crate) uid: Option<u32>,
    pub(crate) owner: Option<Owner>,
    /// Made by the systems before this one.
    pub(crate) legacy: bool,
    /// The one that the name stands for now is first.
    pub(crate) images: Vec<&'a Image>,
    /// The tags that are this name's, those that move first.
    pub(crate) tags: Vec<Reference>,
}

impl<'a> Group<'a> {
    /// An image that is nobody's, such as a base.
    pub(crate) fn of_base(name: &str, image: &'a Image) -> Self {
        Self {
            key: Key::Repository(name.to_owned()),
            name: name.to_owned(),
            project: name.to_owned(),
            uid: None,
            owner: None,
            legacy: false,
            images: vec![image],
            tags: image.tags.clone(),
        }
    }
}

impl Group<'_> {
    pub(crate) fn has(&self, id: &ImageId) -> bool {
        self.images.iter().any(|image| image.id == *id)
    }

    /// Whether it is the caller's own. By labels only where no name says.
    pub(crate) fn is_of(&self, known: &Known<'_>) -> bool {
        match (&self.uid, &self.owner) {
            (Some(uid), _) | (None, Some(Owner::Uid(uid))) => *uid == known.caller.uid,
            (None, Some(Owner::Login(login))) => *login == known.caller.login,
            (None, None) => false,
        }
    }
}

/// Images of the spec in its order, built or not, then what else on the
/// engine was made by us or before us. Bases are left out.
pub(crate) fn groups<'a>(known: &Known<'a>) -> Vec<Group<'a>> {
    let mut found: BTreeMap<Key, (Vec<&'a Image>, Vec<Reference>)> = BTreeMap::new();
    for node in known.stack.iter().flat_map(|stack| stack.graph.nodes()) {
        if node.repository.is_some() {
            found.entry(Key::Node(node.id)).or_default();
        }
    }
    for image in known.images {
        for (key, tag) in keys(known, image) {
            let (images, tags) = found.entry(key).or_default();
            if !images.iter().any(|other| other.id == image.id) {
                images.push(image);
            }
            tags.extend(tag);
        }
    }
    found.into_iter().map(|(key, (images, tags))| group(known, key, images, tags)).collect()
}

/// Everything an image is known as.
fn keys(known: &Known<'_>, image: &Image) -> Vec<(Key, Option<Reference>)> {
    let marked = is_marked(image);
    if image.tags.is_empty() && marked {
        return vec![(Key::Untagged(image.id.clone()), None)];
    }
    let saved = is_saved(&image.labels);
    let key = |tag: &Reference| {
        let repository = tag.repository();
        if let Some((uid, _)) = personal(&repository).filter(|_| saved) {
            return Some(Key::Saved(uid, tag.to_string()));
        }
        node_of(known, &repository, image)
            .map(Key::Node)
            .or_else(|| personal(&repository).map(|(uid, project)| Key::Personal(uid, project.to_owned())))
            .or_else(|| tag.tag().and_then(read::split_name).map(|_| Key::Legacy(tag.to_string())))
            .or_else(|| marked.then(|| Key::Repository(repository.to_string())))
    };
    image.tags.iter().filter_map(|tag| Some((key(tag)?, Some(tag.clone())))).collect()
}

/// The node whose tags stand in this repository. Plan variants have it in
/// common, so there the image's own name counts.
fn node_of(known: &Known<'_>, repository: &Repository, image: &Image) -> Option<NodeId> {
    let named = image.labels.get(IMAGE.name).map(String::as_str);
    let graph = known.stack?.graph;
    let mut nodes = graph.nodes().filter(|node| node.repository.as_ref() == Some(repository));
    let is = |node: &&crate::spec::graph::Node| match (&node.kind, named) {
        (NodeKind::Project(..), _) => true,
        (_, Some(name)) => name == node.name.as_str(),
        (_, None) => node.plan.is_none(),
    };
    nodes.find(is).map(|node| node.id)
}

/// `ds01-1001/thesis` → 1001 and `thesis`. The uid is compared as a number, so
/// that 1001 is not found in 10012.
fn personal(repository: &Repository) -> Option<(u32, &str)> {
    let (owner, project) = repository.as_str().strip_prefix("ds01-")?.split_once('/')?;
    let plain =
        owner.bytes().all(|b| b.is_ascii_digit()) && !owner.starts_with('0') && !project.contains('/');
    plain.then(|| owner.parse().ok().map(|uid| (uid, project)))?
}

/// Labelled by us, or by the systems before.
fn is_marked(image: &Image) -> bool {
    read::managed(&image.labels) || is_legacy(image)
}

fn is_legacy(image: &Image) -> bool {
    let ours = image.labels.contains_key(labels::MANAGED.name);
    !ours && image.labels.keys().any(|key| key.starts_with("aime.mlc"))
}

fn group<'a>(known: &Known<'a>, key: Key, mut images: Vec<&'a Image>, mut tags: Vec<Reference>) -> Group<'a> {
    let moving = |tag: &Reference| tag.tag().is_some_and(|tag| !tags::is_content_tag(tag));
    tags.sort_by_key(|tag| (!moving(tag), tag.to_string()));
    let stands = |image: &Image| tags.iter().any(|tag| moving(tag) && image.tags.contains(tag));
    images.sort_by_key(|image| (!stands(image), -image.created, image.id.clone()));
    let (name, project, uid) = called(known, &key, images.first().copied());
    let owner = match (&key, uid) {
        (Key::Node(node), _) => known.stack.and_then(|stack| {
            stack.subject(*node).account().map(|account| Owner::Login(account.login.clone()))
        }),
        (_, Some(uid)) => Some(owner_of(uid, known.users)),
        (_, None) => images.first().and_then(|image| labelled_owner(image, known.users)),
    };
    let legacy = matches!(key, Key::Legacy(_)) || images.first().is_some_and(|image| is_legacy(image));
    Group { name, project, uid, owner, legacy, images, tags, key }
}

/// What labels alone say: enough to show, not to remove.
fn labelled_owner(image: &Image, users: Users<'_>) -> Option<Owner> {
    let setup = read::user_setup(&image.labels).map(|setup| owner_of(setup.uid, users));
    setup.or_else(|| read::owner(&image.labels, "", users))
}

/// Whose an image is, without a spec: by its names before its labels.
pub(crate) fn told_owner(image: &Image, users: Users<'_>) -> Option<Owner> {
    let named = image.tags.iter().find_map(|tag| {
        let marked = || tag.tag().and_then(read::split_name).map(|(_, uid)| uid);
        personal(&tag.repository()).map(|(uid, _)| uid).or_else(marked)
    });
    named.map(|uid| owner_of(uid, users)).or_else(|| labelled_owner(image, users))
}

/// A group's name, the same without its owner, and the owner's uid.
fn called(known: &Known<'_>, key: &Key, image: Option<&Image>) -> (String, String, Option<u32>) {
    let plain = |name: &str, uid| (name.to_owned(), name.to_owned(), uid);
    match key {
        Key::Node(node) => {
            let Some(stack) = known.stack else { return plain("", None) };
            let (name, subject) = (&stack.graph.node(*node).name, stack.subject(*node));
            match subject.account() {
                Some(account) => (name.to_string(), subject.key().to_owned(), Some(account.uid)),
                None => plain(name.as_str(), None),
            }
        }
        Key::Personal(uid, project) => {
            let account = image.and_then(|image| read::text(&image.labels, &USERNAME));
            let name = match account {
                Some(account) => format!("{account}/{project}"),
                None => format!("ds01-{uid}/{project}"),
            };
            (name, project.clone(), Some(*uid))
        }
        Key::Saved(uid, name) => {
            let short = name.split_once('/').map_or(name.as_str(), |(_, short)| short);
            (name.clone(), short.to_owned(), Some(*uid))
        }
        Key::Repository(name) => plain(name, None),
        Key::Legacy(name) => {
            let split = Reference::parse(name).ok();
            let split = split.as_ref().and_then(Reference::tag).and_then(read::split_name);
            let (short, uid) = split.map_or((name.as_str(), None), |(short, uid)| (short, Some(uid)));
            (name.clone(), short.to_owned(), uid)
        }
        Key::Untagged(id) => plain(super::rows::short(id), None),
    }
}
