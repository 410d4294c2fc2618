//! What the program says of an edit, an image and a container, as typed.

use std::process::Command;

use serde_json::Value;

use crate::client::docker;
use crate::stack::{Stack, image_id};

const TOP: &str = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG COLOUR\nARG API_TOKEN\nCOPY bin /own\nRUN echo $COLOUR > /colour\n";

/// top → leaf; `top` copies a folder and takes two args.
fn stack() -> Stack {
    let stack = Stack::new();
    spec(&stack, "red", "hunter2");
    stack.write("images/top/Dockerfile", TOP);
    stack.write("images/top/bin/csv-report", "one\n");
    stack.write("images/leaf/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN true\n");
    stack
}

fn spec(stack: &Stack, colour: &str, token: &str) {
    stack.spec(&format!(
        "top:\n  base: busybox\n  build_args: {{COLOUR: {colour}, API_TOKEN: {token}, RUN: {}}}\nleaf:\n  depend_on: top",
        stack.id
    ));
}

/// SHA-256 of `one` and `two`, each with its line end.
const ONE_TWO: &str = "2c8b08da5ce6 → 27dd8ed44a83";

#[test]
fn an_edited_file_is_told_by_plan_and_why_with_its_last_commit() {
    let stack = stack();
    stack.build(&[]).expect(0);
    stack.write("images/top/bin/csv-report", "two\n");
    let plan = stack.run(&["plan"]).expect(0).out();
    assert!(plan.contains(&format!("context changed: bin/csv-report {ONE_TWO}")), "{plan}");
    let why = stack.run(&["why", "leaf"]).expect(0).out();
    let told = format!("because context changed: images/top/bin/csv-report {ONE_TWO}\n");
    assert!(why.starts_with("leaf will be built  (spec.yml:"), "{why}");
    assert!(why.contains("  because top is rebuilt\n") && why.ends_with(&told), "{why}");

    git(&stack, &["init", "-q"]);
    git(&stack, &["add", "images"]);
    git(&stack, &["commit", "-qm", "fix the report"]);
    let why = stack.run(&["why", "leaf"]).expect(0).out();
    assert!(why.contains("\"fix the report\" by Ann)"), "{why}");
}

fn git(stack: &Stack, args: &[&str]) {
    let who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
    let status = Command::new("git").args(who).args(args).current_dir(stack.root()).status().unwrap();
    assert!(status.success());
}

#[test]
fn an_arg_is_told_by_its_values_and_a_secret_is_nowhere() {
    let stack = stack();
    stack.build(&[]).expect(0);
    spec(&stack, "blue", "hunter3");
    let plan = stack.run(&["plan"]).expect(0).out();
    assert!(plan.contains("args changed: API_TOKEN sha256:") && plan.contains("COLOUR red → blue"), "{plan}");
    let why = stack.run(&["why", "top", "--json"]).expect(0).out();
    let built = stack.build(&[]).expect(0).out();
    let kept = stack.run(&["why", "top", "-v"]).expect(0).out();
    assert!(kept.starts_with("top is up to date") && kept.contains("COLOUR blue"), "{kept}");
    let labels = docker(&[
        "image",
        "inspect",
        "-f",
        "{{json .Config.Labels}}",
        &format!("{}:t-main", stack.repository("top")),
    ]);
    assert!(labels.contains("ds01.build.record") && labels.contains("csv-report"), "{labels}");
    let records =
        Command::new("grep").args(["-r", "hunter", ".cache"]).current_dir(stack.root()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&records.stdout), "");
    for text in [plan, why, built, kept, labels] {
        assert!(!text.contains("hunter"), "{text}");
    }
    let child: Value = serde_json::from_str(&docker(&[
        "image",
        "inspect",
        "-f",
        "{{json .Config.Labels}}",
        &format!("{}:t-main", stack.repository("leaf")),
    ]))
    .unwrap();
    assert!(!child["ds01.build.record"].as_str().unwrap().contains("COLOUR"), "not its parent's: {child}");
}

#[test]
fn without_records_the_same_is_built_and_the_label_still_tells() {
    let stack = stack();
    stack.build(&[]).expect(0);
    let id = image_id(&format!("{}:t-main", stack.repository("top"))).unwrap();
    std::fs::remove_dir_all(stack.root().join(".cache")).unwrap();
    assert!(stack.build(&[]).expect(0).ended().is_empty());
    assert_eq!(image_id(&format!("{}:t-main", stack.repository("top"))), Some(id));
    stack.write("images/top/bin/csv-report", "two\n");
    let plan = stack.run(&["plan"]).expect(0).out();
    assert!(plan.contains(&format!("context changed: bin/csv-report {ONE_TWO}")), "{plan}");
    stack.write("images/top/bin/csv-report", "one\n");
    stack.write("images/top/Dockerfile", TOP.replace("echo", "printf"));
    let plan = stack.run(&["plan"]).expect(0).out();
    assert!(plan.contains("dockerfile changed: content "), "{plan}");
}

#[test]
fn a_changed_line_and_a_failed_try_are_told() {
    let stack = stack();
    stack.build(&[]).expect(0);
    stack.write("images/top/Dockerfile", TOP.replace("RUN echo $COLOUR > /colour", "RUN exit 7"));
    let plan = stack.run(&["plan"]).expect(0).out();
    assert!(plan.contains("dockerfile changed: line 6: RUN echo $COLOUR > /colour → RUN exit 7"), "{plan}");
    stack.build(&[]).expect(1);
    let why = stack.run(&["why", "leaf"]).expect(0).out();
    assert!(why.contains("images/top/Dockerfile line 6: RUN echo"), "{why}");
    assert!(why.contains("the last try failed: ") && why.contains("exit code 7"), "{why}");
}

#[test]
fn a_container_is_told_from_itself_back_to_the_line_of_the_spec() {
    let stack = stack();
    let person = stack.project("top", "");
    stack.build(&[]).expect(0);
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);
    let why = stack.run(&["why", &person.container]).expect(0).out();
    let runs =
        format!("{} runs {}/{}  (projects/one.yml:1)\n", person.container, person.account, person.project);
    assert!(why.starts_with(&runs), "{why}");
    assert!(why.contains("it is what the spec says") && why.contains(&stack.repository("top")), "{why}");

    // The image of that name wins, and says so.
    let image = stack.run(&["why", &person.project]).expect(0);
    assert!(image.out().contains("is up to date") && image.err().contains("--container"), "{}", image.err());
    let id = docker(&["inspect", "-f", "{{.Id}}", &person.container]);
    let by_id = stack.run(&["why", &id[..8], "--json"]).expect(0).out();
    let by_id: Value = serde_json::from_str(&by_id).unwrap();
    assert_eq!(by_id["container"], person.container.as_str());
    assert_eq!(by_id["standing"]["standing"], "current");

    stack.write("images/top/bin/csv-report", "two\n");
    let why = stack.run(&["why", &person.container]).expect(0).out();
    assert!(why.contains("its image would be built again\n    because top is rebuilt"), "{why}");
    stack.build(&[]).expect(0);
    let why = stack.run(&["why", &person.container]).expect(0).out();
    assert!(why.contains("a newer image is there: sha256:") && why.contains("base changed: "), "{why}");

    std::fs::remove_file(stack.root().join("projects/one.yml")).unwrap();
    stack.write("projects/other.yml", "{}");
    let why = stack.run(&["why", &person.container]).expect(0).out();
    assert!(why.contains("the spec has no image that it was made from"), "{why}");
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = stack.command(&["why", &person.container]);
    let output = command.current_dir(elsewhere.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_unknown_name_is_refused_with_what_was_perhaps_meant() {
    let stack = stack();
    let said = stack.run(&["why", "tpo"]).expect(2).err();
    assert!(
        said.contains("no image and no container `tpo`") && said.contains("did you mean `top`?"),
        "{said}"
    );
    let said = stack.run(&["why", "top", "--container"]).expect(5).err();
    assert!(said.contains("there is no container `top`"), "{said}");
    let told = stack.run(&["why", "busybox"]).expect(0).out();
    assert!(
        told.starts_with("busybox is not built here  (spec.yml:4)") && told.contains("on the engine"),
        "{told}"
    );
}
