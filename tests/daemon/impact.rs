//! What a change would cost, asked of a real stack.

use serde_json::Value;

use crate::client::docker;
use crate::stack::{Person, Stack};

fn built() -> (Stack, Person) {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox\n  build_args: {SIZE: \"300\"}\nside:\n  base: busybox");
    let copies = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY data /data\n";
    let fills = "ARG SIZE\nRUN dd if=/dev/zero of=/zeros bs=1000 count=$SIZE\n";
    stack.write("images/tool/Dockerfile", format!("{copies}{fills}"));
    stack.write("images/tool/data", "tool").write("images/tool/README.md", "read by nobody");
    stack.write("images/side/Dockerfile", copies).write("images/side/data", "side");
    let person = stack.project("tool", "");
    stack.build(&[]).expect(0);
    (stack, person)
}

fn ask(stack: &Stack, name: &str) -> Value {
    serde_json::from_str(&stack.run(&["impact", name, "--json"]).expect(0).out()).unwrap()
}

fn names(impact: &Value) -> Vec<&str> {
    impact["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect()
}

#[test]
fn a_change_tells_whom_it_reaches_what_runs_and_what_it_writes() {
    let (stack, person) = built();
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);
    let by_hand = format!("by-hand-{}", stack.id);
    docker(&["create", "--name", &by_hand, &format!("{}:t-main", stack.repository("side")), "true"]);
    let project = format!("{}/{}", person.account, person.project);
    let mine = ["tool", project.as_str()];

    for name in ["tool", "SIZE", "SIZE=5", "images/tool/data", "images/tool/Dockerfile"] {
        assert_eq!(names(&ask(&stack, name)), mine, "{name}");
    }
    let tool = ask(&stack, "tool");
    let written = tool["images"][0]["bytes"].as_u64().unwrap();
    assert!((300_000..310_000).contains(&written), "the file of zeros and four letters: {written}");
    assert_eq!(tool["users"][0]["login"], person.login.as_str());
    let on = &tool["containers"];
    assert_eq!((on.as_array().unwrap().len(), &on[0]["name"]), (1, &person.container.as_str().into()));
    assert_eq!((&on[0]["running"], &on[0]["owner"]), (&true.into(), &person.login.as_str().into()));

    for name in ["busybox", crate::stack::BASE] {
        let base = ask(&stack, name);
        assert_eq!(names(&base), ["tool", "side", project.as_str()], "{name}");
        let on: Vec<_> = base["containers"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
        assert_eq!(on, [by_hand.as_str(), person.container.as_str()], "{name}");
    }
    let shown = stack.run(&["impact", "busybox"]).expect(0).out();
    let last = shown.lines().last().unwrap();
    assert!(last.starts_with("3 images, 1 user, 1 running and 1 stopped container, "), "{shown}");

    for name in ["SIZE=300", "images/tool/README.md"] {
        assert!(names(&ask(&stack, name)).is_empty(), "{name}");
    }
    let said = stack.run(&["impact", "tol"]).expect(2).err();
    assert!(said.contains("did you mean `tool`?"), "{said}");
}

#[test]
fn what_is_told_is_what_is_rebuilt() {
    let (stack, _person) = built();
    let told: Vec<String> = names(&ask(&stack, "images/tool/data")).iter().map(ToString::to_string).collect();
    stack.write("images/tool/data", "changed");
    let mut built = stack.build(&[]).expect(0).built();
    built.sort_by_key(|name| told.iter().position(|other| other == name));
    assert_eq!(built, told);
}

#[test]
fn without_an_engine_or_its_base_the_graph_still_answers() {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN true\n");
    let gone = ["impact", "tool", "--engine", "unix:///nowhere/docker.sock"];
    let run = stack.run(&gone).expect(0);
    assert!(run.err().contains("sizes and containers are unknown: no engine answers"), "{}", run.err());
    assert_eq!(run.out().lines().last(), Some("1 image, 0 users, never timed"));
    stack.run(&["impact", "tool", "--base", "busybox=nowhere.invalid/none:1"]).expect(0);
}
