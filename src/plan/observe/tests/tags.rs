//! Which tags a plan moves.

use super::*;

const ONE: &str = "  app: {base: slim}\n";

async fn tags(branch: &str) -> Vec<String> {
    Stack::new(ONE).try_make(Some(branch)).await.unwrap().tags()
}

#[tokio::test]
async fn a_branch_becomes_a_tag_behind_the_prefix() {
    assert_eq!(tags("main").await, ["ds01/app:2026.4-main"]);
    assert_eq!(tags("feature/x").await, ["ds01/app:2026.4-feature-x"]);
}

#[tokio::test]
async fn without_a_branch_no_branch_tag_moves() {
    assert!(Stack::new(ONE).try_make(None).await.unwrap().tags().is_empty());
}

#[tokio::test]
async fn a_branch_cannot_take_the_tag_of_a_promotion() {
    for (branch, tag) in [("stable", "2026.4-stable"), ("/stable/", "2026.4-stable")] {
        let Err(Error::Problems(problems)) = Stack::new(ONE).try_make(Some(branch)).await else {
            panic!("`{branch}` is taken")
        };
        let problem = &problems[0];
        assert_eq!(
            problem.message,
            format!("the branch `{branch}` would give the tag `{tag}`, which is not a branch's")
        );
        assert!(problem.help.as_ref().unwrap().contains("--branch"));
    }
}

#[tokio::test]
async fn a_branch_without_a_usable_character_is_refused() {
    let made = Stack::new(ONE).try_make(Some("日本")).await;
    assert!(matches!(made, Err(Error::Problems(problems)) if problems[0].message.contains("`日本`")));
}

#[tokio::test]
async fn plan_variants_have_their_own_prefix() {
    let stack = Stack::new("  app: {base: slim}\nplans:\n  py312: {tag_prefix: \"2026.4-py312\"}\n");
    assert_eq!(stack.make().await.tags(), ["ds01/app:2026.4-main", "ds01/app:2026.4-py312-main"]);
}

#[tokio::test]
async fn a_second_branch_moves_tags_and_builds_nothing() {
    let stack = Stack::new(ONE);
    stack.build().await;
    let made = stack.try_make(Some("feature/x")).await.unwrap();
    assert_eq!(made.planned.plan.builds().count(), 0);
    assert_eq!(made.tags(), ["ds01/app:2026.4-feature-x"]);
}

#[tokio::test]
async fn a_tag_that_moves_from_another_branch_is_told_with_both_names() {
    let stack = Stack::new("  app: {base: slim}\n  tool: {base: slim}\n");
    let made = stack.try_make(Some("feature/x")).await.unwrap();
    let (branch, tags) = made.planned.branch.unwrap();
    assert!(made.planned.warnings.is_empty() && tags.len() == 2);
    for tag in &tags {
        stack.records().set_branch(tag, &branch).unwrap();
    }
    let warnings = async |branch| stack.try_make(Some(branch)).await.unwrap().planned.warnings.join("\n");
    insta::assert_snapshot!(warnings("feature-x").await, @"the branches `feature/x` and `feature-x` give the same tags, which are now those of `feature-x`: ds01/app:2026.4-feature-x, ds01/tool:2026.4-feature-x; rename one, or say another name with --branch NAME");
    assert_eq!(warnings("feature/x").await, "");
    assert_eq!(warnings("main").await, "");
}
