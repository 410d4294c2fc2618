//! Stacks in the DataHub style, as they stand.

use std::path::{Path, PathBuf};

use super::super::files::memory::MemoryFiles;
use super::super::{Parent, Spec, read};
use super::{shown, wrong};
use crate::model::names::PlanName;
use crate::spec::graph::Graph;

const STACK: &str = r#"
root: datascience-notebook
images:
  datascience-notebook:
    image_name: ghcr.io/ucsd-ets/datascience-notebook
    build_args: {PYTHON_VERSION: python-3.11.8, PY_VER_SHORT: "3.11"}
    info_cmds: [PY_VER, PIP_LIST]
  rstudio-notebook:
    image_name: ghcr.io/ucsd-ets/rstudio-notebook
    depend_on: datascience-notebook
    integration_tests: true
    info_cmds: [PY_VER]
    prune: true
  scipy-ml-notebook:
    image_name: ghcr.io/ucsd-ets/scipy-ml-notebook
    depend_on: datascience-notebook
    prepull: false
tag: {prefix: "2026.3"}
all_info_cmds:
  PY_VER: {description: Python Version, command: python --version}
  PIP_LIST: {description: Packages, command: pip list}
"#;

/// A stack with its spec in `images/` and a Dockerfile for each image.
fn stack(spec: &str, images: &[&str]) -> MemoryFiles {
    let files = MemoryFiles::default().file("/r/images/spec.yml", spec);
    images.iter().fold(files, |files, image| files.file(&format!("/r/images/{image}/Dockerfile"), "FROM x\n"))
}

fn open(files: &MemoryFiles) -> Spec {
    read(Path::new("/r"), Path::new("images/spec.yml"), &crate::spec::SpecContext::of(files))
        .unwrap_or_else(|p| panic!("{}", shown(&p)))
}

fn notebooks() -> [&'static str; 3] {
    ["datascience-notebook", "rstudio-notebook", "scipy-ml-notebook"]
}

#[test]
fn a_stack_is_read_as_it_stands() {
    let spec = open(&stack(STACK, &notebooks()));
    assert_eq!((spec.root, spec.images_dir), (PathBuf::from("/r"), PathBuf::from("/r/images")));
    assert_eq!(spec.images[0].place.file.path, Path::new("images/spec.yml"));
    assert!(spec.images[0].parents.is_empty());
    assert_eq!(spec.images[1].repository.as_str(), "ghcr.io/ucsd-ets/rstudio-notebook");
    assert!(
        matches!(&spec.images[1].parents[0].0, Parent::Image(name) if name.as_str() == "datascience-notebook")
    );
    assert!(spec.images[1].prune && spec.images[1].integration_tests && !spec.images[2].prepull);
}

#[test]
fn an_unknown_root_and_one_with_a_parent_are_refused() {
    let root = |name: &str| {
        let text = STACK.replace("root: datascience-notebook", &format!("root: {name}"));
        shown(
            &read(
                Path::new("/r"),
                Path::new("images/spec.yml"),
                &crate::spec::SpecContext::of(&stack(&text, &notebooks())),
            )
            .unwrap_err(),
        )
    };
    assert!(root("datascience-notebok").contains("did you mean `datascience-notebook`?"));
    assert!(root("rstudio-notebook").contains("`rstudio-notebook` is the root, and yet has a parent"));
}

const PLANS: &str = r#"
tag: {prefix: "2021.1"}
plans:
  PYTHON38: {tag_prefix: "2021.1-38", build_args: {PY: plan, B: plan}}
  PYTHON39: {tag_prefix: "2021.1-39"}
images:
  base: {dbuild_env: {common: {PY: common, A: common, B: common}, PYTHON38: {B: image}}}
  leaf: {depend_on: base, skip_plans: [PYTHON39]}
"#;

#[test]
fn common_args_come_first_then_the_plans_then_the_images_for_the_plan() {
    let spec = open(&stack(PLANS, &["base", "leaf"]));
    assert_eq!(spec.images[0].plan_args[&PlanName::new("PYTHON38")]["B"].value, "image");
    let graph = Graph::build(&spec);
    let args = |name: &str| {
        let node = graph.node(graph.find(name).unwrap());
        node.build_args.values().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    // A, B, PY
    assert_eq!(args("base"), "common common common");
    assert_eq!(args("base@PYTHON38"), "common image plan");
    assert_eq!(args("base@PYTHON39"), "common common common");
}

#[test]
fn a_skipped_plan_leaves_that_pair_out() {
    let graph = Graph::build(&open(&stack(PLANS, &["base", "leaf"])));
    let names: Vec<&str> = graph.nodes().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["base", "base@PYTHON38", "base@PYTHON39", "leaf", "leaf@PYTHON38"]);
    let leaf = graph.find("leaf@PYTHON38").unwrap();
    assert_eq!(graph.parents(leaf), [graph.find("base@PYTHON38").unwrap()]);
    assert_eq!(graph.node(leaf).tag_prefix.as_deref(), Some("2021.1-38"));
}

#[test]
fn old_keys_without_a_meaning_say_what_replaced_them() {
    let refused = |text: &str| {
        let files = stack(text, &["base", "leaf"]).file("/r/spec.yml", text);
        wrong(&files)
    };
    let postfix = PLANS.replace("tag_prefix: \"2021.1-39\"", "tag_prefix: x, tag_stable_postfix: stable");
    assert!(refused(&postfix).contains("`tag_stable_postfix` is not read any more | remove it"));
    let both = PLANS.replace("base: {dbuild_env", "base: {build_args: {C: d}, dbuild_env");
    assert!(refused(&both).contains("`dbuild_env` beside `build_args`"));
    let unknown = PLANS.replace("{common: {PY", "{PYTHON37: {A: b}, common: {PY");
    assert!(refused(&unknown).contains("no plan `PYTHON37` | did you mean `PYTHON38`?"));
}
