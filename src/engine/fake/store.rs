//! What the fake engine keeps, and the rules a real one keeps it by.

use std::collections::{BTreeMap, HashMap};

use super::exec::Programs;
use super::inside::{FakeFile, Inside};
use crate::engine::{Container, ContainerConfig, CreateContainer, Devices, Error, Image, ImageDetail, Usage};
use crate::model::account::Account;
use crate::model::digest::sha256;
use crate::model::names::ImageId;
use crate::model::reference::Reference;

#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) images: BTreeMap<ImageId, Stored>,
    /// Short form of the reference → image.
    tags: BTreeMap<String, ImageId>,
    /// What registries know: short form of the reference → manifest digest.
    pub(crate) remote: BTreeMap<String, String>,
    pub(crate) containers: Vec<Container>,
    /// By the container's id.
    pub(crate) devices: HashMap<String, Devices>,
    /// What containers take while they run, by id.
    pub(crate) usage: HashMap<String, Usage>,
    /// Every granted request, in order.
    pub(crate) created: Vec<CreateContainer>,
    /// It may not lift limits.
    pub(crate) unprivileged: bool,
    pub(crate) programs: Programs,
    /// Files that are in an image, as far as somebody told.
    pub(crate) files: HashMap<ImageId, BTreeMap<String, FakeFile>>,
    /// What differs in a container, by its id.
    pub(crate) inside: HashMap<String, BTreeMap<String, Inside>>,
    /// Calls that are refused, with these words.
    pub(crate) refusing: BTreeMap<&'static str, String>,
}

/// An image. Its id is the hash of everything here but the digests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) env: Vec<String>,
    pub(crate) user: String,
    pub(crate) workdir: String,
    pub(crate) command: Vec<String>,
    pub(crate) onbuild: Vec<String>,
    /// What each layer was made by, on top of the one before.
    pub(crate) layers: Vec<String>,
    pub(crate) account: Option<Account>,
    pub(crate) digests: Vec<Reference>,
}

impl Stored {
    /// An image that was not built here: one layer, and a shell.
    pub(crate) fn base(content: &str, labels: &BTreeMap<String, String>) -> Self {
        Self {
            labels: labels.clone(),
            env: vec!["PATH=/usr/bin:/bin".into()],
            command: vec!["/bin/sh".into()],
            layers: vec![content.to_owned()],
            ..Self::default()
        }
    }

    fn id(&self) -> ImageId {
        let content = (
            &self.labels,
            &self.env,
            &self.user,
            &self.workdir,
            &self.command,
            &self.layers,
            self.account.as_ref(),
        );
        let left = if self.onbuild.is_empty() { String::new() } else { format!("{:?}", self.onbuild) };
        ImageId::new(sha256(format!("{content:?}{left}").as_bytes()))
    }
}

impl Store {
    pub(crate) fn add(&mut self, image: Stored, tag: Option<&Reference>) -> ImageId {
        let id = image.id();
        // An equal image that is there already keeps what is known of it.
        self.images.entry(id.clone()).or_insert(image);
        if let Some(tag) = tag {
            self.tags.insert(tag.to_string(), id.clone());
        }
        id
    }

    /// One that came from a registry under this digest.
    pub(crate) fn add_from(&mut self, image: Stored, digest: Reference) -> ImageId {
        let id = self.add(image, None);
        let digests = self.images.get_mut(&id).map(|image| &mut image.digests);
        digests
            .filter(|known| !known.contains(&digest))
            .into_iter()
            .for_each(|known| known.push(digest.clone()));
        id
    }

    /// By id, by tag, or by the manifest digest it was pulled with.
    pub(crate) fn find(&self, name: &str) -> Option<ImageId> {
        if let Some(id) = self.images.keys().find(|id| id.as_str() == name) {
            return Some(id.clone());
        }
        let reference = Reference::parse(name).ok()?;
        let Some(digest) = reference.digest() else { return self.tags.get(&reference.to_string()).cloned() };
        let pinned = reference.repository().with_digest(digest);
        self.images.iter().find(|(_, image)| image.digests.contains(&pinned)).map(|(id, _)| id.clone())
    }

    /// The image to build on: from the store, else as pulled from a registry.
    pub(crate) fn base(&self, reference: &Reference) -> Option<Stored> {
        match self.find(&reference.to_string()) {
            Some(id) => self.images.get(&id).cloned(),
            None => self.remote_digest(reference).map(|digest| Stored::base(&digest, &BTreeMap::new())),
        }
    }

    /// A digest is found where any tag of its repository has it.
    pub(crate) fn remote_digest(&self, reference: &Reference) -> Option<String> {
        let Some(digest) = reference.digest() else {
            return self.remote.get(&reference.to_string()).cloned();
        };
        let same =
            |name: &str| Reference::parse(name).is_ok_and(|r| r.repository() == reference.repository());
        self.remote.iter().any(|(name, known)| known == digest && same(name)).then(|| digest.to_owned())
    }

    pub(crate) fn list(&self) -> Vec<Image> {
        let image = |(id, image): (&ImageId, &Stored)| Image {
            id: id.clone(),
            tags: self.tags_of(id),
            digests: image.digests.clone(),
            labels: image.labels.clone(),
            size: image.layers.len() as u64,
            created: 0,
        };
        self.images.iter().map(image).collect()
    }

    pub(crate) fn detail(&self, id: &ImageId) -> Option<ImageDetail> {
        let image = self.images.get(id)?;
        let chain = |n: usize| sha256(image.layers[..=n].join("\n").as_bytes());
        Some(ImageDetail {
            id: id.clone(),
            tags: self.tags_of(id),
            labels: image.labels.clone(),
            env: image.env.clone(),
            user: image.user.clone(),
            workdir: image.workdir.clone(),
            command: image.command.clone(),
            onbuild: image.onbuild.clone(),
            diff_ids: (0..image.layers.len()).map(chain).collect(),
            size: image.layers.len() as u64,
        })
    }

    /// Layers that no other image has, a byte each.
    pub(crate) fn own(&self, id: &ImageId) -> Option<u64> {
        let mine = &self.images.get(id)?.layers;
        let others = self.images.iter().filter(|(other, _)| *other != id);
        let shared =
            others.map(|(_, other)| mine.iter().zip(&other.layers).take_while(|(a, b)| a == b).count());
        Some((mine.len() - shared.max().unwrap_or(0)) as u64)
    }

    fn tags_of(&self, id: &ImageId) -> Vec<Reference> {
        let mine = self.tags.iter().filter(|(_, of)| *of == id);
        mine.filter_map(|(name, _)| Reference::parse(name).ok()).collect()
    }

    pub(crate) fn tag(&mut self, image: &ImageId, reference: &Reference) -> Result<(), Error> {
        self.willing("tag")?;
        if !self.images.contains_key(image) {
            return refused(format!("tag {image} as `{reference}`"), format!("No such image: {image}"));
        }
        self.tags.insert(reference.to_string(), image.clone());
        Ok(())
    }

    /// The `config` object of its configuration.
    pub(crate) fn image_config(&self, name: &str) -> Option<ContainerConfig> {
        let image = self.images.get(&self.find(name)?)?;
        let config = serde_json::json!({
            "Env": image.env,
            "Cmd": image.command,
            "User": image.user,
            "WorkingDir": image.workdir,
            "Labels": image.labels,
        });
        config.as_object().cloned()
    }

    pub(crate) fn remove_image(&mut self, name: &str) -> Result<(), Error> {
        let action = format!("remove image `{name}`");
        let Some(id) = self.find(name) else { return refused(action, format!("No such image: {name}")) };
        let tags = self.tags_of(&id).len();
        let by_id = id.as_str() == name;
        if by_id && tags > 1 {
            return refused(action, "conflict: image is referenced in multiple repositories".into());
        }
        if (by_id || tags == 1) && self.containers.iter().any(|c| c.image_id == id) {
            return refused(action, "conflict: a container is using it".into());
        }
        if by_id {
            self.tags.retain(|_, of| *of != id);
        } else if let Ok(reference) = Reference::parse(name) {
            self.tags.remove(&reference.to_string());
        }
        if self.tags_of(&id).is_empty() {
            self.images.remove(&id);
        }
        Ok(())
    }
}

pub(crate) fn no_container(name: &str) -> String {
    format!("No such container: {name}")
}

pub(crate) fn refused<T>(action: String, message: String) -> Result<T, Error> {
    Err(Error::Refused { action, message })
}
