//! Declared packages, really installed: apt and pip on a small Debian that
//! `scripts/test` makes.

use serde_json::Value;

use crate::client::docker;
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

/// A spec with an image `tools` on the small Debian.
fn tools(stack: &Stack, packages: &str) {
    stack.spec(&format!("tools:\n  base: debian\n  packages: {packages}"));
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    stack.write(
        "spec.yml",
        spec.replace("\nimages:", &format!("\n  debian: {{image: \"{DEBIAN}\"}}\nimages:")),
    );
}

/// Bases of notebooks install for the one person that they were made for.
#[test]
fn packages_are_for_every_account_whatever_the_base_says_of_its_own_user() {
    let stack = Stack::new();
    stack.spec(
        "notebook:\n  base: debian\nlibs:\n  depend_on: notebook\n  packages: {pip: [\"six==1.17.0\"]}",
    );
    let spec = std::fs::read_to_string(stack.root().join("spec.yml")).unwrap();
    stack.write(
        "spec.yml",
        spec.replace("\nimages:", &format!("\n  debian: {{image: \"{DEBIAN}\"}}\nimages:")),
    );
    let own = "PYTHONUSERBASE=/home/jovyan/.local HOME=/home/jovyan PIP_USER=1";
    let dockerfile = format!(
        "ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nENV {own} PIP_TARGET=/opt/own\nRUN mkdir -p /home/jovyan/.local\n"
    );
    stack.write("images/notebook/Dockerfile", dockerfile);
    let person = stack.project("libs", "");
    stack.build(&["--ca-bundle", CA]).expect(0);
    let run = |user: &str, command: &[&str]| {
        docker(&[&["run", "--rm", "--user", user, "--network", "none", &person.image], command].concat())
    };
    for user in ["0", "1722830498"] {
        assert_eq!(run(user, &["python3", "-c", "import six; print(six.__version__)"]), "1.17.0");
    }
    assert_eq!(run("0", &["sh", "-c", "find /home/jovyan /opt -type f 2>/dev/null"]), "");
}

#[test]
fn an_install_that_fails_shows_pips_own_message_and_the_line_that_asked_for_it() {
    let stack = Stack::new();
    tools(&stack, "{pip: [wheel, \"six==0.0.0.1\"]}");
    let said = stack.run(&["build", "--progress", "quiet", "--ca-bundle", CA]).expect(1).err();
    for part in [
        "No matching distribution found for six==0.0.0.1",
        "pip install six==0.0.0.1",
        "exit code 1",
        "`six==0.0.0.1` is asked for in ",
        "spec.yml:",
        "packages: {pip: [wheel, \"six==0.0.0.1\"]}",
    ] {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
    tools(&stack, "{requirements: reqs.txt}");
    stack.write("reqs.txt", "# what we need\nattrs\n-r more/deep.txt\n");
    stack.write("more/deep.txt", "\nsix>=900  # no such\n");
    let said = stack.run(&["build", "--progress", "quiet", "--ca-bundle", CA]).expect(1).err();
    assert!(said.contains("`six>=900` is asked for in more/deep.txt:2"), "{said}");
    assert!(said.contains("at: more/deep.txt:2") && said.contains("six>=900  # no such"), "{said}");
}

#[test]
fn a_debian_package_that_is_not_there_is_told_with_its_line() {
    let stack = Stack::new();
    tools(&stack, "\n    apt:\n      - file\n      - ds01-no-such-package");
    let said = stack.run(&["build", "--progress", "quiet", "--ca-bundle", CA]).expect(1).err();
    for part in [
        "E: Unable to locate package ds01-no-such-package",
        "`ds01-no-such-package` is asked for in ",
        "spec.yml:",
        "- ds01-no-such-package",
    ] {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
}

#[test]
fn requirements_files_with_hashes_and_constraints_are_pips() {
    let stack = Stack::new();
    // The one wheel of six 1.16.0, by its digest on the index.
    let hash = "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254";
    let six = |hash: &str| format!("six==1.16.0 \\\n    --hash=sha256:{hash}  # pinned\n");
    tools(&stack, "{requirements: reqs.txt}");
    stack.write("reqs.txt", six(hash));
    stack.build(&["--ca-bundle", CA]).expect(0);
    stack.write("reqs.txt", format!("# only a comment more\n{}", six(hash)));
    assert!(stack.build(&["--ca-bundle", CA]).expect(0).built().is_empty());
    stack.write("reqs.txt", six(&"0".repeat(64)));
    let said = stack.run(&["build", "--progress", "quiet", "--ca-bundle", CA]).expect(1).err();
    assert!(said.contains("DO NOT MATCH THE HASHES"), "{said}");
    assert!(said.contains("`six==1.16.0` is asked for in reqs.txt:1"), "{said}");

    stack.write("reqs.txt", "six\n-c bounds.txt\n");
    stack.write("bounds.txt", "six<1.16\n");
    stack.build(&["--ca-bundle", CA]).expect(0);
    let image = format!("{}:t-main", stack.repository("tools"));
    let version = docker(&["run", "--rm", &image, "python3", "-c", "import six; print(six.__version__)"]);
    assert_eq!(version, "1.15.0");
}
