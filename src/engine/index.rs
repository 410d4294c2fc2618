//! An engine's list of images, by what is asked of it: ID, name and
//! repository.
//!
//! Made once from the one list call. Knows nothing of specs, recipes and plans.

use std::collections::HashMap;

use super::Image;
use crate::model::reference::{Reference, Repository};

/// The images of an engine, to be looked up.
#[derive(Debug, Default)]
pub(crate) struct ImageIndex<'a> {
    all: &'a [Image],
    by_id: HashMap<&'a str, &'a Image>,
    /// By the digests of manifests, of whatever repository.
    by_digest: HashMap<&'a str, &'a Image>,
    /// By tags, and by digests with their repository.
    by_name: HashMap<&'a Reference, &'a Image>,
    by_repository: HashMap<(&'a str, &'a str), Vec<&'a Image>>,
}

impl<'a> ImageIndex<'a> {
    pub(crate) fn new(images: &'a [Image]) -> Self {
        let mut index = Self { all: images, ..Self::default() };
        for image in images {
            index.by_id.insert(image.id.as_str(), image);
            index.by_name.extend(image.tags.iter().chain(&image.digests).map(|name| (name, image)));
            let digests = image.digests.iter().filter_map(Reference::digest);
            index.by_digest.extend(digests.map(|digest| (digest, image)));
            for tag in &image.tags {
                let same = index.by_repository.entry((tag.registry(), tag.path())).or_default();
                // All tags of an image come in a row.
                if same.last().is_none_or(|last| last.id != image.id) {
                    same.push(image);
                }
            }
        }
        index
    }

    /// All of them, in the engine's order.
    pub(crate) fn all(&self) -> &'a [Image] {
        self.all
    }

    /// The image of an ID, or of a manifest's digest, `sha256:<64 hex>`.
    pub(crate) fn by_id(&self, id: &str) -> Option<&'a Image> {
        self.by_id.get(id).or_else(|| self.by_digest.get(id)).copied()
    }

    /// The image of a name: by its digest where it has one, whatever its tag
    /// is, else by its tag.
    pub(crate) fn by_name(&self, name: &Reference) -> Option<&'a Image> {
        match name.digest() {
            Some(digest) => self.by_name.get(&name.repository().with_digest(digest)).copied(),
            None => self.by_name.get(name).copied(),
        }
    }

    /// The images that have a tag in a repository, each once.
    pub(crate) fn in_repository<'s>(&'s self, repository: &'s Repository) -> &'s [&'a Image] {
        self.by_repository.get(&repository.place()).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::ImageId;

    fn image(id: &str, tags: &[&str], digests: &[&str]) -> Image {
        let parsed = |names: &[&str]| names.iter().map(|name| Reference::parse(name).unwrap()).collect();
        Image {
            id: ImageId::new(id),
            tags: parsed(tags),
            digests: parsed(digests),
            labels: Default::default(),
            size: 0,
            created: 0,
        }
    }

    #[test]
    fn an_image_is_found_by_each_of_its_names_and_once_in_each_repository() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let images = [
            image("sha256:1", &["docker.io/library/x:1", "x:2", "r.io/x:1"], &[&format!("x@{digest}")]),
            image("sha256:2", &["x:3"], &[]),
        ];
        let index = ImageIndex::new(&images);
        let by_name = |name: &str| {
            index.by_name(&Reference::parse(name).unwrap()).map(|image| image.id.as_str().to_owned())
        };
        assert_eq!(by_name("x:1").as_deref(), Some("sha256:1"));
        assert_eq!(by_name(&format!("x:gone@{digest}")).as_deref(), Some("sha256:1"), "the digest counts");
        assert_eq!(by_name("x:4"), None);
        let of = |name: &str| index.in_repository(&Repository::parse(name).unwrap()).len();
        assert_eq!((of("x"), of("r.io/x"), of("y")), (2, 1, 0));
        assert_eq!(index.by_id("sha256:2").unwrap().tags.len(), 1);
        assert_eq!(index.by_id(&digest).unwrap().id.as_str(), "sha256:1");
    }
}
