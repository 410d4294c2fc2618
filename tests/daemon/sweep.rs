//! `container sweep` on real containers: a warning first, and only in a later
//! sweep an end. Other tests' containers are on the same engine, so each sweep
//! is by a spec whose groups are its own: all others are left alone.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::client::docker;
use crate::nvml::{Nvml, gpu, whole};
use crate::stack::{BASE, Stack};

/// The group of this test's containers.
fn group(stack: &Stack) -> String {
    format!("g{}", stack.id)
}

/// A spec whose only known group with limits is the test's own.
fn stack(lifetime: &str, exempt: &str) -> Stack {
    let stack = Stack::new();
    // No container of other tests is touched: its group is for ever.
    let never = "{longest_run: never, idle: never, stopped: never, never_started: never}";
    let limits = format!(
        "limits:\n  defaults: {never}\n  groups:\n    {}: {{{lifetime}}}\n\
         {}\n  exempt: [{exempt}]\n",
        group(&stack),
        ["student", "researcher", "faculty", "admin"].map(|group| format!("    {group}: {never}")).join("\n"),
    );
    stack.spec_with("tool:\n  base: busybox", &limits);
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\n");
    stack
}

impl Stack {
    /// Creates a container of ann's in the test's group; its whole name.
    fn made(&self, verb: &str, name: &str, labels: &[&str]) -> String {
        let name = format!("{name}-{}", self.id);
        let group = format!("ds01.group={}", group(self));
        let mut args = vec![verb, "--name", &name];
        if verb == "run" {
            args.push("-d");
        }
        for label in ["ds01.managed=true", "ds01.user=ann", &group].iter().chain(labels) {
            args.extend(["--label", label]);
        }
        docker(&[&args[..], &["--init", BASE, "sleep", "1000"]].concat());
        name
    }

    /// One sweep with the state of this test.
    fn sweep(&self, args: &[&str]) -> Value {
        let state = self.root().join("state/sweep.json");
        let all = [&["container", "sweep", "--json", "--state", state.to_str().unwrap()], args].concat();
        let run = self.run(&all);
        let told: Value =
            serde_json::from_str(&run.out()).unwrap_or_else(|_| panic!("{}{}", run.out(), run.err()));
        let untold = told["steps"].as_array().unwrap().iter().any(|step| !step["untold"].is_null());
        run.expect(if untold { 3 } else { 0 });
        told
    }
}

/// What a sweep did about a container: `warn longest_run done`.
fn step(sweep: &Value, container: &str) -> String {
    let steps = sweep["steps"].as_array().unwrap().iter();
    let mine = steps.filter(|step| step["container"] == container);
    let word = |step: &Value| {
        let [step, rule, outcome] = ["step", "rule", "outcome"].map(|key| step[key].as_str().unwrap_or("-"));
        format!("{step} {rule} {outcome}")
    };
    mine.map(word).collect::<Vec<_>>().join(", ")
}

fn state_of(container: &str) -> String {
    docker(&["inspect", "--format", "{{.State.Status}}", container])
}

fn pause() {
    std::thread::sleep(Duration::from_millis(2100));
}

#[test]
fn a_container_is_warned_of_stopped_and_removed_and_others_are_left_alone() {
    let stack = stack("longest_run: 1s, stopped: 1s, warning: 1s", "{container: kept-ID, until: 2999-01-01}");
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    stack.write("spec.yml", spec.replace("ID", &stack.id));
    let runs = stack.made("run", "runs", &[]);
    let guarded = stack.made("run", "guarded", &["ds01.protected=true"]);
    let kept = stack.made("run", "kept", &[]);
    let foreign = stack.made("run", "foreign", &["ds01.managed=false"]);
    let untouched = [("guarded", &guarded), ("kept", &kept), ("foreign", &foreign)];
    // What people hear, by a program of theirs; one that fails changes nothing.
    let heard = stack.root().join("heard");
    stack.write("tell", format!("#!/bin/sh\ncat >>'{}'\necho >>'{0}'\nexit 3\n", heard.display()));
    let tell = stack.root().join("tell");
    std::fs::set_permissions(&tell, std::fs::Permissions::from_mode(0o755)).unwrap();
    let notify = ["--notify", tell.to_str().unwrap()];

    pause();
    let planned = stack.sweep(&[&["--dry-run"], &notify[..]].concat());
    assert_eq!(step(&planned, &runs), "warn longest_run planned");
    assert!(!heard.exists() && !stack.root().join("state").exists(), "nothing was done");

    let first = stack.sweep(&notify);
    assert_eq!(step(&first, &runs), "warn longest_run done");
    assert!(first["steps"].to_string().contains("ended with exit status: 3"), "{first}");
    for (name, container) in untouched {
        assert!(step(&first, container).starts_with("spare "), "{name}: {}", step(&first, container));
    }
    assert_eq!(state_of(&runs), "running", "nobody is stopped unwarned");
    let warning: Value = serde_json::from_str(std::fs::read_to_string(&heard).unwrap().trim()).unwrap();
    assert_eq!((&warning["container"], &warning["owner"]), (&runs.clone().into(), &"ann".into()));
    assert!(warning["text"].as_str().unwrap().contains("stops in 1 s"), "{warning}");

    pause();
    // Who starts it again has its whole time again, and a warning.
    docker(&["restart", "-t", "0", &runs]);
    assert_eq!(step(&stack.sweep(&[]), &runs), "warn longest_run done");
    assert_eq!(state_of(&runs), "running");
    pause();
    // As a journal has it.
    let state = stack.root().join("state/sweep.json");
    let run = stack.run(&["container", "sweep", "--state", state.to_str().unwrap()]).expect(0);
    assert!(run.out().contains(&format!("{runs} (ann): stopped: it has run for ")), "{}", run.out());
    assert!(!run.out().contains(&guarded), "what is usual is not told each time: {}", run.out());
    assert_eq!(state_of(&runs), "exited");

    pause();
    assert_eq!(step(&stack.sweep(&[]), &runs), "warn stopped done");
    assert_eq!(state_of(&runs), "exited");
    pause();
    assert_eq!(step(&stack.sweep(&[]), &runs), "remove stopped done");
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name={runs}")]), "");
    for (name, container) in untouched {
        assert_eq!(state_of(container), "running", "{name}");
    }
}

#[test]
fn a_container_whose_gpu_is_idle_is_stopped_and_one_that_computes_is_not() {
    let stack = stack("idle: 2s, longest_run: never, warning: 1s", "");
    let nvml = Nvml::new(&format!("1 utilization 80\n{}", whole(3)));
    let uuids = |index| format!("ds01.gpu.uuids={}", gpu(index));
    let idle = stack.made("run", "idle", &[&uuids(0)]);
    let busy = stack.made("run", "busy", &[&uuids(1)]);
    let paused = stack.made("run", "paused", &[&uuids(2)]);
    docker(&["pause", &paused]);
    let state = stack.root().join("sweep.json");
    let sweep = || {
        let mut command = stack.command(&["container", "sweep", "--json", "--samples", "2", "--state"]);
        let output = command.arg(&state).env("DS01_NVML_LIBRARY", nvml.library()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let first = sweep();
    assert_eq!(first["idle_unknown"], Value::Null);
    assert_eq!(
        (step(&first, &idle), step(&first, &busy)),
        (String::new(), String::new()),
        "nobody knows since when"
    );
    pause();
    let second = sweep();
    assert_eq!((step(&second, &idle), step(&second, &busy)), ("warn idle done".into(), String::new()));
    // The driver cannot be asked: whoever is idle has more time.
    nvml.say("machine fails init 999\n");
    let blind = sweep();
    assert!(blind["idle_unknown"].is_string() && step(&blind, &idle).is_empty(), "{blind}");
    nvml.say(&format!("1 utilization 80\n{}", whole(3)));
    for expected in ["", "warn idle done", "stop idle done"] {
        let seen = sweep();
        assert_eq!((step(&seen, &idle), step(&seen, &paused)), (expected.to_owned(), expected.to_owned()));
        pause();
    }
    assert_eq!([&idle, &busy, &paused].map(|name| state_of(name)), ["exited", "running", "exited"]);
}

#[test]
fn a_broken_state_is_told_and_only_postpones() {
    let stack = stack("longest_run: 1s, warning: 1s", "");
    let runs = stack.made("run", "runs", &[]);
    pause();
    assert_eq!(step(&stack.sweep(&[]), &runs), "warn longest_run done");
    stack.write("state/sweep.json", "{\"version\": 1, \"loo");
    pause();
    let state = stack.root().join("state/sweep.json");
    let run = stack.run(&["container", "sweep", "--state", state.to_str().unwrap()]).expect(0);
    assert!(run.err().contains("sweep.json cannot be read"), "{}", run.err());
    assert!(run.out().contains(&format!("{runs} (ann): stops in 1 s")), "{}", run.out());
    assert_eq!(state_of(&runs), "running");
    // Where it cannot be kept who was warned, nothing is done.
    let run = stack.run(&["container", "sweep", "--state", "/proc/nowhere/sweep.json"]).expect(2);
    assert!(run.err().contains("nothing was done"), "{}", run.err());
    assert_eq!(state_of(&runs), "running");
}

#[test]
fn without_a_spec_that_can_be_read_nothing_is_swept() {
    let stack = stack("longest_run: 1s, warning: 1s", "");
    let runs = stack.made("run", "runs", &[]);
    let state = stack.root().join("sweep.json");
    let sweep = ["container", "sweep", "--state", state.to_str().unwrap()];
    stack.write("spec.yml", "version: 1\nlimits: {groups: {student: {longest_run: soon}}}\n");
    stack.run(&sweep).expect(2);
    assert!(!state.exists());
    assert_eq!(state_of(&runs), "running");
}
