//! The whole request as a real engine keeps it, but for GPUs, of which none is
//! here.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::client::docker;
use crate::stack::{Person, Run, Stack};

fn built(limits: &str) -> (Stack, Person) {
    let stack = Stack::new();
    stack.spec_with("tool:\n  base: busybox", limits);
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo tool > /tool\n");
    let person = stack.project("tool", "");
    stack.build(&[]).expect(0);
    (stack, person)
}

fn inspect(container: &str) -> Value {
    let all: Value = serde_json::from_str(&docker(&["container", "inspect", container])).unwrap();
    all[0].clone()
}

#[test]
fn everything_but_gpus_is_as_it_was_asked_for() {
    let (stack, person) =
        built("limits: {groups: {student: {ulimits: {nofile: 4096}, capabilities: [SYS_PTRACE]}}}\n");
    for folder in ["corpus", "models", "share"] {
        std::fs::create_dir(stack.root().join(folder)).unwrap();
    }
    stack.write("corpus/one", "1\n");
    let words = [
        "--workspace",
        "work",
        "--data",
        "corpus",
        "--models",
        "models",
        "--mount",
        "share:/share:ro",
        "--cpus",
        "0.5",
        "--memory",
        "256m",
        "--shm-size",
        "32m",
        "--env",
        "COLOUR=red",
        "--publish",
        "6006",
        "--cpu-only",
    ];
    let program = ["--", "sh", "-c", "cat /data/one; sleep 600"];
    stack.run(&[&["deploy", &person.project], &words[..], &program].concat()).expect(0);

    let found = inspect(&person.container);
    let (config, host, labels) = (&found["Config"], &found["HostConfig"], &found["Config"]["Labels"]);
    let here = |name: &str| stack.root().canonicalize().unwrap().join(name).to_str().unwrap().to_owned();
    assert_eq!(found["State"]["Running"], true);
    assert_eq!(config["Cmd"], json!(["sh", "-c", "cat /data/one; sleep 600"]));
    let env = config["Env"].as_array().unwrap();
    for pair in ["COLOUR=red", "NVIDIA_VISIBLE_DEVICES=void"] {
        assert!(env.contains(&pair.into()), "{env:?}");
    }
    for (key, expected) in [
        ("NanoCpus", json!(500_000_000)),
        ("Memory", json!(256 << 20)),
        ("MemorySwap", json!(256 << 20)),
        ("ShmSize", json!(32 << 20)),
        ("PidsLimit", json!(4096)),
        ("NetworkMode", json!("bridge")),
        ("Privileged", json!(false)),
        ("SecurityOpt", json!(["no-new-privileges"])),
        ("Init", json!(true)),
        ("Devices", json!(null)),
        ("DeviceRequests", json!(null)),
    ] {
        assert_eq!(host[key], expected, "{key}");
    }
    let added = host["CapAdd"][0].as_str().unwrap();
    assert!(added.ends_with("SYS_PTRACE"), "{added}");
    let ulimits = host["Ulimits"].as_array().unwrap();
    assert!(ulimits.contains(&json!({"Name": "nofile", "Soft": 4096, "Hard": 4096})), "{ulimits:?}");

    let bound = &host["PortBindings"]["6006/tcp"][0];
    assert_eq!((&bound["HostIp"], &bound["HostPort"]), (&json!("127.0.0.1"), &json!("")));
    let published = &found["NetworkSettings"]["Ports"]["6006/tcp"][0];
    assert!(published["HostPort"].as_str().unwrap().parse::<u16>().unwrap() >= 1024, "{published}");

    let mounts: BTreeSet<_> = found["Mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| {
            let word = |key: &str| mount[key].as_str().unwrap().to_owned();
            (word("Destination"), word("Source"), mount["RW"].as_bool().unwrap())
        })
        .collect();
    let mount = |target: &str, source: &str, writes| (target.to_owned(), here(source), writes);
    assert_eq!(
        mounts,
        BTreeSet::from([
            mount("/workspace", "work", true),
            mount("/data", "corpus", true),
            mount("/models", "models", true),
            mount("/share", "share", false),
        ])
    );
    for (key, folder) in [("work", "work"), ("data", "corpus"), ("models", "models")] {
        assert_eq!(labels[format!("ds01.{key}_mount")], here(folder));
    }
    assert_eq!(labels["ds01.gpus"], "0");
    assert!(docker(&["logs", &person.container]).contains('1'));
}

#[test]
fn what_limits_and_folders_refuse_makes_nothing() {
    let (stack, person) = built("limits: {groups: {student: {network: host}}}\n");
    std::os::unix::fs::symlink("/", stack.root().join("all")).unwrap();
    for (words, expected) in [
        (&["--memory", "33g"][..], "may use 32g of `memory`"),
        (&["--publish", "8888"], "share the machine's network"),
        (&["--env", "NVIDIA_VISIBLE_DEVICES=all"], "gives GPUs past the choice"),
        (&["--data", "all"], "the whole machine"),
        (&["--data", "none"], "No such file"),
        (&["--data", "images", "--mount", "images:/data"], "two mounts are for `/data`"),
    ] {
        let fixed = ["deploy", &person.project, "--workspace", "work"];
        let said = stack.run(&[&fixed, words].concat()).expect(5).err();
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    let said = stack.run(&["deploy", &person.project, "--mount", "images:/etc/passwd"]).expect(2).err();
    assert!(said.contains("accounts"), "{said}");
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={}", person.container)]), "");
    assert!(!stack.root().join("work").exists());
}

#[test]
fn a_group_with_the_machines_network_has_it() {
    let (stack, person) = built("limits: {groups: {student: {network: host}}}\n");
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);
    let found = inspect(&person.container);
    assert_eq!(found["HostConfig"]["NetworkMode"], "host");
    assert_eq!(found["State"]["Running"], true);
}

/// The program, run by the stack's person, who may use the engine.
fn as_person(stack: &Stack, args: &[&str]) -> Run {
    let engine = std::fs::metadata("/var/run/docker.sock").unwrap().gid().to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "1722830498", "--regid", "1722830498", "--groups", &engine]);
    command.arg(stack.root().join("program")).args(args);
    Run(command.current_dir(stack.root()).env("HOME", "/nonexistent").output().unwrap())
}

#[test]
fn people_mount_from_the_folders_of_their_group_alone() {
    let (stack, person) = built("");
    let root = stack.root().canonicalize().unwrap();
    let limits = format!(
        "limits: {{groups: {{student: {{mounts: [{0}/scratch, {{path: {0}/datasets, read_only: true}}]}}}}}}\n",
        root.display()
    );
    let spec = std::fs::read_to_string(root.join("spec.yml")).unwrap();
    stack.write("spec.yml", spec + &limits).write("datasets/one", "1").write("other/x", "x");
    stack.write("scratch/theirs/x", "x").write("scratch/of-root/x", "x");
    let program = env!("CARGO_BIN_EXE_ds01-build");
    // By another process: see the tests of setup.
    assert!(
        Command::new("install")
            .args(["-m", "755", program])
            .arg(root.join("program"))
            .status()
            .unwrap()
            .success()
    );
    assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(&root).status().unwrap().success());
    std::os::unix::fs::chown(root.join("scratch/theirs"), Some(1722830498), None).unwrap();
    std::os::unix::fs::symlink(root.join("other"), root.join("scratch/theirs/out")).unwrap();

    let dry = |words: &[&str]| {
        as_person(&stack, &[&["deploy", &person.project, "--dry-run", "--json"], words].concat())
    };
    let work = ["--workspace", "scratch/theirs/work"];
    let words = [&work[..], &["--data", "datasets", "--models", "scratch/of-root"]].concat();
    let request: Value = serde_json::from_str(&dry(&words).expect(0).out()).unwrap();
    let mounts: Vec<_> = request["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| {
            let source = mount["source"].as_str().unwrap().strip_prefix(root.to_str().unwrap()).unwrap();
            (mount["target"].as_str().unwrap(), source, mount["read_only"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(
        mounts,
        [
            ("/workspace", "/scratch/theirs/work", false),
            ("/data", "/datasets", true),
            // They could not write there themselves.
            ("/models", "/scratch/of-root", true),
        ]
    );
    for (words, expected) in [
        (&["--workspace", "other"][..], "in no folder that group `student` may mount"),
        (&["--workspace", "datasets"], "for reading only"),
        (&["--workspace", "scratch/of-root"], "you may not write to"),
        (&["--workspace", "scratch/theirs/out"], "leads out of"),
        (&[work[0], work[1], "--data", "scratch/theirs/out"], "leads out of"),
        (&[work[0], work[1], "--mount", "/etc/shadow:/shadow"], "in no folder"),
    ] {
        let fixed = ["deploy", &person.project, "--dry-run"];
        let said = as_person(&stack, &[&fixed, words].concat()).expect(5).err();
        // Messages are wrapped at the width of a page.
        let said = said.replace("\n      | ", " ");
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    let said = stack.run(&["deploy", &person.project, "--workspace", "scratch/theirs/out"]).expect(5).err();
    assert!(said.contains("leads out of"), "an administrator does not follow it either: {said}");

    as_person(&stack, &[&["deploy", &person.project], &words[..]].concat()).expect(0);
    docker(&["exec", &person.container, "sh", "-c", "echo mine > /workspace/file && cat /data/one"]);
    assert_eq!(std::fs::read_to_string(root.join("scratch/theirs/work/file")).unwrap(), "mine\n");
}
