//! What the fake engine keeps, and the rules a real one keeps it by.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::engine::{Container, CreateContainer, Devices, Error, Image, ImageDetail};
use crate::names::ImageId;
use crate::reference::Reference;

#[derive(Debug, Default)]
pub struct Store {
    pub images: BTreeMap<ImageId, Stored>,
    /// Short form of the reference → image.
    tags: BTreeMap<String, ImageId>,
    /// What registries know: short form of the reference → manifest digest.
    pub remote: BTreeMap<String, String>,
    pub containers: Vec<Container>,
    /// By the container's id.
    pub devices: HashMap<String, Devices>,
    /// Every granted request, in order.
    pub created: Vec<CreateContainer>,
    /// It may not lift limits.
    pub unprivileged: bool,
}

/// An image. Its id is the hash of everything here but the digests.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub labels: BTreeMap<String, String>,
    pub env: Vec<String>,
    pub user: String,
    pub workdir: String,
    pub command: Vec<String>,
    /// What each layer was made by, on top of the one before.
    pub layers: Vec<String>,
    pub account: Option<Account>,
    pub digests: Vec<Reference>,
}

impl Stored {
    /// An image that was not built here: one layer, and a shell.
    pub fn base(content: &str, labels: &BTreeMap<String, String>) -> Self {
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
        ImageId::new(digest(&format!("{content:?}")))
    }
}

impl Store {
    pub fn add(&mut self, image: Stored, tag: Option<&Reference>) -> ImageId {
        let id = image.id();
        // An equal image that is there already keeps what is known of it.
        self.images.entry(id.clone()).or_insert(image);
        if let Some(tag) = tag {
            self.tags.insert(tag.to_string(), id.clone());
        }
        id
    }

    /// One that came from a registry under this digest.
    pub fn add_from(&mut self, image: Stored, digest: Reference) -> ImageId {
        let id = self.add(image, None);
        let digests = self.images.get_mut(&id).map(|image| &mut image.digests);
        digests
            .filter(|known| !known.contains(&digest))
            .into_iter()
            .for_each(|known| known.push(digest.clone()));
        id
    }

    /// By id, by tag, or by the manifest digest it was pulled with.
    pub fn find(&self, name: &str) -> Option<ImageId> {
        if let Some(id) = self.images.keys().find(|id| id.as_str() == name) {
            return Some(id.clone());
        }
        let reference = Reference::parse(name).ok()?;
        let Some(digest) = reference.digest() else { return self.tags.get(&reference.to_string()).cloned() };
        let pinned = reference.repository().with_digest(digest);
        self.images.iter().find(|(_, image)| image.digests.contains(&pinned)).map(|(id, _)| id.clone())
    }

    /// The image to build on: from the store, else as pulled from a registry.
    pub fn base(&self, reference: &Reference) -> Option<Stored> {
        match self.find(&reference.to_string()) {
            Some(id) => self.images.get(&id).cloned(),
            None => self.remote_digest(reference).map(|digest| Stored::base(&digest, &BTreeMap::new())),
        }
    }

    /// A digest is found where any tag of its repository has it.
    pub fn remote_digest(&self, reference: &Reference) -> Option<String> {
        let Some(digest) = reference.digest() else {
            return self.remote.get(&reference.to_string()).cloned();
        };
        let same =
            |name: &str| Reference::parse(name).is_ok_and(|r| r.repository() == reference.repository());
        self.remote.iter().any(|(name, known)| known == digest && same(name)).then(|| digest.to_owned())
    }

    pub fn list(&self) -> Vec<Image> {
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

    pub fn detail(&self, id: &ImageId) -> Option<ImageDetail> {
        let image = self.images.get(id)?;
        let chain = |n: usize| digest(&image.layers[..=n].join("\n"));
        Some(ImageDetail {
            id: id.clone(),
            tags: self.tags_of(id),
            labels: image.labels.clone(),
            env: image.env.clone(),
            user: image.user.clone(),
            workdir: image.workdir.clone(),
            command: image.command.clone(),
            diff_ids: (0..image.layers.len()).map(chain).collect(),
            size: image.layers.len() as u64,
        })
    }

    /// Layers that no other image has, a byte each.
    pub fn own(&self, id: &ImageId) -> Option<u64> {
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

    pub fn tag(&mut self, image: &ImageId, reference: &Reference) -> Result<(), Error> {
        if !self.images.contains_key(image) {
            return refused(format!("tag {image} as `{reference}`"), format!("No such image: {image}"));
        }
        self.tags.insert(reference.to_string(), image.clone());
        Ok(())
    }

    pub fn remove_image(&mut self, name: &str) -> Result<(), Error> {
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

    pub fn devices(&self, name: &str) -> Option<Devices> {
        let container = &self.containers[self.container(name)?];
        Some(self.devices.get(&container.id).cloned().unwrap_or_default())
    }

    pub fn create(&mut self, request: &CreateContainer) -> Result<String, Error> {
        let action = format!("create container `{}`", request.name);
        if self.containers.iter().any(|c| c.name == request.name) {
            return refused(action, format!("Conflict. The name \"/{}\" is already in use", request.name));
        }
        let image = self.find(&request.image).and_then(|id| Some((id.clone(), self.images.get(&id)?)));
        let Some((image_id, image)) = image else {
            return refused(action, format!("No such image: {}", request.image));
        };
        if request.command.as_ref().unwrap_or(&image.command).is_empty() {
            return refused(action, "No command specified".into());
        }
        // An engine copies the image's labels; the request's win.
        let mut labels = image.labels.clone();
        labels.extend(request.labels.clone());
        let id = digest(&request.name).split_off("sha256:".len());
        self.created.push(request.clone());
        self.containers.push(Container {
            id: id.clone(),
            name: request.name.clone(),
            image: request.image.clone(),
            image_id,
            labels,
            state: "created".into(),
            status: "Created".into(),
            created: 0,
        });
        Ok(id)
    }

    /// Images of the fake have programs in `/bin`, `/usr` and `/opt` only.
    pub fn start(&mut self, name: &str) -> Result<(), Error> {
        let action = format!("start container `{name}`");
        let Some(n) = self.container(name) else { return refused(action, no_container(name)) };
        let container = &self.containers[n];
        let request = self.created.iter().rfind(|request| request.name == container.name);
        let lifted = request.is_some_and(|r| r.ulimits.values().any(|(_, hard)| *hard == -1));
        if self.unprivileged && lifted {
            return refused(action, "error setting rlimit type 8: operation not permitted".into());
        }
        let own = self.images.get(&container.image_id).map(|image| &image.command);
        let program = request.and_then(|r| r.command.as_ref()).or(own).and_then(|words| words.first());
        let program = program.map_or("", String::as_str);
        let dirs = ["/bin/", "/usr/", "/opt/"];
        if !program.starts_with('/') || dirs.iter().any(|dir| program.starts_with(dir)) {
            self.set(n, "running", "Up 1 second");
        } else if request.is_some_and(|r| r.init) {
            // The init starts, and tells of its program by ending.
            self.set(n, "exited", "Exited (127) 1 second ago");
        } else {
            return refused(action, format!("exec: \"{program}\": no such file or directory"));
        }
        Ok(())
    }

    pub fn stop(&mut self, name: &str) -> Result<(), Error> {
        let Some(n) = self.container(name) else {
            return refused(format!("stop container `{name}`"), no_container(name));
        };
        if self.containers[n].state != "created" {
            self.set(n, "exited", "Exited (0) 1 second ago");
        }
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        let action = format!("remove container `{name}`");
        let Some(n) = self.container(name) else { return refused(action, no_container(name)) };
        if matches!(self.containers[n].state.as_str(), "running" | "paused" | "restarting") {
            return refused(action, "You cannot remove a running container".into());
        }
        self.containers.remove(n);
        Ok(())
    }

    fn container(&self, name: &str) -> Option<usize> {
        self.containers.iter().position(|c| c.name == name || c.id == name)
    }

    fn set(&mut self, n: usize, state: &str, status: &str) {
        state.clone_into(&mut self.containers[n].state);
        status.clone_into(&mut self.containers[n].status);
    }
}

fn no_container(name: &str) -> String {
    format!("No such container: {name}")
}

fn refused<T>(action: String, message: String) -> Result<T, Error> {
    Err(Error::Refused { action, message })
}

fn digest(text: &str) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
