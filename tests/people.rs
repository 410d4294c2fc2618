//! Who a user is, as typed: with a user database of the test's own behind
//! `getent`, and without any engine.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Whoever runs the tests, if that is not root.
const UID: u32 = 4242;

struct Stack(tempfile::TempDir);

impl Stack {
    /// A project of `ann@x`, and a database that answers by this script.
    fn new(spec: &str, getent: &str) -> Self {
        let stack = Self(tempfile::tempdir().unwrap());
        let open = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(stack.0.path(), open(0o755)).unwrap();
        let head = "tag: {prefix: t}\nbases: {slim: {image: \"debian:12\"}}\ninclude: [projects/*.yml]\n";
        stack.write("spec.yml", &format!("{head}{spec}"));
        stack.write("projects/thesis.yml", "thesis: {user: ann@x, image: slim}\n");
        stack.write("bin/getent", &format!("#!/bin/sh\n{getent}\n"));
        std::fs::set_permissions(stack.0.path().join("bin/getent"), open(0o755)).unwrap();
        stack
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ds01-build"));
        let path = format!("{}:/usr/bin:/bin", self.0.path().join("bin").display());
        command.args(args).current_dir(self.0.path()).env_clear().env("PATH", path);
        command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").env("HOME", "/nowhere");
        if rustix::process::getuid().is_root() {
            command.uid(UID).gid(UID);
        }
        command.output().unwrap()
    }
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    // Long lines are broken.
    let said = String::from_utf8_lossy(&output.stderr).replace("\n  | ", " ");
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

const ANN: &str = "ann@x:*:1001:1001::/home/ann:/bin/sh";

#[test]
fn a_user_of_the_database_alone_is_enough_for_a_project() {
    let stack = Stack::new("", &format!("[ \"$3\" = ann@x ] && echo '{ANN}' || exit 2"));
    ended(&stack.run(&["check"]), 0);
    let stack = Stack::new("", "exit 2");
    let said = ended(&stack.run(&["check"]), 2);
    assert!(said.contains("neither `users` nor the user database"), "{said}");
}

#[test]
fn check_tells_where_spec_and_database_differ_and_graph_asks_nobody() {
    let getent = format!("touch notes/asked; echo '{ANN}'");
    let stack = Stack::new("users: {ann@x: {uid: 1005}}\n", &getent);
    stack.write("notes/mine", "");
    let notes = stack.0.path().join("notes");
    std::fs::set_permissions(&notes, std::fs::Permissions::from_mode(0o777)).unwrap();
    stack.run(&["graph"]);
    assert!(!notes.join("asked").exists());
    let said = ended(&stack.run(&["check"]), 2);
    assert!(said.contains("uid 1005") && said.contains("uid 1001") && said.contains("spec.yml:4"), "{said}");
    assert!(notes.join("asked").exists());
}

#[test]
fn a_database_that_hangs_ends_with_a_sentence() {
    let stack = Stack::new("", "sleep 600");
    let began = Instant::now();
    let said = ended(&stack.run(&["check"]), 2);
    assert!(said.contains("no answer within 5 s"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(120));
    let stack = Stack::new("users: {ann@x: {uid: 1005}}\n", "sleep 600");
    let said = ended(&stack.run(&["check"]), 0);
    assert!(said.contains("warning: uids are those of the spec alone"), "{said}");
}

/// A database in which whoever asks is `me`, in the groups `me` and `staff`.
fn with_me() -> String {
    format!(
        "case $1 in \
         passwd) [ \"$3\" = ann@x ] && exit 2; echo \"me:*:$(id -u):500::/home/me:/bin/sh\";; \
         initgroups) echo 'me 600';; group) echo 'me:x:500:'; echo 'gpu admins:x:600:me';; esac; : {UID}"
    )
}

#[test]
fn another_person_s_project_is_deployed_by_administrators_alone() {
    let users = "users: {ann@x: {uid: 1001}}\n";
    let stack = Stack::new(users, &with_me());
    let said = ended(&stack.run(&["deploy", "ann/thesis"]), 5);
    assert!(said.contains("belongs to ann@x (uid 1001)"), "{said}");
    let stack = Stack::new(&format!("{users}administrators: [others]\n"), &with_me());
    ended(&stack.run(&["deploy", "ann/thesis"]), 5);
    let stack = Stack::new(&format!("{users}administrators: [gpu admins]\n"), &with_me());
    let said = ended(&stack.run(&["deploy", "ann/thesis"]), 3);
    assert!(said.contains("/nowhere/docker.sock"), "it was allowed, and met no engine: {said}");
}

#[test]
fn whoever_cannot_be_looked_up_is_no_administrator() {
    let spec = "users: {ann@x: {uid: 1001}}\nadministrators: [gpu admins]\n";
    let stack = Stack::new(spec, "exit 1");
    let said = ended(&stack.run(&["deploy", "ann/thesis"]), 5);
    assert!(said.contains("warning: you count as no administrator"), "{said}");
}

#[test]
fn doctor_goes_on_where_nothing_answers() {
    let stack =
        Stack::new("users: {ann@x: {uid: 1005}}\nregistry: 127.0.0.1:1/x\n", &format!("echo '{ANN}'"));
    let output = stack.run(&["doctor", "--json"]);
    ended(&output, 3);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = |check: &str, severity: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().any(|f| f["check"] == check && f["severity"] == severity && !f["help"].is_null())
    };
    assert!(found("engine", "error"), "{report:#}");
    assert!(found("users", "error"), "{report:#}");
    assert!(found("folders", "warning"), "the home is nowhere: {report:#}");
    assert!(report.to_string().contains("\"gpu\""), "{report:#}");
    let text = stack.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("error    engine: unix:///nowhere/docker.sock"));
}

#[test]
fn doctor_tells_a_broken_spec_and_looks_on() {
    let stack = Stack::new("imagse: {}\n", "exit 2");
    let output = stack.run(&["doctor", "--json"]);
    ended(&output, 3);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|f| f["check"].as_str().unwrap()).collect();
    assert!(checks.contains(&"spec") && checks.contains(&"engine") && checks.contains(&"gpu"), "{checks:?}");
    assert!(report.to_string().contains("unknown key `imagse`"));
}

#[test]
fn limits_of_a_person_are_told_with_where_each_is_written() {
    let stack = Stack::new("limits: limits.yml\n", "echo \"ann@x:*:4242:4242::/home/ann:/bin/sh\"");
    stack.write(
        "limits.yml",
        "defaults: {pids: 100}\ngroups: {faculty: {members: [ann@x], cpus: 8}}\nusers: {ann@x: {memory: 1g}}\n",
    );
    let output = stack.run(&["limits", "ann@x", "--json"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let data: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((data["group"].as_str(), data["by_default"].as_bool()), (Some("faculty"), Some(false)));
    let from = |key: &str| {
        let limits = data["limits"].as_array().unwrap();
        let limit = limits.iter().find(|limit| limit["limit"] == key).unwrap();
        (limit["value"].to_string(), limit["from"].as_str().unwrap().to_owned())
    };
    assert_eq!(from("memory"), ((1_u64 << 30).to_string(), "own".into()));
    assert_eq!(from("cpus"), ("8.0".into(), "group".into()));
    assert_eq!(from("pids"), ("100".into(), "defaults".into()));
    assert_eq!(from("idle"), ("7200".into(), "built_in".into()));
    insta::assert_snapshot!(String::from_utf8_lossy(&stack.run(&["limits", "ann@x"]).stdout));

    stack.write("limits.yml", "groups: {faculty: {cpus: many}}\n");
    let output = stack.run(&["limits", "ann@x"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("limits.yml:1:26"), "{told}");
}
