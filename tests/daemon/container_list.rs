//! Containers of every kind on a real engine, as `container list` and
//! `container show` tell of them.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::docker;
use crate::stack::{BASE, Person, Stack};

/// Containers that are gone when the test ends.
struct Made(Vec<String>);

impl Made {
    fn add(&mut self, verb: &[&str], name: &str, args: &[&str], program: &[&str]) {
        docker(&[verb, &["--name", name], args, &[BASE], program].concat());
        self.0.push(name.to_owned());
    }

    /// Created, never started.
    fn create(&mut self, name: &str, args: &[&str]) {
        self.add(&["create"], name, args, &["sh"]);
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = Command::new("docker").args(["rm", "-f", name]).output();
        }
    }
}

fn list(stack: &Stack, args: &[&str]) -> Vec<Value> {
    let run = stack.run(&[&["container", "list", "--json"], args].concat()).expect(0);
    serde_json::from_str(&run.out()).unwrap()
}

/// The line of a container; `Null`: it is not listed.
fn of<'a>(rows: &'a [Value], name: &str) -> &'a Value {
    rows.iter().find(|row| row["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn containers_of_every_kind_are_listed_for_what_they_are() {
    let stack = Stack::new();
    let id = &stack.id;
    let mut made = Made(Vec::new());
    let name = |kind: &str| format!("{kind}-{id}");
    // The tests run as root, whose uid is 0.
    let own = format!("own-{id}._.0");
    made.create(
        &own,
        &["--label", "ds01.managed=true", "--label", "ds01.user=root", "--label", "ds01.gpus=0"],
    );
    made.create(
        &name("legacy"),
        &["--label", "aime.mlc.USER=ann", "--label", "aime.mlc.GPUS=1", "--label", "ds01.gpu.uuid=GPU-2"],
    );
    made.create(&name("foreign"), &["--gpus", "\"device=GPU-3\""]);
    made.create(&name("plain"), &[]);

    let mine = list(&stack, &[]);
    assert_eq!(of(&mine, &own)["made_by"], "ours");
    for kind in ["legacy", "foreign", "plain"] {
        assert_eq!(*of(&mine, &name(kind)), Value::Null, "{kind} is nobody's or another's");
    }
    let all = list(&stack, &["--all"]);
    let told = |name: &str| {
        let row = of(&all, name);
        (row["made_by"].clone(), row["owner"].clone(), row["gpus_held"]["uuids"].clone())
    };
    let none = || Value::Array(Vec::new());
    assert_eq!(told(&own), ("ours".into(), "root".into(), none()));
    assert_eq!(told(&name("legacy")), ("legacy".into(), "ann".into(), vec!["GPU-2"].into()));
    assert_eq!(told(&name("foreign")), ("foreign".into(), Value::Null, vec!["GPU-3"].into()));
    assert_eq!(told(&name("plain")), ("other".into(), Value::Null, none()));
    assert_eq!((&of(&all, &own)["image"], &of(&all, &own)["newer_image"]), (&BASE.into(), &false.into()));

    let text = stack.run(&["container", "show", &name("foreign")]).expect(0).out();
    assert!(text.contains("GPU-3") && text.contains(BASE), "{text}");
    assert!(!text.contains("container retire"), "it is not ours to remove: {text}");
    let by_id = docker(&["inspect", "-f", "{{.Id}}", &name("legacy")]);
    let text = stack.run(&["container", "show", &by_id[..12]]).expect(0).out();
    assert!(text.contains("aime.mlc.USER") && text.contains("an older system"), "{text}");
    let said = stack.run(&["container", "show", "nobodys"]).expect(5).err();
    assert!(said.contains("no container `nobodys`"), "{said}");
}

fn built() -> (Stack, Person) {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo 1 > /tool\n");
    let person = stack.project("tool", "");
    stack.build(&[]).expect(0);
    (stack, person)
}

#[test]
fn a_container_whose_image_was_built_anew_says_so() {
    let (stack, person) = built();
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);
    let now = || of(&list(&stack, &["--all"]), &person.container).clone();
    let before = now();
    assert_eq!((&before["image"], &before["newer_image"]), (&person.image.as_str().into(), &false.into()));
    assert_eq!(before["made_by"], "ours");

    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo 2 > /tool\n");
    stack.build(&[]).expect(0);
    let after = now();
    assert_eq!((&after["image_id"], &after["newer_image"]), (&before["image_id"], &true.into()));
    let shown = stack.run(&["container", "show", &person.container]).expect(0).out();
    assert!(shown.contains("a newer one exists"), "{shown}");
    assert!(shown.contains(&format!("then ds01-build deploy {}", person.project)), "{shown}");

    // Also where it has no tag any more.
    let old = before["image_id"].as_str().unwrap();
    let tags = docker(&["image", "inspect", "-f", "{{join .RepoTags \" \"}}", old]);
    tags.split(' ').for_each(|tag| drop(docker(&["rmi", "-f", tag])));
    assert_eq!(now()["newer_image"], true);
    assert!(now()["image"].as_str().unwrap().contains(&person.project), "{}", now()["image"]);
}

#[test]
fn what_a_deployed_container_has_is_shown() {
    let (stack, person) = built();
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);
    let run = stack.run(&["container", "show", &person.container, "--json"]).expect(0);
    let shown: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!(shown["user"], "1722830498:1722830498");
    assert_eq!(shown["group"], "student");
    assert_eq!(shown["mounts"][0]["target"], "/workspace");
    assert_eq!(
        shown["mounts"][0]["source"],
        stack.root().join("work").canonicalize().unwrap().to_str().unwrap()
    );
    assert!(
        shown["limits"]["memory_bytes"].as_u64() > Some(0) && shown["limits"]["cpus"].as_f64() > Some(0.0)
    );
    assert!(shown["started"].is_string() && shown["exit_code"].is_null(), "{shown}");
    assert!(shown["usage"]["memory_bytes"].as_u64() > Some(0), "{}", shown["usage"]);

    docker(&["stop", "-t", "0", &person.container]);
    let run = stack.run(&["container", "show", &person.container, "--json"]).expect(0);
    let shown: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!((&shown["state"], &shown["usage"]), (&"exited".into(), &Value::Null));
    assert!(shown["exit_code"].is_number() && shown["finished"].is_string(), "{shown}");
}

#[test]
fn what_running_containers_take_is_measured() {
    let stack = Stack::new();
    let mut made = Made(Vec::new());
    let name = |kind: &str| format!("{kind}-{}._.0", stack.id);
    let (busy, idle, off) = (name("busy"), name("idle"), name("off"));
    // Half a CPU, so that a machine of tests keeps the other.
    made.add(&["run", "-d"], &busy, &["--cpus", "0.5"], &["sh", "-c", "while :; do :; done"]);
    made.add(&["run", "-d"], &idle, &[], &["sleep", "600"]);
    made.create(&off, &[]);
    let began = Instant::now();
    let rows = list(&stack, &["--stats"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let cpus = |name: &str| of(&rows, name)["usage"]["cpus"].as_f64().unwrap();
    assert!(cpus(&busy) > 0.1 && cpus(&busy) < 0.9, "{}", cpus(&busy));
    assert!(cpus(&idle) < 0.1, "{}", cpus(&idle));
    assert!(of(&rows, &busy)["usage"]["memory_bytes"].as_u64() > Some(0));
    assert_eq!(of(&rows, &busy)["usage"]["processes"], 1);
    assert_eq!(of(&rows, &off)["usage"], Value::Null);
    let text = stack.run(&["container", "list", "--stats"]).expect(0).out();
    assert!(text.lines().next().unwrap().ends_with("MEMORY"), "{text}");
}
