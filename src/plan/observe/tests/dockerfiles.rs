//! Forms of Dockerfiles and contexts, and what each makes an image depend on.

use super::laws::changed;
use super::*;
use crate::spec::lock_file::Lock;

const TWO: &str = "  top: {base: slim}\n  app: {depend_on: top}\n";
const HEAD: &str = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n";

/// The images whose recipes an edit changes, where `app` has this Dockerfile.
fn edited(dockerfile: &str, edit: impl Fn(&Stack)) -> Vec<String> {
    edited_in(&with(dockerfile), edit)
}

fn with(dockerfile: &str) -> Stack {
    let stack = Stack::new(TWO);
    stack.image("app", dockerfile);
    stack
}

fn edited_in(stack: &Stack, edit: impl Fn(&Stack)) -> Vec<String> {
    let old = stack.recipes();
    edit(stack);
    changed(&old, &stack.recipes())
}

#[test]
fn a_dockerfile_outside_its_context_counts_and_what_lies_beside_it_does_not() {
    let stack = with(HEAD);
    stack.append("spec.yml", "  out: {base: slim, dockerfile: docker/out.Dockerfile, context: files}\n");
    stack.write("docker/out.Dockerfile", &format!("{HEAD}COPY . /here\n"));
    stack.write("files/one", "1");
    let none: [&str; 0] = [];
    assert_eq!(edited_in(&stack, |s| s.write("docker/beside", "x")), none);
    assert_eq!(edited_in(&stack, |s| s.write("files/one", "2")), ["out"]);
    assert_eq!(edited_in(&stack, |s| s.append("docker/out.Dockerfile", "RUN true\n")), ["out"]);
}

#[test]
fn an_arg_above_from_decides_what_is_built_on() {
    let stack = Stack::new("  app: {base: slim}\n");
    stack.write("spec.yml", "tag: {prefix: a}\nimages:\n  app: {build_args: {DEBIAN: \"12\"}}\n");
    stack.image("app", "ARG DEBIAN=11\nFROM debian:${DEBIAN}\n");
    let (spec, graph) = stack.read();
    let seen = offline(&spec, &graph, &Lock::default(), &HashCache::default()).unwrap();
    assert_eq!(seen.bases.keys().collect::<Vec<_>>(), ["docker.io/library/debian:12"]);
    let edit =
        |s: &Stack| s.write("spec.yml", "tag: {prefix: a}\nimages:\n  app: {build_args: {DEBIAN: \"13\"}}\n");
    assert_eq!(edited_in(&stack, edit), ["app"]);
}

#[test]
fn a_heredoc_is_part_of_the_dockerfile_and_reads_no_file() {
    let dockerfile =
        format!("{HEAD}COPY <<EOF /etc/motd\ndata\nFROM nowhere\nEOF\nRUN <<EOF\ncat data\nEOF\n");
    assert!(edited(&dockerfile, |s| s.write("images/app/data", "changed")).is_empty());
    let other = dockerfile.replace("data\nFROM", "other\nFROM");
    assert_eq!(edited(&dockerfile, |s| s.write("images/app/Dockerfile", &other)), ["app"]);
}

#[test]
fn an_image_copied_from_counts_whether_it_is_built_here_or_not() {
    let stack = with(
        "ARG BASE_IMAGE\nARG BASE_IMAGE_TOOLS\nFROM ${BASE_IMAGE_TOOLS} AS tools\nFROM ${BASE_IMAGE}\nCOPY --from=tools /data /tools\n",
    );
    stack.image("tools", DOCKERFILE);
    let spec = std::fs::read_to_string(stack.path("spec.yml")).unwrap();
    let spec = spec.replace("depend_on: top", "depend_on: [top, tools]") + "  tools: {base: slim}\n";
    stack.write("spec.yml", &spec);
    assert_eq!(edited_in(&stack, |s| s.write("images/tools/data", "changed")), ["app", "tools"]);
    let outside = format!("{HEAD}COPY --from=alpine:3.20 /etc/os-release /\n");
    let moved = outside.replace("3.20", "3.21");
    assert_eq!(edited(&outside, |s| s.write("images/app/Dockerfile", &moved)), ["app"]);
}

#[tokio::test]
async fn another_image_under_the_tag_that_is_copied_from_builds_what_copies() {
    let stack = with(&format!("{HEAD}COPY --from=alpine:3.20 /etc/os-release /\n"));
    stack.engine.add_pulled(&reference("alpine:3.20"), &digest("a"));
    stack.build().await;
    stack.engine.add_pulled(&reference("alpine:3.20"), &digest("b"));
    assert_eq!(stack.to_build().await, ["app"]);
}

/// Known to be so: what lies at an address is not looked at, since a plan
/// would have to fetch it each time. `ADD --checksum=` or another address
/// says that it changed.
#[test]
fn of_an_add_from_the_web_the_address_counts_and_not_what_lies_there() {
    let dockerfile = format!("{HEAD}ADD https://example.org/one.tar.gz /opt/\n");
    assert!(edited(&dockerfile, |s| s.write("images/app/one.tar.gz", "no address")).is_empty());
    let other = dockerfile.replace("one.tar", "two.tar");
    assert_eq!(edited(&dockerfile, |s| s.write("images/app/Dockerfile", &other)), ["app"]);
}

#[test]
fn what_dockerignore_takes_back_in_counts_and_the_rest_does_not() {
    let stack = with(&format!("{HEAD}COPY . /here\n"));
    stack.write("images/app/.dockerignore", "*\n!src\nsrc/*.log\n!src/keep.log\n");
    for name in ["src/a", "src/b.log", "src/keep.log"] {
        stack.write(&format!("images/app/{name}"), "1");
    }
    for (name, counts) in [("src/a", true), ("src/b.log", false), ("src/keep.log", true), ("data", false)] {
        let changed = edited_in(&stack, |s| s.write(&format!("images/app/{name}"), "changed"));
        assert_eq!(!changed.is_empty(), counts, "{name}");
    }
}

#[test]
fn the_ignore_file_of_a_dockerfile_takes_the_place_of_the_contexts() {
    let stack = with(&format!("{HEAD}COPY . /here\n"));
    stack.write("images/app/.dockerignore", "data\n");
    assert!(edited_in(&stack, |s| s.write("images/app/data", "ignored")).is_empty());
    stack.write("images/app/Dockerfile.dockerignore", "other\n");
    assert_eq!(edited_in(&stack, |s| s.write("images/app/data", "read")), ["app"]);
    assert!(edited_in(&stack, |s| s.write("images/app/other", "ignored")).is_empty());
}
