//! What went wrong in the stack that the graph of images descends from. Each
//! has a test; those that stood elsewhere already:
//!
//! - only the last commit counts, a rename shows one side, a shallow clone
//!   crashes: `cases`, `since/tests`
//! - a README, a test or a comment rebuilds: `files`, `datahub`
//! - a moved external base is never noticed: `bases`, `datahub`
//! - an unknown parent, a cycle, two images of one name, `prefix: 2021.10`,
//!   unknown keys: `spec/tests/rules`
//! - a rebuild forced by a missing tag does not reach the children: `plan/tests`
//! - the first failure stops siblings, and what is based on it is built all the
//!   same: `cases`, `build/tests/failing`
//! - an error inside a stream is taken for success: `engine/docker`

use super::*;

const CHAIN: &str = "  base: {base: slim}\n  branch: {depend_on: base}\n  leaf: {depend_on: branch}\n";

#[tokio::test]
async fn a_change_that_failed_is_not_forgotten_when_something_else_changes() {
    let stack = Stack::new(CHAIN);
    stack.append("spec.yml", "  other: {base: slim}\n");
    stack.image("other", DOCKERFILE);
    stack.build().await;
    stack.image("branch", &format!("{DOCKERFILE}RUN exit 3\n"));
    stack.try_build().await;
    stack.write("images/other/data", "the next commit");
    assert_eq!(stack.to_build().await, ["branch", "leaf", "other"]);
}

#[tokio::test]
async fn a_path_that_is_not_ascii_is_not_missed() {
    let stack = Stack::new(CHAIN);
    stack.image("leaf", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY . /here\n");
    stack.write("images/leaf/été/日本 \"1\".txt", "1");
    stack.build().await;
    stack.write("images/leaf/été/日本 \"1\".txt", "2");
    assert_eq!(stack.to_build().await, ["leaf"]);
}

#[tokio::test]
async fn an_edit_of_one_image_in_the_spec_builds_that_image_and_what_stands_on_it() {
    let stack = Stack::new(CHAIN);
    stack.image("branch", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG COLOUR\n");
    stack.build().await;
    let spec = std::fs::read_to_string(stack.path("spec.yml")).unwrap();
    stack.write("spec.yml", &spec.replace("branch: {", "branch: {build_args: {COLOUR: red}, "));
    assert_eq!(stack.to_build().await, ["branch", "leaf"]);
}

#[tokio::test]
async fn image_name_is_where_the_tags_stand_and_what_children_stand_on() {
    let stack = Stack::new(&CHAIN.replace("base: {", "base: {image_name: example.org/other/name, "));
    let made = stack.make().await;
    assert_eq!(made.tags()[0], "example.org/other/name:2026.4-main");
    assert!(made.content("base").starts_with("example.org/other/name:r-"));
    assert_eq!(made.args("branch"), [format!("BASE_IMAGE={}", made.content("base"))]);
}

#[tokio::test]
async fn a_rebuild_for_want_of_an_image_reaches_what_stands_on_it() {
    let stack = Stack::new(CHAIN);
    stack.build().await;
    let content = stack.make().await.content("branch");
    stack.engine.remove_image(&content).await.unwrap();
    assert_eq!(stack.to_build().await, ["branch", "leaf"]);
}

#[tokio::test]
async fn a_registry_with_a_port_breaks_no_name() {
    let stack = Stack::new(&CHAIN.replace("base: {", "base: {image_name: \"reg.local:5000/x/base\", "));
    stack.image("branch", "ARG BASE_TAG=latest\nFROM reg.local:5000/x/base:${BASE_TAG}\nCOPY data /\n");
    let made = stack.make().await;
    let (repository, tag) =
        made.content("base").rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(repository, "reg.local:5000/x/base");
    assert_eq!(made.args("branch"), [format!("BASE_TAG={tag}")]);
    assert_eq!(made.tags()[0], "reg.local:5000/x/base:2026.4-main");
    stack.build().await;
    assert!(stack.to_build().await.is_empty());
}

#[tokio::test]
async fn a_branch_called_fix_merge_bug_keeps_its_name() {
    let made = Stack::new("  app: {base: slim}\n").try_make(Some("fix-merge-bug")).await.unwrap();
    assert_eq!(made.tags(), ["ds01/app:2026.4-fix-merge-bug"]);
}

#[tokio::test]
async fn a_prefix_with_two_digits_of_a_month_is_whole() {
    let stack = Stack::new("  app: {base: slim}\n");
    let spec = std::fs::read_to_string(stack.path("spec.yml")).unwrap();
    stack.write("spec.yml", &spec.replace("2026.4", "2026.10"));
    assert_eq!(stack.make().await.tags(), ["ds01/app:2026.10-main"]);
}
