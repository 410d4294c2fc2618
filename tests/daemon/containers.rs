//! From a project's image to a running container and its end, as typed.

use serde_json::Value;

use crate::client::docker;
use crate::stack::{Person, Stack};

fn built() -> (Stack, Person) {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo tool > /tool\n");
    let person = stack.project("tool", "");
    stack.build(&[]).expect(0);
    (stack, person)
}

#[test]
fn a_project_is_deployed_listed_and_retired() {
    let (stack, person) = built();
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);

    let inspected: Value = serde_json::from_str(&docker(&["inspect", &person.container])).unwrap();
    let (config, host) = (&inspected[0]["Config"], &inspected[0]["HostConfig"]);
    assert_eq!(inspected[0]["State"]["Running"], true);
    assert_eq!(config["User"], "1722830498:1722830498");
    assert_eq!(config["Labels"]["ds01.user"], person.login);
    assert_eq!(config["Labels"]["ds01.gpus"], "0");
    assert_eq!(config["Labels"]["ds01.group"], "student");
    assert!(config["Env"].as_array().unwrap().contains(&"NVIDIA_VISIBLE_DEVICES=void".into()));
    for limit in ["NanoCpus", "Memory", "PidsLimit", "ShmSize"] {
        assert!(host[limit].as_u64().is_some_and(|value| value > 0), "{limit}: {}", host[limit]);
    }
    assert_eq!(host["DeviceRequests"].as_array().map_or(0, Vec::len), 0);

    // The workspace is the owner's, on both sides.
    docker(&["exec", &person.container, "sh", "-c", "echo mine > /workspace/file"]);
    let file = std::fs::metadata(stack.root().join("work/file")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&file), 1722830498);

    let listed: Value =
        serde_json::from_str(&stack.run(&["container", "list", "--all", "--json"]).expect(0).out()).unwrap();
    let mine =
        listed.as_array().unwrap().iter().find(|row| row["name"] == person.container.as_str()).unwrap();
    assert_eq!(mine["owner"], person.login);
    assert_eq!(mine["gpus"], "0");

    let began = std::time::Instant::now();
    let several = stack.run(&["container", "retire", "nobodys", &person.project]).expect(5);
    assert!(several.err().contains("no container `nobodys`"), "one that fails stands in nobody's way");
    assert!(began.elapsed().as_secs() < 8, "its shell was waited for in vain: {:?}", began.elapsed());
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}", person.container)]), "");
    assert_eq!(std::fs::read_to_string(stack.root().join("work/file")).unwrap(), "mine\n");
}

#[test]
fn what_cannot_be_deployed_is_refused_with_what_to_do() {
    let (stack, person) = built();
    let said = stack.run(&["deploy", &person.project]).expect(5).err();
    assert!(said.contains("--workspace"), "nobody knows this uid's home: {said}");
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);
    let said = stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(5).err();
    assert!(said.contains("already exists") && said.contains("container retire"), "{said}");
    let said = stack.run(&["deploy", "tool", "--workspace", "work"]).expect(5).err();
    assert!(said.contains("--user LOGIN"), "root has none of its own: {said}");
    let said = stack.run(&["container", "retire", "nobodys"]).expect(5).err();
    assert!(said.contains("no container `nobodys`"), "{said}");
}

#[test]
fn a_dry_run_shows_the_request_and_makes_nothing() {
    let (stack, person) = built();
    let run = stack.run(&["deploy", &person.project, "--workspace", "work", "--dry-run", "--json"]).expect(0);
    let request: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!(request["name"], person.container.as_str());
    assert_eq!(request["labels"]["ds01.interface"], "orchestration");
    assert!(!stack.root().join("work").exists());
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}", person.container)]), "");
}

#[test]
fn an_image_that_was_never_built_is_not_deployed() {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN true\n");
    let person = stack.project("tool", "");
    let said = stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(5).err();
    assert!(said.contains(&format!("ds01-build build {}/{}", person.account, person.project)), "{said}");
}
