//! Declared packages, really installed: apt and pip on a small Debian that
//! `scripts/test` makes.

use serde_json::Value;

use crate::images::docker;
use crate::stack::Stack;

const DEBIAN: &str = "ds01-quickstart/debian:bookworm";
const CA: &str = "/etc/ssl/certs/ca-certificates.crt";

fn layers(image: &str) -> Vec<String> {
    let layers = docker(&["image", "inspect", "-f", "{{json .RootFS.Layers}}", image]);
    serde_json::from_str(&layers).unwrap()
}

#[test]
fn two_users_of_the_same_packages_share_every_layer_but_their_own() {
    let stack = Stack::new();
    stack.spec("tools:\n  base: debian\n  packages: {apt: [file]}");
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    stack.write(
        "spec.yml",
        spec.replace("\nimages:", &format!("\n  debian: {{image: \"{DEBIAN}\"}}\nimages:")),
    );
    let person = stack.project("tools", "  packages: {pip: [\"six>=1.16\"]}\n");
    let (login, other) = (format!("b.{}@example.org", stack.id), format!("q{}", stack.id));
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    stack.write("spec.yml", format!("{spec}  \"{login}\": {{uid: 1722830499, gid: 1722830499}}\n"));
    let project =
        format!("{other}:\n  user: \"{login}\"\n  image: tools\n  packages: {{pip: [\"six>=1.16\"]}}\n");
    stack.write("projects/two.yml", project);
    stack.build(&["--ca-bundle", CA]).expect(0);

    let second = format!("ds01-1722830499/{other}:latest");
    let seen = docker(&[
        "run",
        "--rm",
        &person.image,
        "sh",
        "-c",
        "python3 -c 'import six; print(six.__name__)'; file -b /bin/sh; pip list 2>/dev/null | grep -c six",
    ]);
    assert!(seen.starts_with("six\nsymbolic link"), "{seen}");

    let (mine, theirs) = (layers(&person.image), layers(&second));
    let (last, below) = mine.split_last().unwrap();
    assert_eq!(below, &theirs[..theirs.len() - 1]);
    assert_ne!(last, theirs.last().unwrap());
    let history = docker(&["history", "--no-trunc", "--format", "{{json .}}", &person.image]);
    let top: Value = serde_json::from_str(history.lines().next().unwrap()).unwrap();
    let size = top["Size"].as_str().unwrap();
    assert!(size.ends_with("kB"), "a user layer of {size}");

    // The site's certificates were there for the steps and went with them.
    let config = docker(&["image", "inspect", &person.image]);
    assert!(!history.contains("ds01-ca") && !config.contains("PIP_CERT"), "{history}\n{config}");
    let left = docker(&[
        "run",
        "--rm",
        "--user",
        "0",
        &person.image,
        "sh",
        "-c",
        "ls -A /run/secrets /run/ds01 2>/dev/null; true",
    ]);
    assert_eq!(left, "");
}

#[test]
fn an_install_that_fails_shows_pips_own_message_and_the_exit_code() {
    let stack = Stack::new();
    stack.spec("tools:\n  base: debian\n  packages: {pip: [\"six==0.0.0.1\"]}");
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    stack.write(
        "spec.yml",
        spec.replace("\nimages:", &format!("\n  debian: {{image: \"{DEBIAN}\"}}\nimages:")),
    );
    let said = stack.run(&["build", "--progress", "quiet", "--ca-bundle", CA]).expect(1).err();
    for part in ["No matching distribution found for six==0.0.0.1", "pip install six==0.0.0.1", "exit code 1"]
    {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
}
