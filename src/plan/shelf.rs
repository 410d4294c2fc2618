//! The engine's images, by what a plan asks of them.

use std::collections::HashMap;

use super::decide::Candidate;
use crate::engine::Image;
use crate::image::recipe::{Ingredient, Recipe};
use crate::model::labels;
use crate::model::reference::{Reference, Repository};

/// The engine's images, by what is asked of them.
pub(super) struct Shelf<'a> {
    by_tag: HashMap<String, &'a Image>,
    by_repository: HashMap<String, Vec<&'a Image>>,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(store: &'a [Image]) -> Self {
        let mut shelf = Self { by_tag: HashMap::new(), by_repository: HashMap::new() };
        for image in store {
            for tag in &image.tags {
                shelf.by_tag.insert(tag.to_string(), image);
                let repository = tag.repository().as_str().to_owned();
                let shelved = shelf.by_repository.entry(repository).or_default();
                if !shelved.iter().any(|known| known.id == image.id) {
                    shelved.push(image);
                }
            }
        }
        shelf
    }

    /// Whether the engine has an image of this name, of whatever tag.
    pub(super) fn has_any_of(&self, repository: &Repository) -> bool {
        self.by_repository.contains_key(repository.as_str())
    }

    pub(super) fn by_tag(&self, tag: &Reference) -> Option<&'a Image> {
        self.by_tag.get(&tag.to_string()).copied()
    }

    /// A content tag counts only on an image that says it is of this recipe.
    pub(super) fn usable(&self, content: &Reference, recipe: &Recipe) -> Option<&'a Image> {
        let digest = recipe.digest().to_string();
        self.by_tag(content).filter(|i| i.labels.get(labels::RECIPE.name) == Some(&digest))
    }

    /// What was last built under this name: the image with the moving tag,
    /// else the newest of ours in the repository, where plan variants lie too.
    pub(super) fn last_of(&self, question: &Candidate) -> Option<&'a Image> {
        let ours = |image: &&Image| image.labels.contains_key(labels::RECIPE.name);
        let name = question.recipe.fields(Ingredient::Labels).get(labels::IMAGE.name);
        let same = |image: &&Image| name.is_none() || image.labels.get(labels::IMAGE.name) == name;
        question.moving.as_ref().and_then(|tag| self.by_tag(tag)).filter(ours).or_else(|| {
            let all = self.of(&question.repository).filter(ours);
            all.filter(same).max_by_key(|image| (image.created, &image.id))
        })
    }

    /// Whether an image of this very recipe is there, under whatever tag.
    pub(super) fn has(&self, repository: &Repository, recipe: &str) -> bool {
        let of_recipe = |image: &Image| image.labels.get(labels::RECIPE.name).is_some_and(|r| r == recipe);
        self.of(repository).any(of_recipe)
    }

    fn of(&self, repository: &Repository) -> impl Iterator<Item = &'a Image> {
        self.by_repository.get(repository.as_str()).into_iter().flatten().copied()
    }
}
