//! What people get wrong, and what they are told: the right exit code, a
//! sentence that names the thing, nothing half-written.

use std::os::unix::ffi::OsStrExt;

use crate::no_buildkit::NoBuildKit;
use crate::stack::Stack;

const DOCKERFILE: &str = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY . /all\n";

fn one() -> Stack {
    let stack = Stack::new();
    stack.spec("one:\n  base: busybox").write("images/one/Dockerfile", DOCKERFILE);
    stack
}

/// Runs, expects the code, and expects each part in what is said.
#[track_caller]
fn says(stack: &Stack, args: &[&str], code: i32, parts: &[&str]) {
    let said = stack.run(args).expect(code).err();
    for part in parts {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
}

#[test]
fn an_engine_that_does_not_answer_is_exit_3() {
    let stack = one();
    says(
        &stack,
        &["build", "--engine", "unix:///nowhere.sock"],
        3,
        &["no engine answers at", "/nowhere.sock", "--engine"],
    );
    says(&stack, &["build", "--engine", "tcp://127.0.0.1:9"], 3, &["no engine answers at", "127.0.0.1:9"]);
    says(&stack, &["plan", "--engine", "not an address"], 3, &["is not an engine address", "unix://"]);
}

#[test]
fn a_graph_without_states_is_still_one_document() {
    let said = one().run(&["graph", "--json", "--engine", "unix:///nowhere.sock"]).expect(3);
    let graph: serde_json::Value = serde_json::from_str(&said.out()).unwrap();
    assert!(graph["nodes"].is_array(), "{graph}");
    assert!(said.err().contains("the states are unknown: no engine answers"), "{}", said.err());
}

#[test]
fn an_engine_without_buildkit_is_named_as_such() {
    let stack = one();
    let engine = NoBuildKit::start();
    let said = stack.run(&["build", "--engine", &engine.address]).expect(3).err();
    assert!(said.contains("no BuildKit"), "{said}");
}

#[test]
fn a_dockerfile_that_is_not_there_is_shown_at_the_image() {
    let stack = Stack::new();
    stack.spec("one:\n  base: busybox\n  dockerfile: nowhere/Dockerfile");
    says(&stack, &["check"], 2, &["spec.yml:", "there is no file `nowhere/Dockerfile`"]);
}

#[test]
fn a_context_outside_the_repository_is_refused() {
    let stack = Stack::new();
    stack.write("images/one/Dockerfile", DOCKERFILE);
    stack.spec("one:\n  base: busybox\n  context: ../elsewhere");
    says(&stack, &["check"], 2, &["spec.yml:", "../elsewhere"]);
    std::os::unix::fs::symlink("/etc", stack.root().join("link")).unwrap();
    stack.spec("one:\n  base: busybox\n  context: link");
    says(&stack, &["check"], 2, &["spec.yml:", "link"]);
}

#[test]
fn all_problems_of_a_spec_are_shown_at_once() {
    let stack = Stack::new();
    stack.spec("../evil:\n  base: busybox\ntwo:\n  depend_on: nobody\nthree:\n  base: busybox\n  build_args: {A: \"x\\ny\"}\n  colour: red");
    says(&stack, &["check"], 2, &["../evil", "nobody", "build arg", "colour"]);
}

#[test]
fn a_spec_of_50_mb_and_exploding_aliases_are_refused_quickly() {
    let stack = Stack::new();
    stack.write("spec.yml", vec![b'#'; 50 << 20]);
    says(&stack, &["check"], 2, &["spec.yml", "MiB"]);
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in
        ["a", "b", "c", "d", "e", "f", "g", "h"].iter().zip(["b", "c", "d", "e", "f", "g", "h", "i"])
    {
        bomb += &format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 9].join(", "));
    }
    stack.write("spec.yml", bomb);
    says(&stack, &["check"], 2, &["spec.yml", "alias"]);
}

#[test]
fn a_file_name_that_is_not_utf8_is_named() {
    let stack = one();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(stack.root().join("images/one").join(name), "x").unwrap();
    says(&stack, &["plan"], 2, &["caf", "UTF-8"]);
}

#[test]
fn without_a_spec_the_next_step_is_told() {
    let stack = Stack::new();
    says(&stack, &["plan"], 2, &["spec.yml", "--spec"]);
}

#[test]
fn a_name_nobody_knows_lists_near_ones() {
    let stack = one();
    says(&stack, &["build", "onne"], 2, &["onne", "one"]);
    says(&stack, &["deploy", "onne"], 2, &["onne"]);
}

#[test]
fn a_secret_that_an_image_needs_and_nobody_gave_is_named() {
    let stack = Stack::new();
    stack.spec("one:\n  base: busybox\n  secrets: [token]");
    let step = "RUN --mount=type=secret,id=token test \"$(cat /run/secrets/token)\" = open";
    stack.write("images/one/Dockerfile", format!("ARG BASE_IMAGE\nFROM $BASE_IMAGE\n{step}\n"));
    says(&stack, &["build"], 2, &["spec.yml:", "`one` needs the secret `token`", "--secret token=FILE"]);
    stack.write("token", "open");
    stack.run(&["build", "--secret", "token=token"]).expect(0);
}

#[test]
fn a_base_that_is_nowhere_is_exit_3_at_its_line() {
    let stack = Stack::new();
    stack.spec("one:\n  base: busybox").write("images/one/Dockerfile", DOCKERFILE);
    let other = "busybox=127.0.0.1:9/nobody/nothing:1";
    says(&stack, &["build", "--base", other], 3, &["spec.yml:", "127.0.0.1:9/nobody/nothing:1", "--base"]);
}
