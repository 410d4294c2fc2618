//! External images: which content a reference stands for.
//!
//! The lock decides where it has a pin; then nobody is asked. Without one the
//! engine's own store answers first, and what it lacks is asked from where the
//! engine would pull.

use std::collections::{BTreeMap, HashMap};

use super::newest::{RegistryUnavailable, digest_of};
use super::{Error, Use, World};
use crate::engine::Image;
use crate::image::recipe::BaseIdentity;
use crate::model::names::ImageId;
use crate::model::problem::{Place, Problem};
use crate::model::reference::Reference;
use crate::spec::pins::{self, Pin};

/// External images by their long reference.
pub(crate) type Bases = BTreeMap<String, BaseSeen>;

/// An external image, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseSeen {
    /// What to build on: with the digest, where it is pinned or has to be
    /// pulled.
    pub(crate) given: Reference,
    /// The manifest's digest, for one that a registry knows.
    pub(crate) digest: Option<String>,
    /// The engine's, for one that is in its store. One of the two is there.
    pub(crate) id: Option<ImageId>,
    /// Bytes in the engine's store; `None`: not there.
    pub(crate) size: Option<u64>,
    pub(crate) pinning: Pinning,
}

/// What the lock has to do with an external image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pinning {
    /// Its pin was followed.
    Pinned {
        /// What the engine has under the tag, if that is something else.
        tag_is: Option<String>,
    },
    /// A registry knows it, and the lock does not yet.
    NotYet,
    /// A registry may know it: the engine gives also images of its own a
    /// digest.
    Perhaps,
    /// It is none of the lock's business: its reference has a digest, it
    /// exists in the engine only, or it stands in for another.
    Never,
}

impl BaseSeen {
    /// The manifest digest, else the local image ID, as labels tell it.
    pub(crate) fn digest_or_id(&self) -> String {
        let id = || self.id.as_ref().map(ToString::to_string);
        self.digest.clone().or_else(id).unwrap_or_default()
    }

    /// What the recipe counts: the manifest digest, else the local image ID.
    pub(crate) fn identity(&self) -> BaseIdentity {
        match (&self.digest, &self.id) {
            (Some(digest), _) => BaseIdentity::ManifestDigest(digest.clone()),
            (None, Some(id)) => BaseIdentity::LocalImageId(id.clone()),
            (None, None) => unreachable!("a base that was found has a digest or an id"),
        }
    }
}

/// Looks for every external image that is used.
pub(super) async fn look(
    used: &BTreeMap<String, Use>,
    store: &[Image],
    platform: &str,
    world: &World<'_>,
) -> Result<Bases, Error> {
    let look = Look { by_name: by_name(store), platform, world };
    if world.pins.locked {
        let problems: Vec<_> = used.values().filter_map(|each| look.missing(each)).collect();
        if !problems.is_empty() {
            return Err(Error::Problems(problems));
        }
    }
    let found = futures::future::join_all(used.values().map(|each| look.one(each))).await;
    let (mut bases, mut problems) = (Bases::new(), Vec::new());
    for (key, seen) in used.keys().zip(found) {
        match seen {
            Ok(seen) => {
                bases.insert(key.clone(), seen);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() { Ok(bases) } else { Err(Error::Bases(problems)) }
}

/// The engine's images, by every name that it lists.
pub(super) fn by_name(store: &[Image]) -> HashMap<String, &Image> {
    let names = |image: &Image| image.tags.iter().chain(&image.digests).map(Reference::canonical).collect();
    let named = store.iter().flat_map(|image| {
        let names: Vec<String> = names(image);
        names.into_iter().map(move |name| (name, image))
    });
    named.collect()
}

/// The manifest digest under which an image of the store is known in a
/// reference's repository.
pub(super) fn digest_in_store<'i>(reference: &Reference, image: &'i Image) -> Option<&'i str> {
    let repository = reference.repository();
    image.digests.iter().find(|d| d.repository() == repository)?.digest()
}

struct Look<'a> {
    by_name: HashMap<String, &'a Image>,
    platform: &'a str,
    world: &'a World<'a>,
}

impl Look<'_> {
    async fn one(&self, each: &Use) -> Result<BaseSeen, Box<Problem>> {
        let (reference, place) = (&each.reference, &each.place);
        match (self.world.pins.of(reference), self.by_name.get(&stored_name(reference))) {
            (Some(pin), tagged) => self.pinned(reference, place, pin, tagged.copied()).await,
            (None, Some(image)) => Ok(self.in_store(reference, image)),
            (None, None) => self.elsewhere(reference, place).await,
        }
    }

    /// What `--locked` refuses: what a registry may give another content for
    /// tomorrow.
    fn missing(&self, each: &Use) -> Option<Problem> {
        let (reference, pins) = (&each.reference, self.world.pins);
        let tagged = self.by_name.get(&stored_name(reference));
        let local = tagged.is_some_and(|image| digest_in_store(reference, image).is_none());
        if local
            || reference.digest().is_some()
            || pins.is_stand_in(reference)
            || pins.of(reference).is_some()
        {
            return None;
        }
        let problem =
            Problem::new(format!("{reference} is not pinned, and --locked wants every base pinned"));
        Some(problem.at(&each.place).help("run `ds01-build update`, and put spec.lock under version control"))
    }

    fn in_store(&self, reference: &Reference, image: &Image) -> BaseSeen {
        let digest = reference.digest().or_else(|| digest_in_store(reference, image));
        BaseSeen {
            given: reference.clone(),
            digest: digest.map(str::to_owned),
            id: Some(image.id.clone()),
            size: Some(image.size),
            pinning: match digest.map(|digest| (digest == image.id.as_str(), self.unpinned(reference))) {
                // Where images lie in containerd, the manifest's digest is the ID.
                Some((true, Pinning::NotYet)) => Pinning::Perhaps,
                Some((_, pinning)) => pinning,
                None => Pinning::Never,
            },
        }
    }

    /// For what a registry knows and the lock does not.
    fn unpinned(&self, reference: &Reference) -> Pinning {
        match reference.digest().is_some() || self.world.pins.is_stand_in(reference) {
            true => Pinning::Never,
            false => Pinning::NotYet,
        }
    }

    /// The pin says which content; where it lies is only a matter of pulling.
    async fn pinned(
        &self,
        reference: &Reference,
        place: &Place,
        pin: &Pin,
        tagged: Option<&Image>,
    ) -> Result<BaseSeen, Box<Problem>> {
        let manifest = pin.platforms().get(self.platform).map(String::as_str);
        let seen = |digest: &str, image: Option<&Image>| {
            let moved = tagged.filter(|tagged| image.is_none_or(|image| image.id != tagged.id));
            let is =
                |tagged: &Image| digest_in_store(reference, tagged).unwrap_or(tagged.id.as_str()).to_owned();
            BaseSeen {
                given: reference.pinned(digest),
                digest: Some(pin.digest().to_owned()),
                id: image.map(|image| image.id.clone()),
                size: image.map(|image| image.size),
                pinning: Pinning::Pinned { tag_is: moved.map(is) },
            }
        };
        let digests = [Some(pin.digest()), manifest];
        for digest in digests.into_iter().flatten() {
            if let Some(image) = self.by_name.get(&reference.repository().with_digest(digest).canonical()) {
                return Ok(seen(digest, Some(image)));
            }
        }
        // An index may be gone from its registry while what it named is not.
        let digest = manifest.unwrap_or(pin.digest());
        match tagged.filter(|image| digest_in_store(reference, image).is_none()) {
            Some(own) if self.world.pins.is_stand_in(reference) => Ok(self.in_store(reference, own)),
            Some(_) => self.somewhere(reference, place, pin, digest).await.map(|()| seen(digest, None)),
            None => Ok(seen(digest, None)),
        }
    }

    /// The engine has an image of its own under the tag: only then it is worth
    /// asking whether the pinned one can be had at all.
    async fn somewhere(
        &self,
        reference: &Reference,
        place: &Place,
        pin: &Pin,
        digest: &str,
    ) -> Result<(), Box<Problem>> {
        let pinned = reference.repository().with_digest(digest);
        let why = match digest_of(&pinned, self.world.registry, Some(self.world.engine)).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => "the registry does not have it".to_owned(),
            Err(RegistryUnavailable(why)) => why,
        };
        let short = pins::short(pin.digest());
        let problem = Problem::new(format!(
            "spec.lock pins {reference} to {short}, which cannot be had, and the engine's {reference} is an \
             image of its own: {why}"
        ));
        let help = format!(
            "pull the pinned one; or take {reference} out of spec.lock, or say --base NAME={reference}, to \
             build on the engine's"
        );
        Err(Box::new(problem.at(place).help(help)))
    }

    async fn elsewhere(&self, reference: &Reference, place: &Place) -> Result<BaseSeen, Box<Problem>> {
        let problem = |message: String| {
            let help = "pull it, import it, or stand another image in with --base NAME=REF";
            Box::new(Problem::new(message).at(place).help(help))
        };
        match digest_of(reference, self.world.registry, Some(self.world.engine)).await {
            Ok(Some(digest)) => Ok(BaseSeen {
                given: reference.pinned(&digest),
                digest: Some(digest),
                id: None,
                size: None,
                pinning: self.unpinned(reference),
            }),
            Ok(None) => {
                Err(problem(format!("the image {reference} is neither on the engine nor in its registry")))
            }
            Err(RegistryUnavailable(why)) => Err(problem(format!(
                "the image {reference} is not on the engine, and its registry could not be asked: {why}"
            ))),
        }
    }
}

/// How an engine lists it: a pinned one by its digest, without the tag.
fn stored_name(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => reference.repository().with_digest(digest).canonical(),
        None => reference.canonical(),
    }
}
