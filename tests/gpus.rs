//! `gpu list` on machines of every kind, through a library that stands in for
//! NVIDIA's. No engine is asked but in `tests/daemon/gpus.rs`.

mod nvml;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nvml::{Nvml, divided, gpu, mig, whole};
use serde_json::Value;

fn command(library: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ds01-build"));
    command.args(["gpu", "list"]).args(args).env_clear().current_dir(std::env::temp_dir());
    // Nobody answers there.
    command.env("DOCKER_HOST", "unix:///nowhere/engine.sock").env("DS01_NVML_LIBRARY", library);
    command
}

fn run(nvml: &Nvml, args: &[&str]) -> Output {
    command(&nvml.library(), args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(nvml: &Nvml) -> Value {
    let output = run(nvml, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn eight_whole_gpus_are_listed_and_without_an_engine_none_is_free() {
    let output = run(&Nvml::new(&whole(8)), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains("no engine answers at unix:///nowhere/engine.sock"), "{said}");
}

#[test]
fn a_divided_a_lost_and_a_failing_gpu_are_listed_side_by_side() {
    let description = format!(
        "2 fails handle 15\n3 fails memory 999\n3 fails process 4\n\
         0.6 process 4294967 1000\n{}{}",
        divided(2).replace("machine gpus 2", "machine gpus 4"),
        whole(4)
            .lines()
            .filter(|line| line.starts_with('3'))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    let nvml = Nvml::new(&description);
    let output = run(&nvml, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout));
    insta::assert_snapshot!("what_json_says_of_them", text(&run(&nvml, &["--json"]).stdout));
}

#[test]
fn processes_appear_between_two_looks() {
    let nvml = Nvml::new(&whole(2));
    let standing = |seen: &Value, at: usize| seen["gpus"][at]["usage"]["standing"].clone();
    let before = json(&nvml);
    assert_eq!((standing(&before, 0), standing(&before, 1)), ("unknown".into(), "unknown".into()));
    let own = std::process::id();
    nvml.say(&format!("1 process {own} 1048576\n{}", whole(2)));
    let after = json(&nvml);
    assert_eq!((standing(&after, 0), standing(&after, 1)), ("unknown".into(), "busy".into()));
    let process = &after["gpus"][1]["usage"]["processes"][0];
    assert_eq!((&process["pid"], &process["kind"]), (&own.into(), &"compute".into()));
    assert_eq!(process["memory_bytes"], 1_048_576);
}

#[test]
fn watching_is_one_line_for_each_look_and_ends_with_its_reader() {
    let nvml = Nvml::new(&divided(1));
    let mut child = command(&nvml.library(), &["--watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut look = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let first = look();
    assert_eq!(first["gpus"][0]["instances"][6]["uuid"], mig(0, 6));
    nvml.say(&whole(1));
    // A look that had begun before may still show the old state.
    let mut later = (0..5).map(|_| look());
    assert!(later.any(|seen| seen["gpus"][0]["mig"] == false && seen["gpus"][0]["uuid"] == gpu(0)));
    // A driver that goes away in between is a state, and no end.
    nvml.say("machine fails init 9\n");
    assert!((0..5).map(|_| look()).any(|seen| seen["driver"]["state"] == "no_driver"));
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_machine_without_gpus_is_told_what_is_missing() {
    let nvml = Nvml::new("");
    for (code, state, sentence) in [
        (9, "no_driver", "the driver is not loaded"),
        (4, "no_permission", "this user may not reach the driver"),
        (18, "mismatch", "of different versions"),
        (999, "failed", "an internal driver error occurred"),
    ] {
        nvml.say(&format!("machine fails init {code}\n"));
        let output = run(&nvml, &[]);
        assert_eq!(output.status.code(), Some(3), "{state}");
        assert!(output.stdout.is_empty(), "{state}");
        assert!(text(&output.stderr).contains(sentence), "{state}: {}", text(&output.stderr));
        let output = run(&nvml, &["--json"]);
        assert_eq!(output.status.code(), Some(3), "{state}");
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&seen["driver"]["state"], &seen["gpus"]), (&state.into(), &serde_json::json!([])));
    }
    let output = command(Path::new("/nowhere/libnvml.so"), &["--watch"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains("no NVIDIA library") && said.contains("DS01_NVML_LIBRARY"), "{said}");
}

#[test]
fn a_driver_that_sees_no_gpu_says_so() {
    let output = run(&Nvml::new(&whole(0)), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("sees no GPU"), "{}", text(&output.stderr));
}
