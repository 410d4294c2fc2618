//! What is in an image is what was hashed for it, whatever BuildKit has from
//! the last time.

use std::time::{Duration, UNIX_EPOCH};

use crate::client::{docker, inspect};
use crate::stack::{BASE, Stack};

/// A stack of one image, with this below FROM.
fn stack(steps: &str) -> Stack {
    let stack = Stack::new();
    stack.spec("top:\n  base: busybox");
    stack.write("images/top/Dockerfile", format!("ARG BASE_IMAGE\nFROM $BASE_IMAGE\n{steps}"));
    stack
}

fn image(stack: &Stack) -> String {
    format!("{}:t-main", stack.repository("top"))
}

/// Builds, and prints a file of the image.
fn built(stack: &Stack, path: &str) -> String {
    stack.run(&["build"]).expect(0);
    docker(&["run", "--rm", &image(stack), "cat", path])
}

#[test]
fn other_content_of_one_size_and_time_is_what_the_image_gets() {
    let stack = stack("COPY version.txt /v\n");
    let file = stack.root().join("images/top/version.txt");
    let write = |text: &str| {
        stack.write("images/top/version.txt", text);
        let file = std::fs::File::options().write(true).open(&file).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_704_067_200)).unwrap();
    };
    let id = || inspect(&image(&stack), "{{index .RootFS.Layers 1}}");
    write("1.2.3");
    assert_eq!(built(&stack, "/v"), "1.2.3");
    let first = id();
    // In place, then another file of the same time put in its place.
    write("1.2.4");
    assert_eq!(built(&stack, "/v"), "1.2.4");
    std::fs::rename(&file, stack.root().join("old")).unwrap();
    write("1.2.5");
    assert_eq!(built(&stack, "/v"), "1.2.5");
    std::fs::rename(stack.root().join("old"), &file).unwrap();
    assert_eq!(built(&stack, "/v"), "1.2.4");
    // A layer keeps whole seconds: made anew, it is the same.
    write("1.2.3");
    stack.run(&["build", "--force", "top"]).expect(0);
    assert_eq!(id(), first);
}

#[test]
fn what_a_base_copies_by_onbuild_is_in_the_image_and_an_edit_of_it_rebuilds() {
    let stack = Stack::new();
    let base = format!("ds01-test-{}/onbuild:1", stack.id);
    let container = docker(&["create", BASE, "true"]);
    docker(&["commit", "--change", "ONBUILD COPY . /srv/", &container, &base]);
    docker(&["rm", &container]);
    stack.spec("top:\n  dockerfile: images/top/Dockerfile");
    stack.write("images/top/Dockerfile", format!("FROM {base}\nENV X=1\nONBUILD COPY . /below/\n"));
    stack.write("images/top/environment.yml", "deps one");
    assert_eq!(built(&stack, "/srv/environment.yml"), "deps one");
    stack.write("images/top/environment.yml", "deps two");
    assert_eq!(built(&stack, "/srv/environment.yml"), "deps two");

    // A person's image is not built FROM it: nothing of it is run, nor later.
    let person = stack.project("top", "");
    let run = stack.run(&["build"]).expect(0);
    assert!((run.out() + &run.err()).contains("has 1 ONBUILD instruction, which only"), "{}", run.err());
    assert_eq!(inspect(&image(&stack), "{{json .Config.OnBuild}}"), "[\"COPY . /below/\"]");
    assert_eq!(inspect(&person.image, "{{json .Config.OnBuild}}"), "null");
}

#[test]
fn a_wildcard_behind_a_link_gets_what_is_there_now() {
    let stack = stack("COPY link/* /l/\nCOPY --chown=1 link/g* /l/\n");
    stack.write("images/top/real/f", "one").write("images/top/real/g", "g");
    std::os::unix::fs::symlink("real", stack.root().join("images/top/link")).unwrap();
    assert_eq!(built(&stack, "/l/f"), "one");
    stack.write("images/top/real/f", "two");
    assert_eq!(built(&stack, "/l/f"), "two");
}
