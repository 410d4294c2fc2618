//! What `doctor` finds on an engine that has a past.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::client::docker;
use crate::stack::{BASE, Stack, image_id};

/// Images and containers of the old way, gone when the test ends.
struct Past {
    images: Vec<String>,
    container: String,
}

impl Past {
    fn new(stack: &Stack) -> Self {
        let id = &stack.id;
        let orphan = format!("ds01-test-doctor:{id}._.1001");
        let legacy = format!("ds01-test-doctor:legacy-{id}");
        let past = Self { images: vec![orphan, legacy], container: format!("old-{id}._.1001") };
        docker(&["tag", BASE, &past.images[0]]);
        // Made by a container that is committed, as it was done then.
        docker(&["create", "--name", &past.container, "--label", "aime.mlc.USER=ann", BASE, "sh"]);
        docker(&["commit", "--change", "LABEL aime.mlc.FRAMEWORK=Pytorch", &past.container, &past.images[1]]);
        past
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", &self.container]).output();
        for image in &self.images {
            let _ = Command::new("docker").args(["rmi", "-f", image]).output();
        }
    }
}

fn findings(stack: &Stack, args: &[&str]) -> (i32, Vec<Value>) {
    let run = stack.run(&[&["doctor", "--json"], args].concat());
    let report: Value = serde_json::from_str(&run.out()).unwrap_or_else(|_| panic!("{}", run.err()));
    (run.code(), report["findings"].as_array().unwrap().clone())
}

fn find<'a>(findings: &'a [Value], check: &str, subject: &str) -> &'a Value {
    let of = |f: &&Value| f["check"] == check && f["subject"] == subject;
    findings.iter().find(of).unwrap_or_else(|| panic!("no {check} of {subject} in {findings:#?}"))
}

#[test]
fn leftovers_and_old_labels_are_found_with_what_to_do() {
    let stack = Stack::new();
    stack.spec("");
    let past = Past::new(&stack);
    let (_, found) = findings(&stack, &[]);

    let orphan = find(&found, "leftovers", &past.images[0]);
    assert_eq!(orphan["severity"], "warning");
    assert!(orphan["bytes"].as_u64().is_some_and(|bytes| bytes > 1_000_000), "{orphan}");
    let command = orphan["command"].as_str().unwrap();
    assert_eq!(command, format!("docker image rm {}", past.images[0]));

    let has = |subject: &str, name: &str| {
        let items = find(&found, "legacy labels", subject)["items"].as_array().unwrap().clone();
        items.iter().any(|item| item.as_str().unwrap().starts_with(name))
    };
    assert!(has("containers", &format!("{}: aime.mlc.USER", past.container)));
    assert!(has("images", &format!("{}: aime.mlc.FRAMEWORK", past.images[1])));

    let all = |check: &str| found.iter().filter(|f| f["check"] == check).collect::<Vec<_>>();
    assert!(all("engine").iter().all(|f| f["severity"] == "ok"), "{:?}", all("engine"));
    assert_eq!(all("buildkit")[0]["severity"], "ok");
    assert_eq!(all("storage").len(), 1);
    assert!(all("space")[0]["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    assert_eq!(all("folders").len(), 3);

    // What it says to do does away with it.
    assert!(Command::new("sh").args(["-c", command]).output().unwrap().status.success());
    assert!(image_id(&past.images[0]).is_none());
    let (_, found) = findings(&stack, &[]);
    assert!(found.iter().all(|f| f["subject"] != past.images[0].as_str()));
}

#[test]
fn one_image_is_looked_at_whole() {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo tool > /tool\n");
    let person = stack.project("tool", "");
    let (code, found) = findings(&stack, &[&person.project]);
    assert_eq!(code, 0);
    assert!(find(&found, "plan", &person.project)["items"].to_string().contains("never built"));
    assert!(find(&found, "image", &person.project)["message"].to_string().contains("not on the engine"));

    stack.build(&[]).expect(0);
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);
    let (code, found) = findings(&stack, &[&person.project]);
    assert_eq!(code, 0);
    for check in ["image", "labels", "account", "settings", "accounts", "plan", "containers"] {
        assert_eq!(find(&found, check, &person.project)["severity"], "ok", "{check}: {found:#?}");
    }
    assert!(find(&found, "containers", &person.project)["items"].to_string().contains(&person.container));

    // The spec moves on: image and container stay what they were.
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo new > /tool\n");
    let (code, found) = findings(&stack, &[&person.project]);
    assert_eq!(code, 0, "what is old is not broken");
    let plan = find(&found, "plan", &person.project);
    assert_eq!(plan["severity"], "warning");
    assert_eq!(plan["command"], format!("ds01-build build {}/{}", person.account, person.project));
    stack.build(&[]).expect(0);
    let (_, found) = findings(&stack, &[&person.project]);
    assert!(found.iter().any(|f| f["check"] == "containers" && f["severity"] == "note"), "{found:#?}");

    // Another hand takes the home away: the image is broken, and told so.
    let broken = format!("{}-broken", person.image);
    let text = format!(
        "FROM {}\nUSER 0\nRUN chown 0 /home/{}\nUSER 1722830498:1722830498\n",
        person.image, person.account
    );
    stack.write("broken/Dockerfile", text);
    docker(&["build", "-q", "-t", &broken, &stack.root().join("broken").display().to_string()]);
    let (code, found) = findings(&stack, &[&broken]);
    let account = find(&found, "account", &broken);
    assert_eq!((code, &account["severity"]), (3, &Value::from("error")), "{found:#?}");
    assert!(account["message"].to_string().contains("belongs to 0:1722830498"), "{account}");

    let run = stack.run(&["doctor", "no-such-image"]).expect(2);
    assert!(run.err().contains("neither the spec nor the engine"), "{}", run.err());
}

#[test]
fn nothing_is_built_for_somebody_on_whom_spec_and_machine_disagree() {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo tool > /tool\n");
    let person = stack.project("tool", "");
    let getent = stack.root().join("bin/getent");
    stack.write("bin/getent", format!("#!/bin/sh\necho '{}:*:1009:1009::/h:/bin/sh'\n", person.login));
    std::fs::set_permissions(getent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", stack.root().join("bin").display());
    let output = stack.command(&["build"]).env("PATH", &path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("uid 1722830498") && said.contains("uid 1009"), "{said}");
    assert!(image_id(&person.image).is_none());
    // The shared image is nobody's.
    let output = stack.command(&["build", "tool"]).env("PATH", &path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
