//! Bases: in the engine's store, in a registry, nowhere.

use super::*;

const ONE: &str = "  app: {base: slim}\n";

/// The first three lines of the spec, with another image behind `slim`.
fn on(base: &str) -> Stack {
    let stack = Stack::new(ONE);
    let spec = std::fs::read_to_string(stack.dir.path().join("spec.yml")).unwrap();
    stack.write("spec.yml", &spec.replace("debian:12", base));
    stack
}

#[tokio::test]
async fn a_base_in_the_store_is_built_on_by_its_tag() {
    let made = Stack::new(ONE).make().await;
    assert_eq!(made.args("app"), ["BASE_IMAGE=debian:12"]);
    let id = made.planned.snapshot.base(&reference("debian:12")).id.clone().unwrap();
    assert_eq!(made.solve("app").config.labels["org.opencontainers.image.base.digest"], id.as_str());
    assert_eq!(made.solve("app").config.labels["org.opencontainers.image.base.name"], "debian:12");
}

#[tokio::test]
async fn another_image_under_a_bases_tag_rebuilds_what_stands_on_it() {
    let stack = Stack::new(ONE);
    stack.build().await;
    stack.engine.add_pulled(&reference("debian:12"), &digest("a"));
    assert_eq!(stack.to_build().await, ["app"]);
    stack.build().await;
    assert!(stack.to_build().await.is_empty());
}

#[tokio::test]
async fn a_base_that_only_its_registry_has_is_built_on_by_its_digest() {
    let stack = on("reg.local:5000/x/debian:13");
    stack.engine.add_remote(&reference("reg.local:5000/x/debian:13"), &digest("a"));
    let made = stack.make().await;
    let given = format!("reg.local:5000/x/debian:13@{}", digest("a"));
    assert_eq!(made.args("app"), [format!("BASE_IMAGE={given}")]);
    assert_eq!(made.solve("app").config.labels["org.opencontainers.image.base.digest"], digest("a"));
    stack.build().await;
    assert!(stack.to_build().await.is_empty());
    stack.engine.add_remote(&reference("reg.local:5000/x/debian:13"), &digest("b"));
    assert_eq!(stack.to_build().await, ["app"], "the tag has moved");
}

#[tokio::test]
async fn pulling_a_base_changes_no_recipe() {
    let stack = on("debian:13");
    stack.engine.add_remote(&reference("debian:13"), &digest("a"));
    stack.build().await;
    stack.engine.add_pulled(&reference("debian:13"), &digest("a"));
    assert!(stack.to_build().await.is_empty());
}

#[tokio::test]
async fn a_tag_of_a_base_that_only_its_registry_has_is_sent_with_its_digest() {
    let stack = on("x/debian:13");
    stack.image("app", "ARG BASE_TAG=latest\nFROM x/debian:${BASE_TAG}\nCOPY data /\n");
    stack.engine.add_remote(&reference("x/debian:13"), &digest("a"));
    assert_eq!(stack.make().await.args("app"), [format!("BASE_TAG=13@{}", digest("a"))]);
    stack.build().await;
}

#[tokio::test]
async fn a_pinned_base_that_was_pulled_is_found_without_its_registry() {
    let pinned = format!("debian:13@{}", digest("a"));
    let stack = on(&pinned);
    stack.engine.add_pulled(&reference("debian:13"), &digest("a"));
    let made = stack.make().await;
    assert_eq!(made.args("app"), [format!("BASE_IMAGE={pinned}")]);
    assert_eq!(made.planned.snapshot.base(&reference(&pinned)).digest, Some(digest("a")));
    stack.build().await;
}

#[tokio::test]
async fn a_base_that_is_nowhere_is_told_at_its_line() {
    let problems = on("reg.local:5000/nobody:1").problems().await;
    assert_eq!(
        problems,
        "spec.yml:3 the image reg.local:5000/nobody:1 is neither on the engine nor in its registry\n"
    );
}

#[tokio::test]
async fn a_base_that_nothing_stands_on_is_not_looked_for() {
    let stack = Stack::new(ONE);
    let spec = std::fs::read_to_string(stack.dir.path().join("spec.yml")).unwrap();
    stack.write("spec.yml", &spec.replace("images:", "  unused: {image: \"nobody:1\"}\nimages:"));
    let made = stack.make().await;
    assert!(!made.planned.snapshot.bases.contains_key(&reference("nobody:1").canonical()));
}

#[tokio::test]
async fn an_image_that_only_the_dockerfile_names_is_told_at_its_line_there() {
    let stack = Stack::new(ONE);
    stack.image("app", &format!("{DOCKERFILE}COPY --from=nobody:1 /x /x\n"));
    let problems = stack.problems().await;
    assert!(problems.starts_with("images/app/Dockerfile:4 the image nobody:1 is neither"), "{problems}");
    stack.engine.add_remote(&reference("nobody:1"), &digest("a"));
    stack.build().await;
    stack.engine.add_remote(&reference("nobody:1"), &digest("b"));
    assert_eq!(stack.to_build().await, ["app"], "it decides what the image is");
}

#[tokio::test]
async fn an_engine_that_is_gone_is_no_problem_of_the_spec() {
    let stack = Stack::new(ONE);
    stack.engine.go_away();
    assert!(matches!(stack.try_make(None).await, Err(Error::Engine(_))));
}
