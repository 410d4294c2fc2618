//! The decision table: what is built, and why.

mod remote;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::engine::{Image, ImageIndex};
use crate::image::recipe::{BaseIdentity, DockerfilePart, Ingredient, Parts, Recipe};
use crate::model::labels;
use crate::plan::candidate::Candidate;
use crate::plan::decide::decide;
use crate::plan::history::Histories;
use crate::plan::registries::RegistryTags;

/// A recipe that differs by `content` and by its parent.
fn recipe(content: &str, parent: Option<&Recipe>) -> Recipe {
    let base = match parent {
        Some(parent) => BaseIdentity::ParentRecipe(parent.digest().clone()),
        None => BaseIdentity::ManifestDigest("sha256:0".into()),
    };
    Recipe::new(&Parts {
        dockerfile: Some(DockerfilePart { bytes: content.as_bytes(), target: None, syntax: None }),
        context: None,
        args: &BTreeMap::new(),
        declared_args: &BTreeSet::new(),
        bases: &BTreeMap::from([("BASE_IMAGE".to_owned(), base)]),
        packages: None,
        user: None,
        labels: &BTreeMap::new(),
        platform: "linux/amd64",
        secrets: &BTreeSet::new(),
        refresh: Default::default(),
    })
}

/// Decides, with what registries have of the cache tags.
fn plan(candidates: Vec<Candidate>, store: &[Image], tags: &RegistryTags) -> Plan {
    let mut plan = decide(candidates, &ImageIndex::new(store), tags, &Histories::new());
    plan.keep_caches(tags);
    plan
}

fn repository(name: &str) -> Repository {
    Repository::parse(&format!("ds01/{name}")).unwrap()
}

fn candidate(name: &str, recipe: &Recipe, parents: &[usize]) -> Candidate {
    Candidate {
        name: NodeName::new(name),
        repository: repository(name),
        recipe: recipe.clone(),
        parents: parents.to_vec(),
        forced: false,
        is_project: false,
        moving: Some(repository(name).with_tag("2026.4-main")),
        caches: Vec::new(),
    }
}

/// An image as a finished run leaves it.
fn image(name: &str, recipe: &Recipe) -> Image {
    let digest = recipe.digest().to_string();
    let content = repository(name).with_tag(&crate::model::tags::content_tag(&digest));
    Image {
        id: ImageId::new(format!("sha256:{digest}")),
        tags: vec![content, repository(name).with_tag("2026.4-main")],
        digests: vec![],
        labels: BTreeMap::from([
            (labels::RECIPE.name.to_owned(), digest),
            (labels::INGREDIENTS.name.to_owned(), recipe.ingredients_label()),
        ]),
        size: 1,
        created: 0,
    }
}

/// base → {a → a1, b}, with recipes from `contents`.
struct Tree([Recipe; 4]);

impl Tree {
    fn new(contents: [&str; 4]) -> Self {
        let base = recipe(contents[0], None);
        let a = recipe(contents[1], Some(&base));
        let a1 = recipe(contents[2], Some(&a));
        let b = recipe(contents[3], Some(&base));
        Self([base, a, a1, b])
    }

    fn candidates(&self) -> Vec<Candidate> {
        let [base, a, a1, b] = &self.0;
        vec![
            candidate("base", base, &[]),
            candidate("a", a, &[0]),
            candidate("a1", a1, &[1]),
            candidate("b", b, &[0]),
        ]
    }

    fn store(&self) -> Vec<Image> {
        ["base", "a", "a1", "b"].iter().zip(&self.0).map(|(name, recipe)| image(name, recipe)).collect()
    }
}

#[test]
fn with_everything_present_nothing_is_done() {
    let tree = Tree::new(["1", "1", "1", "1"]);
    let plan = plan(tree.candidates(), &tree.store(), &RegistryTags::default());
    assert!(plan.is_noop());
    insta::assert_snapshot!(plan, @r"
    keep   base  up to date
    keep   a     up to date
    keep   a1    up to date
    keep   b     up to date
    ");
}

#[test]
fn with_an_empty_store_everything_is_built_parents_first() {
    let tree = Tree::new(["1", "1", "1", "1"]);
    let plan = plan(tree.candidates(), &[], &RegistryTags::default());
    assert_eq!(plan.builds().count(), 4);
    insta::assert_snapshot!(plan);
}

#[test]
fn a_changed_image_rebuilds_itself_and_what_stands_on_it() {
    let old = Tree::new(["1", "1", "1", "1"]);
    let new = Tree::new(["1", "2", "1", "1"]);
    let plan = plan(new.candidates(), &old.store(), &RegistryTags::default());
    insta::assert_snapshot!(plan);
}

#[test]
fn a_missing_parent_is_rebuilt_and_so_are_its_children() {
    let tree = Tree::new(["1", "1", "1", "1"]);
    let mut store = tree.store();
    // Somebody removed the content tag of `a`; its branch tag still stands.
    store[1].tags.remove(0);
    let plan = plan(tree.candidates(), &store, &RegistryTags::default());
    insta::assert_snapshot!(plan, @r"
    keep   base  up to date
    build  a     was built, and is gone from the engine
    build  a1    a is rebuilt
    keep   b     up to date
    tag    a     ds01/a:2026.4-main
    tag    a1    ds01/a1:2026.4-main
    ");
}

#[test]
fn a_saved_container_is_not_what_was_built_whatever_tag_is_put_on_it() {
    let tree = Tree::new(["1", "1", "1", "1"]);
    let mut store = tree.store();
    let below = &store[2].labels;
    let saved = labels::SavedLabels {
        name: "a1",
        container: "a1._.1001",
        project: None,
        below,
        base_name: "ds01/a1:2026.4-main",
        base_digest: "sha256:1",
    };
    store[2].labels = saved.to_map();
    let plan = plan(tree.candidates(), &store, &RegistryTags::default());
    let builds: Vec<&str> = plan.builds().map(|at| plan.images[at].name.as_str()).collect();
    assert_eq!(builds, ["a1"]);
}

#[test]
fn a_content_tag_on_an_image_of_another_recipe_does_not_count() {
    let tree = Tree::new(["1", "1", "1", "1"]);
    let mut store = tree.store();
    store[3].labels.insert(labels::RECIPE.name.to_owned(), "f".repeat(64));
    assert!(plan(tree.candidates(), &store, &RegistryTags::default()).images[3].reasons().is_some());
}

#[test]
fn forcing_one_image_rebuilds_what_stands_on_it() {
    let tree = Tree::new(["1", "1", "1", "1"]);
    let mut candidates = tree.candidates();
    candidates[1].forced = true;
    let plan = plan(candidates, &tree.store(), &RegistryTags::default());
    let reasons: Vec<_> = plan.images.iter().map(|i| i.reasons().map(<[_]>::to_vec)).collect();
    let rebuilt = Reason::ParentRebuilt { parent: NodeName::new("a") };
    assert_eq!(reasons, [None, Some(vec![Reason::Forced]), Some(vec![rebuilt]), None]);
}

#[test]
fn on_another_branch_nothing_is_built_and_the_tags_are_put() {
    let tree = Tree::new(["1", "1", "1", "1"]);
    let mut candidates = tree.candidates();
    candidates[0].moving = Some(repository("base").with_tag("2026.4-feature"));
    let plan = plan(candidates, &tree.store(), &RegistryTags::default());
    assert_eq!(plan.builds().count(), 0);
    assert_eq!(plan.tags, [TagMove { image: 0, tag: repository("base").with_tag("2026.4-feature") }]);
}

#[test]
fn a_parent_built_alone_before_shows_in_the_child_as_a_changed_base() {
    let old = Tree::new(["1", "1", "1", "1"]);
    let new = Tree::new(["1", "2", "1", "1"]);
    let mut store = old.store();
    store[1] = image("a", &new.0[1]);
    let plan = plan(new.candidates(), &store, &RegistryTags::default());
    let Some([Reason::Changed(changed)]) = plan.images[2].reasons() else { panic!("{:?}", plan.images[2]) };
    assert_eq!(changed.ingredient, Ingredient::Base);
}

#[test]
fn the_plan_as_json_names_action_reasons_and_tags() {
    let old = Tree::new(["1", "1", "1", "1"]);
    let new = Tree::new(["1", "1", "1", "2"]);
    let json = plan(new.candidates(), &old.store(), &RegistryTags::default()).to_json();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap());
}
