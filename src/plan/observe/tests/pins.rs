//! Pinned bases: what is built on, what is asked, what an update would move.

use super::*;
use crate::image::recipe::Ingredient;
use crate::plan::Reason;
use crate::plan::pins::{NewPins, PinnedPlan};
use crate::registry::RemoteImage;
use crate::spec::lock_file::Pin;

const BASE: &str = "reg.local/x/debian:12";

/// `app` on a base whose tag is pinned to `aaaa…`, or to nothing.
fn stack(pinned: bool) -> Stack {
    let mut stack = Stack::new("  app: {base: slim}\n");
    let spec = std::fs::read_to_string(stack.dir.path().join("spec.yml")).unwrap();
    stack.write("spec.yml", &spec.replace("debian:12", BASE));
    if pinned {
        stack.pin(BASE, "a");
    }
    stack
}

impl Stack {
    fn pin(&mut self, name: &str, digit: &str) {
        self.pins.lock.set(&reference(name), Pin::new(&digest(digit)).unwrap());
    }

    /// What its registry and the engine's way to it know under a tag.
    fn publish(&self, name: &str, digit: &str) {
        self.publish_index(name, digit, digit);
    }

    fn publish_index(&self, name: &str, index: &str, manifest: &str) {
        let image = RemoteImage {
            digest: digest(index),
            manifest: digest(manifest),
            labels: BTreeMap::new(),
            onbuild: Vec::new(),
            diff_ids: Vec::new(),
            size: 0,
        };
        self.registry.put(&reference(name), image);
    }

    /// The only external image, compared with its registry.
    async fn newest(&self, platform: Option<&str>) -> Newest {
        let base = reference(BASE);
        let engine = Some(self.engine.as_ref() as &dyn Engine);
        newest(&base, self.pins.of(&base), platform, &self.registry, engine).await
    }

    async fn text_of(&self, name: &str) -> String {
        let Start::Dockerfile(build) = self.make().await.solve(name).start else { panic!("a Dockerfile") };
        build.dockerfile.replace(&digest("a"), "DIGEST")
    }
}

/// A base that is not pinned yet, as all of it is planned; `app` is sent.
async fn pinning(stack: &Stack, branch: &str, push: bool) -> Result<(PlannedRun, Option<NewPins>), Error> {
    let (spec, graph) = stack.read();
    let branch = Some(branch.to_owned());
    let selection = Selection { nodes: graph.order().to_vec(), branch, push, ..Selection::default() };
    let hashes = HashCache::default();
    let context = stack.context(&spec, &graph, &hashes);
    let lock = stack.dir.path().join("spec.lock");
    PinnedPlan::make(&context, &selection).await?.write(&context, &selection, &lock, &lock).await
}

#[tokio::test]
async fn what_cannot_be_planned_pins_nothing() {
    let mut stack = stack(false);
    let lock = stack.dir.path().join("spec.lock");
    stack.publish(BASE, "a");
    assert!(matches!(pinning(&stack, "stable", false).await, Err(Error::Branch(_))));
    assert!(!lock.exists());
    let spec = std::fs::read_to_string(stack.dir.path().join("spec.yml")).unwrap();
    stack.write("spec.yml", &spec.replace("base: slim}", "base: slim, image_name: gone.local/app}"));
    stack.registry.lose("gone.local");
    assert!(matches!(pinning(&stack, "main", true).await, Err(Error::Registries(_))));
    assert!(!lock.exists());

    let (planned, new) = pinning(&stack, "main", false).await.unwrap();
    let NewPins { count: 1, saved: Ok(true) } = new.unwrap() else { panic!("one base is pinned") };
    let given = planned.snapshot.base(&reference(BASE)).given.clone();
    assert_eq!(given.digest(), Some(digest("a").as_str()), "the pin holds for this very run");
    stack.pins.lock = crate::spec::lock_file::load(&lock, &lock).unwrap();
    assert!(pinning(&stack, "main", false).await.unwrap().1.is_none());
}

#[tokio::test]
async fn the_plan_is_by_the_lock_as_it_was_written() {
    let mut stack = stack(false);
    let lock = stack.dir.path().join("spec.lock");
    stack.publish(BASE, "a");
    // The lock is among the files that the image reads.
    let spec = std::fs::read_to_string(stack.dir.path().join("spec.yml")).unwrap();
    stack.write("spec.yml", &spec.replace("base: slim}", "base: slim, context: .}"));
    stack.write("images/app/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY spec.loc[k] /here/\n");
    let recipe = |planned: &PlannedRun| planned.plan.images[0].recipe.digest().clone();
    let written = recipe(&pinning(&stack, "main", false).await.unwrap().0);
    stack.pins.lock = crate::spec::lock_file::load(&lock, &lock).unwrap();
    assert_eq!(recipe(&stack.make().await.planned), written);

    // Somebody else pinned another content after this run had read the lock.
    std::mem::take(&mut stack.pins.lock);
    let mut others = crate::spec::lock_file::Lock::default();
    others.set(&reference(BASE), Pin::new(&digest("b")).unwrap());
    crate::spec::lock_file::save(&lock, &others).unwrap();
    let (planned, _) = pinning(&stack, "main", false).await.unwrap();
    assert_eq!(planned.snapshot.base(&reference(BASE)).digest, Some(digest("b")));
}

#[tokio::test]
async fn a_pinned_base_is_built_on_by_its_digest_and_nobody_is_asked() {
    let stack = stack(true);
    stack.registry.lose("reg.local");
    let made = stack.make().await;
    assert_eq!(made.args("app"), [format!("BASE_IMAGE={BASE}@{}", digest("a"))]);
    assert_eq!(made.solve("app").config.labels["org.opencontainers.image.base.digest"], digest("a"));
    assert_eq!(stack.registry.heads(), 0);
}

#[tokio::test]
async fn a_pin_wins_over_the_engines_tag_that_has_moved() {
    let stack = stack(true);
    stack.engine.add_pulled(&reference(BASE), &digest("a"));
    stack.build().await;
    let before = stack.make().await;
    assert_eq!(before.planned.plan.builds().count(), 0);
    assert_eq!(before.planned.snapshot.base(&reference(BASE)).pinning, Pinning::Pinned { tag_is: None });
    // Pulled by somebody else; the old content is still there without a tag.
    stack.engine.add_pulled(&reference(BASE), &digest("b"));
    let made = stack.make().await;
    assert_eq!(made.planned.plan.builds().count(), 0);
    let seen = made.planned.snapshot.base(&reference(BASE));
    assert_eq!(seen.pinning, Pinning::Pinned { tag_is: Some(digest("b")) });
    assert_eq!(seen.given.to_string(), format!("{BASE}@{}", digest("a")));
    assert!(seen.id.is_some(), "it need not be pulled");
}

#[tokio::test]
async fn a_pin_is_what_the_look_without_it_had_found() {
    let mut stack = stack(false);
    stack.engine.add_pulled(&reference(BASE), &digest("a"));
    stack.build().await;
    assert_eq!(stack.make().await.planned.snapshot.base(&reference(BASE)).pinning, Pinning::NotYet);
    stack.pin(BASE, "a");
    assert!(stack.to_build().await.is_empty(), "writing the lock rebuilds nothing");
}

#[tokio::test]
async fn a_base_that_moves_in_its_registry_rebuilds_only_after_an_update() {
    let mut stack = stack(false);
    stack.publish(BASE, "a");
    stack.engine.add_remote(&reference("reg.local/x/debian:old"), &digest("a"));
    let made = stack.make().await;
    assert_eq!(made.planned.snapshot.base(&reference(BASE)).pinning, Pinning::NotYet);
    stack.pin(BASE, "a");
    stack.build().await;

    stack.publish(BASE, "b");
    stack.engine.add_remote(&reference(BASE), &digest("b"));
    assert!(stack.to_build().await.is_empty());
    let Newest::Pin(new) = stack.newest(None).await else { panic!("the pin is behind") };
    assert_eq!(new.digest(), digest("b"));

    stack.pins.lock.set(&reference(BASE), new);
    let made = stack.make().await;
    let [Reason::Changed(changed)] = made.planned.plan.images[0].reasons().unwrap() else {
        panic!("one reason")
    };
    assert_eq!(changed.ingredient, Ingredient::Base);
    assert_ne!(changed.old, changed.new);
    stack.build().await;
    assert!(stack.to_build().await.is_empty());
    assert_eq!(stack.newest(None).await, Newest::Same);
}

#[tokio::test]
async fn without_a_pin_our_own_client_is_asked_before_the_engine() {
    let stack = stack(false);
    stack.publish(BASE, "a");
    stack.engine.add_remote(&reference(BASE), &digest("b"));
    assert_eq!(stack.make().await.planned.snapshot.base(&reference(BASE)).digest, Some(digest("a")));
    // Where we cannot go, the engine may have another way.
    stack.registry.deny("reg.local");
    assert_eq!(stack.make().await.planned.snapshot.base(&reference(BASE)).digest, Some(digest("b")));
}

#[tokio::test]
async fn a_registry_that_refuses_is_told_with_what_helps() {
    let stack = stack(false);
    stack.registry.deny("reg.local");
    let gone = stack.problems().await;
    assert!(gone.starts_with("spec.yml:3 the image reg.local/x/debian:12 is neither"), "{gone}");
    assert_eq!(stack.newest(None).await, Newest::Gone, "the engine could ask, and there is none");
    let unasked = newest(&reference(BASE), None, None, &stack.registry, None).await;
    let Newest::RegistryUnavailable(RegistryUnavailable(why)) = unasked else { panic!("{unasked:?}") };
    assert!(why.contains("refuses") && why.contains("docker login reg.local"), "{why}");
}

#[tokio::test]
async fn an_unreachable_or_emptied_registry_takes_no_pin_away() {
    let stack = stack(true);
    let alone =
        async || newest(&reference(BASE), stack.pins.of(&reference(BASE)), None, &stack.registry, None).await;
    assert_eq!(alone().await, Newest::Gone);
    stack.registry.lose("reg.local");
    assert!(matches!(alone().await, Newest::RegistryUnavailable(_)));
    assert!(matches!(
        stack.make().await.planned.snapshot.base(&reference(BASE)).pinning,
        Pinning::Pinned { .. }
    ));
}

#[tokio::test]
async fn an_index_is_pinned_with_the_manifest_of_the_platform() {
    let mut stack = stack(false);
    stack.publish_index(BASE, "a", "1");
    let Newest::Pin(pin) = stack.newest(Some("linux/amd64")).await else { panic!("no pin yet") };
    assert_eq!((pin.digest(), &pin.platforms()["linux/amd64"]), (digest("a").as_str(), &digest("1")));
    stack.pins.lock.set(&reference(BASE), pin);
    assert_eq!(stack.newest(Some("linux/amd64")).await, Newest::Same);
    // The recipe counts the index, what is pulled is our platform's.
    let seen = stack.make().await.planned.snapshot.base(&reference(BASE)).clone();
    assert_eq!((seen.digest, seen.given.digest()), (Some(digest("a")), Some(digest("1").as_str())));

    stack.publish_index(BASE, "b", "1");
    assert_eq!(stack.newest(Some("linux/amd64")).await, Newest::Same, "only another platform's has changed");
    stack.publish_index(BASE, "c", "2");
    let Newest::Pin(pin) = stack.newest(None).await else { panic!("the pin is behind") };
    assert_eq!(pin.platforms()["linux/amd64"], digest("2"));
}

#[tokio::test]
async fn an_index_is_found_on_the_engine_by_its_own_digest_or_its_manifests() {
    let mut stack = stack(false);
    let pin = Pin::new(&digest("a")).unwrap().with_platform("linux/amd64", &digest("1"));
    stack.pins.lock.set(&reference(BASE), pin);
    stack.engine.add_pulled(&reference(BASE), &digest("1"));
    let by_manifest = stack.make().await.planned.snapshot.base(&reference(BASE)).clone();
    assert_eq!((by_manifest.given.digest(), by_manifest.id.is_some()), (Some(digest("1").as_str()), true));
    stack.engine.add_pulled(&reference(BASE), &digest("a"));
    let by_index = stack.make().await.planned.snapshot.base(&reference(BASE)).clone();
    assert_eq!((by_index.given.digest(), by_index.digest), (Some(digest("a").as_str()), Some(digest("a"))));
}

#[tokio::test]
async fn an_own_image_of_the_engine_under_a_pinned_tag_is_never_taken_for_the_pinned_one() {
    let mut stack = stack(true);
    stack.engine.add_image(&reference(BASE), &BTreeMap::new());
    let problems = stack.problems().await;
    assert!(
        problems.starts_with(
            "spec.yml:3 spec.lock pins reg.local/x/debian:12 to sha256:aaaaaaaaaaaa, which cannot be had"
        ),
        "{problems}"
    );
    stack.publish("reg.local/x/debian:other", "a");
    let given = stack.make().await.planned.snapshot.base(&reference(BASE)).given.clone();
    assert_eq!(given.digest(), Some(digest("a").as_str()), "its registry can give it");

    stack.registry.remove(&reference("reg.local/x/debian").repository().with_digest(&digest("a")));
    stack.pins.stand_ins.insert(reference(BASE).canonical());
    let seen = stack.make().await.planned.snapshot.base(&reference(BASE)).clone();
    assert_eq!((seen.digest, seen.pinning), (None, Pinning::Never), "--base asks for the engine's own");
}

#[tokio::test]
async fn locked_refuses_every_base_that_has_no_pin_at_its_line_and_asks_nobody() {
    let mut stack = stack(false);
    stack.image("app", &format!("{DOCKERFILE}COPY --from=reg.local/tool:1 /x /x\n"));
    stack.pins.locked = true;
    let problems = stack.problems().await;
    assert!(problems.contains("spec.yml:3 reg.local/x/debian:12 is not pinned"), "{problems}");
    assert!(problems.contains("images/app/Dockerfile:4 reg.local/tool:1 is not pinned"), "{problems}");
    assert_eq!(stack.registry.heads(), 0);
    stack.pin(BASE, "a");
    stack.pin("reg.local/tool:1", "b");
    stack.make().await;
    // What only this engine has cannot be pinned.
    let mut local = Stack::new("  app: {base: slim}\n");
    local.pins.locked = true;
    local.make().await;
}

#[tokio::test]
async fn what_a_dockerfile_names_itself_is_sent_with_its_digest_and_hashed_as_it_is_written() {
    let mut stack = Stack::new("  app: {base: slim}\n");
    let text = "ARG FAMILY=debian\nFROM tool:1 AS tools\nFROM ${FAMILY}:12\nCOPY --from=tools /a /a\n\
                COPY --from=tool:1 /b /b\nCOPY data /\n";
    stack.image("app", text);
    stack.engine.add_pulled(&reference("tool:1"), &digest("a"));
    assert_eq!(stack.text_of("app").await, text, "what the engine has and nothing pins, by its tag");
    stack.build().await;
    stack.pin("tool:1", "a");
    assert!(stack.to_build().await.is_empty(), "the recipe counts the file");
    stack.write("images/app/data", "new");
    let expected = text.replace("tool:1", "tool:1@DIGEST");
    assert_eq!(stack.text_of("app").await, expected);
    stack.engine.add_pulled(&reference("debian:12"), &digest("b"));
    stack.pin("debian:12", "b");
    let expected = expected.replace("${FAMILY}:12", &format!("debian:12@{}", digest("b")));
    assert_eq!(stack.text_of("app").await, expected);
    stack.build().await;
}

#[tokio::test]
async fn all_that_stands_on_a_base_or_copies_from_it_is_reached_by_its_move() {
    let stack = Stack::new("  top: {base: slim}\n  child: {depend_on: top}\n  other: {base: slim}\n");
    stack.image("other", &format!("{DOCKERFILE}COPY --from=tool:1 /b /b\n"));
    let (spec, graph) = stack.read();
    let uses = external(&spec, &graph, None, &HashCache::default()).unwrap();
    let reached = |name: &str| -> Vec<String> {
        let nodes = uses[&reference(name).canonical()].affects(&graph);
        nodes.into_iter().map(|node| graph.node(node).name.to_string()).collect()
    };
    assert_eq!(reached("debian:12"), ["top", "child", "other"]);
    assert_eq!(reached("tool:1"), ["other"]);
}

#[tokio::test]
async fn where_every_image_has_a_digest_that_is_its_id_it_may_be_from_nowhere() {
    let stack = stack(false);
    let (spec, graph) = stack.read();
    let hashes = HashCache::default();
    let uses = external(&spec, &graph, None, &hashes).unwrap();
    let image = |id: &str| engine::Image {
        id: crate::model::names::ImageId::new(digest(id)),
        tags: vec![reference(BASE)],
        digests: vec![reference(BASE).repository().with_digest(&digest("a"))],
        labels: BTreeMap::new(),
        size: 1,
        created: 0,
    };
    for (id, pinning) in [("a", Pinning::Perhaps), ("b", Pinning::NotYet)] {
        let (images, context) = ([image(id)], stack.context(&spec, &graph, &hashes));
        let bases = super::super::bases::find(&uses, &ImageIndex::new(&images), "linux/amd64", &context)
            .await
            .unwrap();
        assert_eq!(bases[&reference(BASE).canonical()].pinning, pinning);
    }
}
