//! What a change costs, counted on what a run left on the engine.

use super::*;
use crate::engine::CreateContainer;
use crate::plan::impact::{self, CostInputs, EngineLists, FileReaders, Impact, Target};

const IMAGES: &str = "  top: {base: slim}
  left: {depend_on: top}
  right: {depend_on: top}
";

/// The answer for an image.
async fn of_image(stack: &Stack, name: &str) -> Impact {
    let impact = of(stack, name).await;
    assert!(matches!(impact.asked, Target::Image { .. }));
    impact
}

/// The answer, with the engine asked for its two lists.
async fn of(stack: &Stack, name: &str) -> Impact {
    let (spec, graph) = stack.read();
    let dockerfiles = files(&spec, &graph, &HashCache::default()).unwrap();
    let around = impact::SpecFiles { spec: &spec, graph: &graph, dockerfiles: &dockerfiles };
    let (asked, _) = impact::ask(&around, name, None, None).unwrap();
    let reach = impact::reach(&around, &asked, &FileReaders::default());
    let listed = EngineLists {
        id: String::new(),
        images: stack.engine.images().await.unwrap(),
        containers: stack.engine.containers().await.unwrap(),
    };
    let known = CostInputs { engine: Some(&listed), records: &HashMap::new(), jobs: 2, users: &|_| None };
    impact::impact(&around, asked, reach, &known)
}

async fn run_container(stack: &Stack, name: &str, image: &str) {
    let request = CreateContainer {
        name: name.into(),
        image: image.into(),
        labels: BTreeMap::new(),
        env: Vec::new(),
        user: String::new(),
        workdir: String::new(),
        command: None,
        hostname: None,
        mounts: Vec::new(),
        cpus: None,
        memory: None,
        shm_size: None,
        pids: None,
        cgroup_parent: None,
        ulimits: BTreeMap::new(),
        group_add: Vec::new(),
        no_new_privileges: false,
        tty: false,
        init: false,
        stop_signal: None,
        ..CreateContainer::default()
    };
    stack.engine.create(&request).await.unwrap();
    stack.engine.start(name).await.unwrap();
}

fn sizes(impact: &Impact) -> Vec<(&str, Option<u64>)> {
    impact.images.iter().map(|image| (image.name.as_str(), image.bytes)).collect()
}

#[tokio::test]
async fn what_was_built_has_a_size_above_its_parent() {
    let stack = Stack::new(IMAGES);
    assert_eq!(sizes(&of_image(&stack, "top").await), [("top", None), ("left", None), ("right", None)]);
    stack.build().await;
    // The engine in memory counts layers: each Dockerfile makes one.
    let impact = of_image(&stack, "top").await;
    assert_eq!(sizes(&impact), [("top", Some(1)), ("left", Some(1)), ("right", Some(1))]);
    assert_eq!(impact.bytes.unwrap().total, 3);
}

#[tokio::test]
async fn containers_stay_with_their_image_when_a_newer_one_is_built() {
    let stack = Stack::new(IMAGES);
    stack.build().await;
    let name = stack.make().await.content("left");
    run_container(&stack, "mine", &name).await;
    run_container(&stack, "base", "debian:12").await;
    stack.write("images/left/data", "changed");
    stack.append("images/left/Dockerfile", "RUN true\n");
    stack.build().await;
    run_container(&stack, "new", &stack.make().await.content("left")).await;
    let impact = of_image(&stack, "top").await;
    let containers = impact.containers.as_ref().unwrap();
    let on: Vec<_> = containers.iter().map(|c| (c.name.as_str(), c.image.as_str(), c.running)).collect();
    assert_eq!(on, [("mine", "left", true), ("new", "left", true)]);
    assert!(of_image(&stack, "right").await.containers.unwrap().is_empty());
    assert_eq!(sizes(&of_image(&stack, "left").await), [("left", Some(2))], "the newer one counts");
}

#[tokio::test]
async fn a_build_arg_that_looks_secret_is_told_without_its_value() {
    let stack = Stack::new("  top: {base: slim, build_args: {API_TOKEN: hunter2, COLOUR: red}}\n");
    stack.image("top", &format!("{DOCKERFILE}ARG API_TOKEN\nARG COLOUR\n"));
    for asked in ["API_TOKEN", "API_TOKEN=hunter3"] {
        let impact = of(&stack, asked).await;
        let told = format!("{} {}", impact.images[0].why, serde_json::to_string(&impact).unwrap());
        assert!(!told.contains("hunter") && told.contains("sha256:"), "{told}");
    }
    assert_eq!(of(&stack, "COLOUR=blue").await.images[0].why.to_string(), "red → blue");
}
