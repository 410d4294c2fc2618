//! Figures for monitoring from a real engine; the GPUs are a stand-in's.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::client::docker;
use crate::nvml::{Nvml, gpu, whole};
use crate::stack::{BASE, Stack};

fn metrics(stack: &Stack, nvml: &Nvml, args: &[&str]) -> Output {
    let mut command = stack.command(&[&["metrics"], args].concat());
    command.env("DS01_NVML_LIBRARY", nvml.library()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value of a figure that begins so.
fn figure(text: &str, begins: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(begins))?;
    Some(line.rsplit_once(' ').unwrap().1.parse().unwrap())
}

#[test]
fn gpus_containers_images_and_the_last_run_are_told() {
    let stack = Stack::new();
    let (id, nvml) = (&stack.id, Nvml::new(&whole(2)));
    stack
        .spec("app:\n  base: busybox")
        .write("images/app/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN true\n");
    stack.build(&[]).expect(0);
    let (name, user) = (format!("held-{id}"), format!("ann-{id}"));
    let labels = [
        "ds01.managed=true".to_owned(),
        format!("ds01.user={user}"),
        "ds01.group=faculty".to_owned(),
        format!("ds01.gpu.uuids={}", gpu(1)),
    ];
    let labels: Vec<&str> = labels.iter().flat_map(|label| ["--label", label.as_str()]).collect();
    docker(&[&["create", "--name", &name], labels.as_slice(), &[BASE, "sh"]].concat());

    let output = metrics(&stack, &nvml, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    for part in ["engine", "nvml"] {
        assert_eq!(figure(&told, &format!("ds01_up{{part=\"{part}\"}}")), Some(1.0), "{told}");
    }
    let held = format!("ds01_gpu_held{{gpu=\"1\",uuid=\"{}\",container=\"{name}\",user=\"{user}\"}}", gpu(1));
    assert_eq!(figure(&told, &held), Some(1.0), "{told}");
    let containers = format!("ds01_containers{{user=\"{user}\",group=\"faculty\",state=\"created\"}}");
    assert_eq!(figure(&told, &containers), Some(1.0), "{told}");
    assert!(figure(&told, "ds01_images{state=\"tagged\"}").unwrap() >= 1.0, "{told}");
    assert_eq!(figure(&told, "ds01_last_build_images{result=\"built\"}"), Some(1.0), "{told}");
    assert!(figure(&told, "ds01_last_build_timestamp_seconds").unwrap() > 1.7e9, "{told}");

    // The next run keeps what the first built, and is the last one then.
    stack.build(&[]).expect(0);
    let file = stack.root().join("ds01.prom");
    let output = metrics(&stack, &nvml, &["--output", "ds01.prom"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    let told = std::fs::read_to_string(&file).unwrap();
    assert_eq!(figure(&told, "ds01_last_build_images{result=\"kept\"}"), Some(1.0), "{told}");
    assert_eq!(figure(&told, "ds01_last_build_images{result=\"built\"}"), Some(0.0), "{told}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn a_part_that_does_not_answer_is_absent_and_the_others_are_told() {
    let stack = Stack::new();
    let nowhere = ["--engine", "unix:///nowhere/engine.sock", "--output", "ds01.prom"];
    let output = metrics(&stack, &Nvml::new(&whole(1)), &nowhere);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("no engine answers"), "{}", text(&output.stderr));
    let told = std::fs::read_to_string(stack.root().join("ds01.prom")).unwrap();
    assert_eq!(figure(&told, "ds01_up{part=\"engine\"}"), Some(0.0), "{told}");
    assert!(told.contains("ds01_gpu_info") && !told.contains("ds01_containers"), "{told}");
    // Neither: monitoring is to learn even that.
    let mut command = stack.command(&[&["metrics"], nowhere.as_slice()].concat());
    let output = command.env("DS01_NVML_LIBRARY", "/nowhere/libnvml.so").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let told = std::fs::read_to_string(stack.root().join("ds01.prom")).unwrap();
    assert!(told.contains("ds01_up{part=\"nvml\"} 0") && !told.contains("ds01_gpu"), "{told}");
}
