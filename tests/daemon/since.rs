//! `--since REV`: git narrows what is planned and built, and nothing else.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stack::{Run, Stack};

const DOCKERFILE: &str = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY . /all\n";

/// Git as on a machine without configuration.
pub fn git(at: &Path, args: &[&str]) {
    let output = Command::new("git")
        .current_dir(at)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// top → {left → leaf, right}, committed.
fn committed() -> Stack {
    let stack = Stack::new();
    stack.spec(
        "top:\n  base: busybox\nleft:\n  depend_on: top\nright:\n  depend_on: top\nleaf:\n  depend_on: left",
    );
    for name in ["top", "left", "right", "leaf"] {
        stack.write(&format!("images/{name}/Dockerfile"), DOCKERFILE);
        stack.write(&format!("images/{name}/data"), name);
    }
    stack.write(".gitignore", ".state\n.cache\n");
    git(stack.root(), &["init", "--quiet", "--initial-branch=main"]);
    commit(&stack);
    stack
}

fn commit(stack: &Stack) {
    git(stack.root(), &["add", "--all"]);
    git(stack.root(), &["commit", "--quiet", "--message", "change"]);
}

fn planned(run: &Run) -> Vec<String> {
    let plan: Value = serde_json::from_str(&run.out()).unwrap();
    let images = plan["images"].as_array().unwrap().iter();
    images.map(|image| image["name"].as_str().unwrap().to_owned()).collect()
}

/// A pin of the stack's base, all digits the same.
fn pin(stack: &Stack, digit: &str) {
    let digest = digit.repeat(64);
    let base = crate::stack::BASE;
    stack.write("spec.lock", format!("version: 1\nimages:\n  {base}:\n    digest: sha256:{digest}\n"));
}

#[test]
fn a_pin_that_moved_is_a_change_and_a_first_pin_is_none() {
    let stack = committed();
    pin(&stack, "1");
    // The base is in this engine alone; the pin cannot be had, so nothing is planned but the narrowing.
    let first = stack.run(&["plan", "--since", "HEAD"]).expect(0);
    assert!(first.err().contains("nothing changed since HEAD"), "{}", first.err());
    commit(&stack);
    pin(&stack, "2");
    let moved = stack.run(&["plan", "--since", "HEAD"]);
    assert!(moved.err().contains("changed since HEAD: 4 of 4 images"), "{}", moved.err());
}

#[test]
fn what_changed_is_built_on_what_it_stands_on_and_nothing_beside_it() {
    let stack = committed();
    stack.write("images/left/data", "changed");
    commit(&stack);
    let plan = stack.run(&["plan", "--json", "--since", "HEAD~1"]).expect(0);
    assert_eq!(planned(&plan), ["top", "left", "leaf"]);
    assert!(plan.err().contains("changed since HEAD~1: 2 of 4 images: left, leaf"), "{}", plan.err());
    let run = stack.build(&["--since", "HEAD~1"]).expect(0);
    assert_eq!(run.built(), ["top", "left", "leaf"]);
    let whole = stack.build(&[]).expect(0);
    assert_eq!(whole.built(), ["right"], "a build of everything makes of it what it always does");
}

#[test]
fn where_images_are_named_those_that_changed_are_selected() {
    let stack = committed();
    stack.write("images/left/data", "changed");
    stack.write("images/right/data", "changed");
    assert_eq!(
        planned(&stack.run(&["plan", "--json", "right", "--since", "HEAD"]).expect(0)),
        ["top", "right"]
    );
    let none = stack.run(&["plan", "--json", "top", "--since", "HEAD"]).expect(0);
    assert!(planned(&none).is_empty());
    assert!(none.err().contains("nothing of what is named changed since HEAD"), "{}", none.err());
}

#[test]
fn when_nothing_changed_no_engine_is_asked() {
    let stack = committed();
    let nowhere = ["--engine", "unix:///nowhere.sock", "--since", "HEAD"];
    for command in [&["plan"][..], &["build"], &["build", "--dry-run"]] {
        let run = stack.run(&[command, &nowhere].concat()).expect(0);
        assert_eq!((run.out(), run.err()), (String::new(), "nothing changed since HEAD\n".into()));
    }
    let plan = stack.run(&[&["plan", "--json"][..], &nowhere].concat()).expect(0);
    assert!(planned(&plan).is_empty());
    let events = stack.build(&nowhere).expect(0).events();
    assert_eq!(events.last().unwrap()["event"], "run_finished");
}

#[test]
fn what_cannot_be_known_is_said_and_selects_everything() {
    let stack = committed();
    let all = ["top", "left", "right", "leaf"];
    let unknown = stack.run(&["plan", "--json", "--since", "nowhere"]).expect(0);
    assert_eq!(planned(&unknown), all);
    assert!(unknown.err().contains("cannot be known, so everything is selected: `nowhere` names no commit"));
    stack
        .write("spec.yml", std::fs::read_to_string(stack.root().join("spec.yml")).unwrap() + "colour: red\n");
    commit(&stack);
    git(stack.root(), &["checkout", "--quiet", "HEAD~1", "--", "spec.yml"]);
    let unreadable = stack.run(&["plan", "--json", "--since", "HEAD"]).expect(0);
    assert_eq!(planned(&unreadable), all);
    assert!(unreadable.err().contains("not as they have to be today: spec.yml:"), "{}", unreadable.err());
    std::fs::remove_dir_all(stack.root().join(".git")).unwrap();
    let plain = stack.run(&["plan", "--json", "--since", "HEAD"]).expect(0);
    assert_eq!(planned(&plain), all);
    assert!(plain.err().contains("the spec lies in no git repository"), "{}", plain.err());
    let mut without_git = stack.command(&["plan", "--json", "--since", "HEAD"]);
    let run = Run(without_git.env("PATH", "/nowhere").output().unwrap()).expect(0);
    assert!(run.err().contains("git is not installed"), "{}", run.err());
}

#[test]
fn a_revision_that_looks_like_an_option_is_refused() {
    let stack = committed();
    let run = stack.run(&["plan", "--since=--output=x"]).expect(2);
    assert!(run.err().contains("`--output=x` is no revision of git"), "{}", run.err());
    assert!(!stack.root().join("x").exists());
}

#[test]
fn an_image_that_was_removed_is_told() {
    let stack = committed();
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    let end = spec.find("  leaf:").unwrap();
    stack.write("spec.yml", &spec[..end]);
    let run = stack.run(&["plan", "--since", "HEAD"]).expect(0);
    assert_eq!(run.err(), "gone since HEAD: leaf\nnothing changed since HEAD\n");
}

#[test]
fn a_base_that_is_stood_in_is_stood_in_on_both_sides() {
    let stack = committed();
    let stand_in = format!("busybox={}", crate::stack::BASE);
    let run = stack.run(&["plan", "--since", "HEAD", "--base", &stand_in]).expect(0);
    assert_eq!(run.err(), "nothing changed since HEAD\n");
}

#[test]
fn ctrl_c_leaves_no_folder_behind() {
    let stack = committed();
    let temporary = tempfile::tempdir().unwrap();
    // A git that takes its time once the folder is there.
    let slow = "#!/bin/sh\ncase \"$*\" in *checkout-index*) exec sleep 60;; esac\nPATH=/usr/bin:/bin exec git \"$@\"\n";
    stack.write("slow/git", slow);
    std::fs::set_permissions(stack.root().join("slow/git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", stack.root().join("slow").display());
    let mut command = stack.command(&["plan", "--since", "HEAD"]);
    let mut child = command.env("PATH", path).env("TMPDIR", temporary.path()).spawn().unwrap();
    let begun = Instant::now();
    let there = || std::fs::read_dir(temporary.path()).unwrap().count();
    while there() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "there is never a folder");
        std::thread::sleep(Duration::from_millis(10));
    }
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(30), "it did not wait for git");
    assert_eq!(there(), 0);
}
