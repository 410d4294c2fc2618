//! What a container runs, by the images of the engine: its name for people,
//! and whether that name means another image by now. Pure.
//!
//! Times do not say which of two images is newer, since equal input gives an
//! equal image on any day. The tags that move do: where one of a name points
//! to another image, that is the one to have.

use std::collections::HashSet;

use crate::engine::{Container, Image, ImageIndex};
use crate::model::labels::read;
use crate::model::labels::write::Labels;
use crate::model::labels::{BASE_DIGEST, BASE_NAME, IMAGE, PROJECT, USER_ID};
use crate::model::names::ImageId;
use crate::model::reference::{Reference, Repository};

/// The end of the name of an image that was made for a deployment: an
/// account on an image that has another name.
const SETUP: &str = "@setup";

/// Images of one name, of one person where it is a person's.
type Name<'a> = (&'a str, Option<&'a str>);

/// What is asked of them for containers.
impl<'a> ImageIndex<'a> {
    /// What people know the container's image as; an id, cut, where nothing
    /// better is known.
    pub(crate) fn name_of(&self, container: &Container) -> String {
        if let Some(image) = self.image_of(container).filter(|image| image_name(image).is_some()) {
            return self.known_as(image);
        }
        let from = made_from(container);
        if from.starts_with("sha256:") {
            let tag = self.by_id(from).and_then(|image| image.tags.first());
            return tag.map_or_else(|| ImageId::new(from).short().to_owned(), ToString::to_string);
        }
        from.to_owned()
    }

    /// The word that `deploy` takes for what the container was made from.
    pub(crate) fn deployed_as(&self, container: &Container) -> String {
        let Some(image) = self.image_of(container).filter(|image| image_name(image).is_some()) else {
            return self.name_of(container);
        };
        match image_name(self.below(image).unwrap_or(image)) {
            Some((word, _)) if !word.ends_with(SETUP) => word.to_owned(),
            _ => self.known_as(image),
        }
    }

    /// Whether the engine has a newer image of the name that the container's
    /// has. `None`: that cannot be told.
    pub(crate) fn newer_than(&self, container: &Container) -> Option<bool> {
        match self.image_of(container) {
            Some(image) if image_name(image).is_some() => self.newer(image),
            Some(_) => self.moved(made_from(container), container.image_id.as_str()),
            // The list leaves out an image without a tag that another was
            // made from, as by saving the container.
            None => {
                let own = Some(project(&container.labels)?);
                let current = |image: &Image| image.tags.iter().any(Reference::moves);
                self.all().iter().any(|image| project(&image.labels) == own && current(image)).then_some(true)
            }
        }
    }

    fn image_of(&self, container: &Container) -> Option<&'a Image> {
        self.by_id(container.image_id.as_str())
    }

    fn known_as(&self, image: &'a Image) -> String {
        let Some((name, _)) = image_name(image) else { return image.id.short().to_owned() };
        if let Some(stem) = name.strip_suffix(SETUP) {
            return match self.below(image) {
                Some(below) => self.known_as(below),
                None => read::text(&image.labels, &BASE_NAME).unwrap_or(stem).to_owned(),
            };
        }
        let own = content_repositories([image]);
        let of_name = |tag: &&Reference| tag.moves() && own.contains(&tag.repository());
        let tags = &image.tags;
        let tag = tags.iter().find(of_name).or_else(|| tags.iter().find(|tag| tag.moves()));
        tag.or(tags.first()).map_or_else(|| name.to_owned(), ToString::to_string)
    }

    fn newer(&self, image: &'a Image) -> Option<bool> {
        let name = image_name(image)?;
        if name.0.ends_with(SETUP) {
            return match self.below(image) {
                Some(below) => self.newer(below),
                None => self
                    .moved(read::text(&image.labels, &BASE_NAME)?, read::text(&image.labels, &BASE_DIGEST)?),
            };
        }
        // Another spec may have images of the same name, elsewhere.
        let at = content_repositories([image]);
        let elsewhere = |other: &Image| !at.is_empty() && at.is_disjoint(&content_repositories([other]));
        let same = self.all().iter().filter(|other| image_name(other) == Some(name) && !elsewhere(other));
        let same: Vec<_> = same.collect();
        // Whoever tags an old image by hand makes no new one of it.
        let own = content_repositories(same.iter().copied());
        let places = |image: &Image| -> HashSet<Repository> {
            let tags = image.tags.iter().filter(|tag| tag.moves());
            tags.map(Reference::repository).filter(|place| own.contains(place)).collect()
        };
        let mine = places(image);
        let others = same.iter().filter(|other| other.id != image.id);
        (!own.is_empty()).then(|| others.into_iter().any(|other| !places(other).is_subset(&mine)))
    }

    /// The image of a name that an account was put on.
    fn below(&self, image: &Image) -> Option<&'a Image> {
        let id = read::text(&image.labels, &BASE_DIGEST)?;
        let is_it = |below: &&Image| below.id.as_str() == id && below.id != image.id;
        self.by_id(id).filter(is_it).filter(|below| image_name(below).is_some())
    }

    /// Whether a tag points to another image than this one.
    fn moved(&self, tag: &str, id: &str) -> Option<bool> {
        let tag = Reference::parse(tag).ok()?;
        self.by_name(&tag).filter(|now| now.tags.contains(&tag)).map(|now| now.id.as_str() != id)
    }
}

/// What a container says that it was made from: an ID or a reference.
fn made_from(container: &Container) -> &str {
    read::text(&container.labels, &IMAGE).unwrap_or(&container.image)
}

/// What an image of ours is called; containers that were saved say an ID.
fn image_name(image: &Image) -> Option<Name<'_>> {
    let labels = &image.labels;
    let name = labels.get(IMAGE.name).filter(|name| !name.starts_with("sha256:"))?;
    read::managed(labels).then_some((name, labels.get(USER_ID.name).map(String::as_str)))
}

fn project(labels: &Labels) -> Option<Name<'_>> {
    Some((labels.get(PROJECT.name)?, Some(labels.get(USER_ID.name)?)))
}

/// Repositories that content tags of these images are in.
fn content_repositories<'a>(images: impl IntoIterator<Item = &'a Image>) -> HashSet<Repository> {
    let tags = images.into_iter().flat_map(|image| &image.tags);
    tags.filter(|tag| !tag.moves()).map(Reference::repository).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, tags: &[&str], labels: &[(&str, &str)]) -> Image {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Image {
            id: ImageId::new(id),
            tags: tags.iter().map(|tag| Reference::parse(tag).unwrap()).collect(),
            digests: Vec::new(),
            labels: labels.iter().map(pair).collect(),
            size: 0,
            created: 946_684_800,
        }
    }

    /// An image of a name of ours.
    fn ours(id: &str, name: &str, tags: &[&str], more: &[(&str, &str)]) -> Image {
        image(id, tags, &[&[("ds01.managed", "true"), ("ds01.image", name)], more].concat())
    }

    fn of(image_id: &str, image: &str, labels: &[(&str, &str)]) -> Container {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Container {
            id: "c".into(),
            name: "c".into(),
            image: image.into(),
            image_id: ImageId::new(image_id),
            labels: labels.iter().map(pair).collect(),
            state: "running".into(),
            status: String::new(),
            created: 0,
        }
    }

    /// Name and newer for a container of ours, made from this ID.
    fn told(images: &[Image], id: &str) -> (String, Option<bool>) {
        let (index, container) = (ImageIndex::new(images), of(id, id, &[("ds01.image", id)]));
        (index.name_of(&container), index.newer_than(&container))
    }

    const ANN: (&str, &str) = ("ds01.user_id", "1001");

    #[test]
    fn an_image_is_old_when_the_tag_of_its_name_has_moved() {
        let old = ours("sha256:1", "ann/thesis", &["ds01-1001/thesis:r-0000000000000001"], &[ANN]);
        let tags = ["ds01-1001/thesis:r-0000000000000002", "ds01-1001/thesis:latest"];
        let new = ours("sha256:2", "ann/thesis", &tags, &[ANN]);
        let images = [old, new];
        assert_eq!(told(&images, "sha256:1"), ("ds01-1001/thesis:r-0000000000000001".into(), Some(true)));
        assert_eq!(told(&images, "sha256:2"), ("ds01-1001/thesis:latest".into(), Some(false)));
    }

    #[test]
    fn an_old_image_without_a_tag_is_known_by_its_label() {
        let old = ours("sha256:1", "ann/thesis", &[], &[ANN]);
        let tags = ["ds01-1001/thesis:latest", "ds01-1001/thesis:r-0000000000000002"];
        let images = [old, ours("sha256:2", "ann/thesis", &tags, &[ANN])];
        assert_eq!(told(&images, "sha256:1"), ("ann/thesis".into(), Some(true)));
    }

    #[test]
    fn images_of_others_branches_and_names_make_none_old() {
        let content = "ds01/vision:r-0000000000000001";
        let mine = ours("sha256:1", "vision", &[content, "ds01/vision:t-main"], &[]);
        for (name, tags, more) in [
            ("vision", ["ds01/vision:r-0000000000000002", "ds01/vision:t-fix"], &[][..]),
            ("vision@py312", ["ds01/vision:r-0000000000000002", "ds01/vision:t-py312-main"], &[]),
            ("vision", ["ds01-1001/vision:r-0000000000000002", "ds01-1001/vision:latest"], &[ANN]),
            ("vision", ["ds01/vision:r-0000000000000002", "backup:latest"], &[]),
            ("vision", ["other/vision:r-0000000000000002", "other/vision:t-main"], &[]),
        ] {
            let images = [mine.clone(), ours("sha256:2", name, &tags, more)];
            let expected = ("ds01/vision:t-main".to_owned(), Some(false));
            assert_eq!(told(&images, "sha256:1"), expected, "{name} {tags:?}");
        }
    }

    #[test]
    fn an_account_put_on_a_shared_image_is_as_old_as_that() {
        let below = |id: &str, tags: &[&str]| ours(id, "vision", tags, &[]);
        let setup = |base: &str| {
            let base = [ANN, (BASE_NAME.name, "ds01/vision:t-main"), (BASE_DIGEST.name, base)];
            ours("sha256:3", "vision@setup", &["ds01-1001/vision:r-0000000000000003"], &base)
        };
        let old = below("sha256:1", &["ds01/vision:r-0000000000000001"]);
        let new = below("sha256:2", &["ds01/vision:r-0000000000000002", "ds01/vision:t-main"]);
        let name = "ds01/vision:r-0000000000000001".to_owned();
        let on_old = [old.clone(), new.clone(), setup("sha256:1")];
        assert_eq!(told(&on_old, "sha256:3"), (name, Some(true)));
        let name = "ds01/vision:t-main".to_owned();
        assert_eq!(told(&[old, new.clone(), setup("sha256:2")], "sha256:3"), (name.clone(), Some(false)));
        let container = of("sha256:3", "sha256:3", &[]);
        assert_eq!(ImageIndex::new(&on_old).deployed_as(&container), "vision");
        // What it was put on is gone.
        assert_eq!(told(&[new, setup("sha256:1")], "sha256:3"), (name, Some(true)));
    }

    #[test]
    fn an_account_put_on_an_image_of_nobody_is_as_old_as_its_tag() {
        let labels = [ANN, (BASE_NAME.name, "debian:12"), (BASE_DIGEST.name, "sha256:1")];
        let setup = ours("sha256:3", "debian@setup", &["ds01-1001/debian:r-0000000000000003"], &labels);
        for (now, newer) in [("sha256:1", Some(false)), ("sha256:2", Some(true))] {
            let images = [image(now, &["debian:12"], &[]), setup.clone()];
            assert_eq!(told(&images, "sha256:3"), ("debian:12".into(), newer));
            let container = of("sha256:3", "sha256:3", &[]);
            assert_eq!(ImageIndex::new(&images).deployed_as(&container), "debian:12");
        }
        assert_eq!(told(&[setup], "sha256:3"), ("debian:12".into(), None), "the tag is gone");
    }

    #[test]
    fn of_what_is_not_ours_the_tag_that_it_was_made_from_tells() {
        let images = [image("sha256:1", &["registry:2", "other:1"], &[]), image("sha256:2", &["new:1"], &[])];
        let index = ImageIndex::new(&images);
        let told = |container: &Container| (index.name_of(container), index.newer_than(container));
        assert_eq!(told(&of("sha256:1", "registry:2", &[])), ("registry:2".into(), Some(false)));
        let legacy = of("sha256:1", "sha256:1", &[("aime.mlc.DS01_IMAGE", "new:1")]);
        assert_eq!(told(&legacy), ("new:1".into(), Some(true)));
        // Engines tell the ID once the tag is another image's.
        assert_eq!(told(&of("sha256:1", "sha256:1", &[])), ("registry:2".into(), None));
        let id = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(told(&of(&id, &id, &[])), ("0123456789ab".into(), None));
    }

    #[test]
    fn an_image_that_the_list_leaves_out_is_old_where_its_project_has_one() {
        let tags = ["ds01-1001/thesis:latest", "ds01-1001/thesis:r-0000000000000002"];
        let images = [ours("sha256:2", "ann/thesis", &tags, &[ANN, ("ds01.project", "thesis")])];
        let index = ImageIndex::new(&images);
        let hidden = |labels: &[(&str, &str)]| index.newer_than(&of("sha256:1", "sha256:1", labels));
        assert_eq!(hidden(&[ANN, ("ds01.project", "thesis")]), Some(true));
        assert_eq!(hidden(&[ANN, ("ds01.project", "maps")]), None);
        assert_eq!(hidden(&[("ds01.user_id", "1002"), ("ds01.project", "thesis")]), None);
    }
}
