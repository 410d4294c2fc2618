//! External images: which content a reference stands for.
//!
//! The lock decides where it has a pin; then nobody is asked. Without one the
//! engine's own store answers first, and what it lacks is asked from where the
//! engine would pull.

use std::collections::BTreeMap;

use super::ExternalImage;
use crate::engine::{Image, ImageIndex};
use crate::image::recipe::BaseIdentity;
use crate::model::digest;
use crate::model::names::ImageId;
use crate::model::problem::{Place, Problem};
use crate::model::reference::Reference;
use crate::plan::pins::{RegistryUnavailable, digest_of};
use crate::plan::{Context, Error};
use crate::spec::lock_file::Pin;

/// External images by their long reference.
pub(crate) type Bases = BTreeMap<String, BaseSnapshot>;

/// An external image, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseSnapshot {
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

impl BaseSnapshot {
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

/// Finds every external image that is used.
pub(super) async fn find(
    used: &BTreeMap<String, ExternalImage>,
    images: &ImageIndex<'_>,
    platform: &str,
    context: &Context<'_>,
) -> Result<Bases, Error> {
    let finder = Finder { images, platform, context };
    if context.pins.locked {
        let problems: Vec<_> = used.values().filter_map(|each| finder.missing(each)).collect();
        if !problems.is_empty() {
            return Err(Error::Problems(problems));
        }
    }
    let found = futures::future::join_all(used.values().map(|each| finder.one(each))).await;
    let (mut bases, mut problems) = (Bases::new(), Vec::new());
    for (key, base) in used.keys().zip(found) {
        match base {
            Ok(base) => drop(bases.insert(key.clone(), base)),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() { Ok(bases) } else { Err(Error::Bases(problems)) }
}

/// Whether the engine has something under this tag that came from nowhere:
/// built or imported there, and never pushed.
pub(crate) fn is_local_only(reference: &Reference, images: &ImageIndex<'_>) -> bool {
    images.by_name(reference).is_some_and(|image| digest_in_store(reference, image).is_none())
}

/// The manifest digest under which an image of the store is known in a
/// reference's repository.
fn digest_in_store<'i>(reference: &Reference, image: &'i Image) -> Option<&'i str> {
    let repository = reference.repository();
    image.digests.iter().find(|d| d.repository() == repository)?.digest()
}

struct Finder<'a> {
    images: &'a ImageIndex<'a>,
    platform: &'a str,
    context: &'a Context<'a>,
}

impl Finder<'_> {
    async fn one(&self, each: &ExternalImage) -> Result<BaseSnapshot, Box<Problem>> {
        let (reference, place) = (&each.reference, &each.place);
        match (self.context.pins.of(reference), self.images.by_name(reference)) {
            (Some(pin), tagged) => self.pinned(reference, place, pin, tagged).await,
            (None, Some(image)) => Ok(self.in_store(reference, image)),
            (None, None) => self.in_registry(reference, place).await,
        }
    }

    /// What `--locked` refuses: what a registry may give another content for
    /// tomorrow.
    fn missing(&self, each: &ExternalImage) -> Option<Problem> {
        let (reference, pins) = (&each.reference, self.context.pins);
        if is_local_only(reference, self.images)
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

    fn in_store(&self, reference: &Reference, image: &Image) -> BaseSnapshot {
        let digest = reference.digest().or_else(|| digest_in_store(reference, image));
        BaseSnapshot {
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
        let never = reference.digest().is_some() || self.context.pins.is_stand_in(reference);
        if never { Pinning::Never } else { Pinning::NotYet }
    }

    /// The pin says which content; where it lies is only a matter of pulling.
    async fn pinned(
        &self,
        reference: &Reference,
        place: &Place,
        pin: &Pin,
        tagged: Option<&Image>,
    ) -> Result<BaseSnapshot, Box<Problem>> {
        let manifest = pin.platforms().get(self.platform).map(String::as_str);
        let base = |digest: &str, image: Option<&Image>| {
            let moved = tagged.filter(|tagged| image.is_none_or(|image| image.id != tagged.id));
            let is =
                |tagged: &Image| digest_in_store(reference, tagged).unwrap_or(tagged.id.as_str()).to_owned();
            BaseSnapshot {
                given: reference.pinned(digest),
                digest: Some(pin.digest().to_owned()),
                id: image.map(|image| image.id.clone()),
                size: image.map(|image| image.size),
                pinning: Pinning::Pinned { tag_is: moved.map(is) },
            }
        };
        let digests = [Some(pin.digest()), manifest];
        for digest in digests.into_iter().flatten() {
            if let Some(image) = self.images.by_name(&reference.repository().with_digest(digest)) {
                return Ok(base(digest, Some(image)));
            }
        }
        // An index may be gone from its registry while what it named is not.
        let digest = manifest.unwrap_or(pin.digest());
        match tagged.filter(|image| digest_in_store(reference, image).is_none()) {
            Some(own) if self.context.pins.is_stand_in(reference) => Ok(self.in_store(reference, own)),
            Some(_) => self.can_be_had(reference, place, pin, digest).await.map(|()| base(digest, None)),
            None => Ok(base(digest, None)),
        }
    }

    /// The engine has an image of its own under the tag: only then it is worth
    /// asking whether the pinned one can be had at all.
    async fn can_be_had(
        &self,
        reference: &Reference,
        place: &Place,
        pin: &Pin,
        digest: &str,
    ) -> Result<(), Box<Problem>> {
        let pinned = reference.repository().with_digest(digest);
        let why = match digest_of(&pinned, self.context.registry, Some(self.context.engine)).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => "the registry does not have it".to_owned(),
            Err(RegistryUnavailable(why)) => why,
        };
        let short = digest::short(pin.digest());
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

    async fn in_registry(&self, reference: &Reference, place: &Place) -> Result<BaseSnapshot, Box<Problem>> {
        let problem = |message: String| {
            let help = "pull it, import it, or stand another image in with --base NAME=REF";
            Box::new(Problem::new(message).at(place).help(help))
        };
        match digest_of(reference, self.context.registry, Some(self.context.engine)).await {
            Ok(Some(digest)) => Ok(BaseSnapshot {
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
