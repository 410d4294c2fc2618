//! A stack in the DataHub style, as it stands.

use super::*;

const SPEC: &str = r#"root: base-notebook
images:
  base-notebook:
    image_name: ghcr.io/acme/base-notebook
    build_args: {PYTHON_VERSION: python-3.11.8, PY_VER_SHORT: "3.11"}
    info_cmds: [PY_VER]
  r-notebook:
    image_name: ghcr.io/acme/r-notebook
    depend_on: base-notebook
    integration_tests: true
    info_cmds: [PY_VER]
    prune: true
  ml-notebook:
    image_name: ghcr.io/acme/ml-notebook
    depend_on: base-notebook
    prepull: false
  gpu-notebook:
    image_name: ghcr.io/acme/gpu-notebook
    depend_on: ml-notebook
  course-notebook:
    image_name: ghcr.io/acme/course-notebook
    depend_on: r-notebook
tag: {prefix: "2026.3"}
all_info_cmds:
  PY_VER: {description: Python Version, command: python --version}
"#;

const BASE: &str = "quay.io/jupyter/base:python-3.11.8";

fn stack() -> Stack {
    let stack = Stack::empty("images/spec.yml");
    stack.write("images/spec.yml", SPEC);
    stack.write("images/change_ignore.json", r#"{"ChangeIgnore": ["README.md"], "BuildAll": ["spec.yml"]}"#);
    stack.image(
        "base-notebook",
        "ARG PYTHON_VERSION=latest\nFROM quay.io/jupyter/base:$PYTHON_VERSION\nARG PY_VER_SHORT\nCOPY data /\n",
    );
    for (name, parent) in [
        ("r-notebook", "base-notebook"),
        ("ml-notebook", "base-notebook"),
        ("gpu-notebook", "ml-notebook"),
        ("course-notebook", "r-notebook"),
    ] {
        stack.image(
            name,
            &format!("ARG BASE_TAG=latest\nFROM ghcr.io/acme/{parent}:${{BASE_TAG}}\nCOPY data /\n"),
        );
        stack.write(&format!("images/{name}/test/test_it.py"), "assert True\n");
    }
    stack.engine.add_remote(&reference(BASE), &digest("a"));
    stack
}

const ALL: [&str; 5] = ["base-notebook", "r-notebook", "ml-notebook", "gpu-notebook", "course-notebook"];

#[tokio::test]
async fn all_images_are_planned_parents_first_and_built() {
    let stack = stack();
    let made = stack.make().await;
    let mut names: Vec<_> = made.planned.plan.images.iter().map(|image| image.name.as_str()).collect();
    for (at, image) in made.planned.plan.images.iter().enumerate() {
        assert!(image.parents.iter().all(|&parent| parent < at));
    }
    let mut all = ALL;
    names.sort_unstable();
    all.sort_unstable();
    assert_eq!(names, all);
    stack.build().await;
    assert!(stack.make().await.planned.plan.is_noop());
}

#[tokio::test]
async fn each_image_stands_on_its_parents_content_tag() {
    let made = stack().make().await;
    let tag = |name: &str| made.content(name).rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(made.args("gpu-notebook"), [format!("BASE_TAG={}", tag("ml-notebook"))]);
    assert_eq!(made.args("r-notebook"), [format!("BASE_TAG={}", tag("base-notebook"))]);
    assert_eq!(made.args("base-notebook"), ["PYTHON_VERSION=python-3.11.8", "PY_VER_SHORT=3.11"]);
    assert_eq!(made.tags()[0], "ghcr.io/acme/base-notebook:2026.3-main");
}

#[tokio::test]
async fn the_roots_from_is_its_base() {
    let stack = stack();
    let made = stack.make().await;
    assert_eq!(made.planned.snapshot.base(&reference(BASE)).digest, Some(digest("a")));
    stack.build().await;
    stack.engine.add_remote(&reference(BASE), &digest("b"));
    assert_eq!(stack.to_build().await.len(), 5, "a moved base is noticed");
}

#[tokio::test]
async fn a_roots_from_that_is_nowhere_is_told_at_its_line() {
    let stack = stack();
    stack.image("base-notebook", "FROM quay.io/nobody:1\nCOPY data /\n");
    let problems = stack.problems().await;
    assert!(
        problems.starts_with("images/base-notebook/Dockerfile:1 the image quay.io/nobody:1"),
        "{problems}"
    );
}

#[tokio::test]
async fn a_test_or_a_comment_in_the_spec_builds_nothing_and_a_file_builds_its_branch() {
    let stack = stack();
    stack.build().await;
    stack.write("images/r-notebook/test/test_it.py", "assert False\n");
    stack.write("images/README.md", "# new\n");
    stack.append("images/spec.yml", "# a comment\n");
    assert!(stack.to_build().await.is_empty());
    stack.write("images/r-notebook/data", "changed");
    assert_eq!(stack.to_build().await, ["r-notebook", "course-notebook"]);
}

#[tokio::test]
async fn a_from_with_a_fixed_tag_is_told() {
    let stack = stack();
    stack.image("gpu-notebook", "FROM ghcr.io/acme/ml-notebook:2026.3-stable\nCOPY data /\n");
    let problems = stack.problems().await;
    assert!(
        problems.starts_with(
            "images/gpu-notebook/Dockerfile:1 `ghcr.io/acme/ml-notebook:2026.3-stable` is another build"
        ),
        "{problems}"
    );
}
