//! The cases that a stack of before was judged by, on three trees. Those that
//! are not here: the args of plans and `skip_plans` are in `spec/tests/datahub`,
//! the exit code of a failed build in `tests/daemon/build.rs`.

use super::*;
use crate::model::event::Outcome;

const CHAIN: &str = "  base: {base: slim}\n  branch: {depend_on: base}\n  leaf: {depend_on: branch}\n";
const TREE: &str = "  base: {base: slim}
  a: {depend_on: base}
  a1: {depend_on: a}
  b: {depend_on: base}
  b1: {depend_on: b}
  b2: {depend_on: b}
";
const FAN: &str = "  root: {base: slim}
  one: {depend_on: root}
  two: {depend_on: root}
  three: {depend_on: root}
  four: {depend_on: root}
";

/// What is built after an edit of one image of a tree that was built.
async fn after_an_edit_of(tree: &str, image: &str) -> Vec<String> {
    let stack = Stack::new(tree);
    stack.build().await;
    stack.write(&format!("images/{image}/data"), "edited");
    stack.to_build().await
}

#[tokio::test]
async fn a_change_of_the_root_builds_all_five() {
    assert_eq!(after_an_edit_of(FAN, "root").await, ["root", "one", "two", "three", "four"]);
}

#[tokio::test]
async fn a_change_of_one_child_builds_it_alone() {
    assert_eq!(after_an_edit_of(FAN, "three").await, ["three"]);
    assert_eq!(after_an_edit_of(CHAIN, "leaf").await, ["leaf"]);
}

#[tokio::test]
async fn a_change_in_the_middle_builds_what_stands_on_it_and_no_sibling() {
    assert_eq!(after_an_edit_of(TREE, "a").await, ["a", "a1"]);
    assert_eq!(after_an_edit_of(CHAIN, "branch").await, ["branch", "leaf"]);
}

#[tokio::test]
async fn with_nothing_changed_and_everything_present_nothing_is_built_and_no_tag_moves() {
    let stack = Stack::new(TREE);
    stack.build().await;
    let solved = stack.engine.solves().len();
    assert!(stack.make().await.planned.plan.is_noop());
    stack.build().await;
    assert_eq!(stack.engine.solves().len(), solved);
}

#[tokio::test]
async fn with_nothing_changed_and_nothing_present_everything_is_built_parents_first() {
    let stack = Stack::new(TREE);
    stack.build().await;
    let empty = Stack { engine: Stack::empty("spec.yml").engine, ..stack };
    let made = empty.make().await;
    assert_eq!(made.planned.plan.builds().count(), 6);
    empty.build().await;
    let order: Vec<_> = empty.engine.solves().iter().map(ToString::to_string).collect();
    for (parent, child) in [("base", "a"), ("a", "a1"), ("base", "b"), ("b", "b1"), ("b", "b2")] {
        let at = |name: &str| order.iter().position(|other| other == name).unwrap();
        assert!(at(parent) < at(child), "{order:?}");
    }
}

#[tokio::test]
async fn where_b_fails_b1_and_b2_are_blocked_by_b_and_a_and_a1_are_built() {
    let stack = Stack::new(TREE);
    stack.image("b", &format!("{DOCKERFILE}RUN exit 3\n"));
    let (plan, outcomes) = stack.try_build().await;
    let named = |name: &str| {
        let at = plan.images.iter().position(|image| image.name.as_str() == name).unwrap();
        outcomes.of(at).unwrap()
    };
    assert!(matches!(named("b"), Outcome::Failed { .. }));
    for name in ["b1", "b2"] {
        assert!(matches!(named(name), Outcome::Blocked { by } if by.as_str() == "b"), "{:?}", named(name));
    }
    for name in ["base", "a", "a1"] {
        assert!(matches!(named(name), Outcome::Built { .. }), "{:?}", named(name));
    }
    let (_, unmoved) = outcomes.complete(&plan);
    assert_eq!(unmoved.len(), 1, "no branch tag may move");
}

#[tokio::test]
async fn two_commits_at_once_are_one_change() {
    let stack = Stack::new(TREE);
    stack.build().await;
    stack.write("images/a1/data", "the first commit");
    stack.write("images/b2/data", "the second");
    assert_eq!(stack.to_build().await, ["a1", "b2"]);
}

#[tokio::test]
async fn what_failed_is_tried_again_on_the_next_run() {
    let stack = Stack::new(TREE);
    stack.image("b", &format!("{DOCKERFILE}RUN exit 3\n"));
    stack.try_build().await;
    assert_eq!(stack.to_build().await, ["b", "b1", "b2"]);
}

#[tokio::test]
async fn a_rename_from_one_image_to_another_builds_both() {
    let stack = Stack::new(TREE);
    for name in ["a1", "b1"] {
        stack.image(name, "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /here\n");
    }
    stack.build().await;
    std::fs::rename(stack.path("images/a1/data"), stack.path("images/b1/moved")).unwrap();
    assert_eq!(stack.to_build().await, ["a1", "b1"]);
}
