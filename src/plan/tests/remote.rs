//! Images that live in a registry: on the engine, there alone, or nowhere.

use super::*;
use crate::plan::registries::content_tags;

/// top → leaf in a registry, and a person's image on the leaf, which is not.
const NAMES: [&str; 3] = ["top", "leaf", "thesis"];

struct World {
    recipes: Vec<Recipe>,
    candidates: Vec<Candidate>,
    store: Vec<Image>,
    remote: RegistryTags,
}

fn repository_of(name: &str) -> Repository {
    match name {
        "thesis" => Repository::parse("ds01-1001/thesis").unwrap(),
        name => Repository::parse(&format!("reg.local/ds01/{name}")).unwrap(),
    }
}

impl World {
    fn new() -> Self {
        let mut recipes: Vec<Recipe> = Vec::new();
        let mut candidates = Vec::new();
        for (at, name) in NAMES.iter().enumerate() {
            let recipe = recipe("1", recipes.last());
            let repository = repository_of(name);
            let shared = repository.host().is_some();
            candidates.push(Candidate {
                name: NodeName::new(*name),
                recipe: recipe.clone(),
                parents: at.checked_sub(1).into_iter().collect(),
                forced: false,
                is_project: !shared,
                moving: Some(repository.with_tag(if shared { "t-main" } else { "latest" })),
                caches: if shared {
                    ["t-main", "t-stable", "stable"].map(|tag| repository.with_tag(tag)).to_vec()
                } else {
                    Vec::new()
                },
                repository,
            });
            recipes.push(recipe);
        }
        Self { recipes, candidates, store: Vec::new(), remote: RegistryTags::default() }
    }

    /// On the engine, with its moving tag.
    fn here(mut self, name: &str) -> Self {
        let at = NAMES.iter().position(|n| *n == name).unwrap();
        let candidate = &self.candidates[at];
        let mut image = image(name, &self.recipes[at]);
        image.tags = vec![candidate.content(), candidate.moving.clone().unwrap()];
        self.store.push(image);
        self
    }

    /// In the registry, with its branch tag.
    fn there(mut self, name: &str) -> Self {
        let at = NAMES.iter().position(|n| *n == name).unwrap();
        for reference in [self.candidates[at].content(), repository_of(name).with_tag("t-main")] {
            self.remote.found.insert(reference.to_string(), format!("sha256:{name}"));
        }
        self
    }

    fn tagged(mut self, reference: &str, digest: &str) -> Self {
        self.remote.found.insert(reference.to_owned(), digest.to_owned());
        self
    }

    fn forced(mut self, name: &str) -> Self {
        self.candidates[NAMES.iter().position(|n| *n == name).unwrap()].forced = true;
        self
    }

    fn push(mut self) -> Self {
        self.remote.push = true;
        self
    }

    fn contents(&self, push: bool) -> Vec<Reference> {
        content_tags(&self.candidates, &ImageIndex::new(&self.store), push)
    }

    /// Tags that may hold steps of what is built.
    fn caches(&self) -> Vec<Reference> {
        let images = ImageIndex::new(&self.store);
        decide(self.candidates.clone(), &images, &self.remote, &Histories::new()).cache_tags()
    }

    fn plan(&self) -> Plan {
        plan(self.candidates.clone(), &self.store, &self.remote)
    }
}

/// Every place of the shared images, with the person's image here and not.
#[test]
fn what_is_done_follows_from_where_images_are_and_who_needs_them() {
    let place = |world: World, name: &str, place: &str| match place {
        "here" => world.here(name),
        "there" => world.there(name),
        _ => world,
    };
    let mut table = String::new();
    for push in [false, true] {
        for thesis in ["here", "nowhere"] {
            for top in ["here", "there", "nowhere"] {
                for leaf in ["here", "there", "nowhere"] {
                    let mut world = World::new();
                    for (name, at) in [("top", top), ("leaf", leaf), ("thesis", thesis)] {
                        world = place(world, name, at);
                    }
                    world.remote.push = push;
                    let plan = world.plan();
                    let words = plan.to_string();
                    let lines: Vec<_> = words.lines().collect();
                    let push = if push { ", push" } else { "" };
                    table += &format!("top {top}, leaf {leaf}, thesis {thesis}{push}\n");
                    table += &lines.iter().map(|line| format!("    {line}\n")).collect::<String>();
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn with_everything_in_the_registry_nothing_is_done_and_no_tag_moves() {
    let mut world = World::new().there("top").there("leaf").push();
    world.candidates.pop();
    let plan = world.plan();
    assert!(plan.is_noop(), "{plan}");
}

#[test]
fn with_everything_here_nobody_is_asked_unless_it_is_to_be_sent() {
    let world = World::new().here("top").here("leaf").here("thesis");
    assert_eq!(world.contents(false), []);
    let asked = world.contents(true);
    let repositories: Vec<_> = asked.iter().map(|r| r.repository().to_string()).collect();
    let (top, leaf) = ("reg.local/ds01/top", "reg.local/ds01/leaf");
    assert_eq!(repositories, [top, top, leaf, leaf], "content and branch tags, and no person's image");
    assert_eq!(world.caches(), []);
}

#[test]
fn a_cache_is_looked_for_only_where_this_engine_has_never_seen_the_image() {
    let world = World::new().there("top");
    let asked = world.caches();
    let leaf = repository_of("leaf");
    assert_eq!(asked, ["t-main", "t-stable", "stable"].map(|tag| leaf.with_tag(tag)));

    // An older build of the leaf is here: its steps are in the engine's cache.
    let mut world = World::new().there("top").here("leaf");
    world.candidates[1].recipe = recipe("2", Some(&world.recipes[0]));
    assert_eq!(world.caches(), []);
    assert_eq!(world.plan().images[1].cache_from, []);
}

#[test]
fn the_same_cache_under_two_tags_is_imported_once() {
    let leaf = "reg.local/ds01/leaf";
    let world = World::new()
        .there("top")
        .tagged(&format!("{leaf}:t-main"), "sha256:1")
        .tagged(&format!("{leaf}:t-stable"), "sha256:1")
        .tagged(&format!("{leaf}:stable"), "sha256:2");
    let caches = &world.plan().images[1].cache_from;
    assert_eq!(caches, &["t-main", "stable"].map(|tag| repository_of("leaf").with_tag(tag)));
}

#[test]
fn what_the_registry_has_under_a_content_tag_is_never_replaced() {
    let refused = |world: World| -> String {
        let problems = world.push().plan().replaced();
        problems.iter().map(|p| format!("{}\n    {}\n", p.message, p.help.as_ref().unwrap())).collect()
    };
    let forced = refused(World::new().there("top").there("leaf").forced("leaf"));
    let parent = refused(World::new().there("leaf"));
    insta::assert_snapshot!(forced + &parent);
    assert_eq!(refused(World::new().there("top").here("leaf")), "");
}

#[test]
fn of_two_images_of_one_recipe_the_registry_s_is_pulled() {
    let world = World::new().here("top").there("top").here("leaf").push();
    insta::assert_snapshot!(world.plan());
    // One that was sent or pulled is known by its digest.
    let mut same = World::new().here("top").there("top").push();
    same.store[0].digests = vec![repository_of("top").with_digest("sha256:top")];
    assert!(matches!(same.plan().images[0].action, Action::Keep(Location::Engine(_))));
}

#[test]
fn a_branch_tag_on_another_image_moves_without_a_push() {
    let world = World::new().there("top").there("leaf").here("thesis").push();
    let world = world.tagged("reg.local/ds01/leaf:t-main", "sha256:old");
    let plan = world.plan();
    assert_eq!(plan.work().count(), 0);
    let moved: Vec<_> = plan.registry_tags.iter().map(|step| step.tag.to_string()).collect();
    assert_eq!(moved, ["reg.local/ds01/leaf:t-main"]);
    assert!(plan.tags.is_empty(), "nothing of it is here");
}
