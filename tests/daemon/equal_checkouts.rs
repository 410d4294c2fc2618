//! One checkout, made in many ways and by other people: one answer.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::client::docker;
use crate::since::git;
use crate::stack::{Run, Stack};

const DOCKERFILE: &str = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY . /all\n";

/// A committed stack whose files are of every kind that git knows.
fn committed() -> Stack {
    let stack = Stack::new();
    stack.spec("top:\n  base: busybox\nleaf:\n  depend_on: top\nnarrow:\n  depend_on: top");
    for image in ["top", "leaf", "narrow"] {
        stack.write(&format!("images/{image}/Dockerfile"), DOCKERFILE);
        stack.write(&format!("images/{image}/with space/été 日本.txt"), "text\n");
        stack.write(&format!("images/{image}/B"), "1").write(&format!("images/{image}/a"), "2");
        stack.write(&format!("images/{image}/a-b"), "3").write(&format!("images/{image}/a.d/c"), "4");
        let program = stack.root().join(format!("images/{image}/run.sh"));
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink("with space/été 日本.txt", stack.root().join(format!("images/{image}/link"))).unwrap();
        symlink("/nowhere", stack.root().join(format!("images/{image}/broken"))).unwrap();
    }
    stack.write("images/top/.dockerignore", "# kept small\n*.d\n!a.d/c\nB\n");
    stack.write("images/narrow/Dockerfile.dockerignore", "**\n!été*\n!with space\n");
    stack.write(".gitignore", ".state\n.cache\n");
    git(stack.root(), &["init", "--quiet", "--initial-branch=main"]);
    for message in ["first", "second"] {
        stack.write("README.md", message);
        git(stack.root(), &["add", "--all"]);
        git(stack.root(), &["commit", "--quiet", "--message", message]);
    }
    stack
}

/// Runs `script`, in which `$FROM` is the stack and `$TO` the folder to make.
fn copied(stack: &Stack, to: &Path, script: &str) {
    let output = Command::new("sh")
        .args(["-euc", script])
        .env("FROM", stack.root())
        .env("TO", to)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

fn recipes(run: &Run) -> BTreeMap<String, String> {
    let plan: Value = serde_json::from_str(&run.out()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    plan["images"].as_array().unwrap().iter().map(|i| (text(&i["name"]), text(&i["recipe"]))).collect()
}

/// What the program plans in a folder, with caches of its own.
fn planned(stack: &Stack, at: &Path, around: &[(&str, &str)]) -> BTreeMap<String, String> {
    let home = tempfile::tempdir().unwrap();
    let mut command = stack.command(&["plan", "--json"]);
    command.current_dir(at).env("XDG_STATE_HOME", home.path()).env("XDG_CACHE_HOME", home.path());
    command.envs(around.iter().copied());
    recipes(&Run(command.output().unwrap()).expect(0))
}

const CLONE: &str = "git clone --quiet \"file://$FROM\" \"$TO\"";
/// The same files, written in the opposite order, as of another day.
const UNPACK: &str = "mkdir \"$TO\"; cd \"$FROM\"; git ls-files -z | sort -rz | \
     tar --null --no-recursion --mtime=1999-12-31 --owner=12 --group=34 -cf - -T - | tar -xf - -C \"$TO\"";

#[test]
fn however_a_checkout_was_made_its_recipes_are_the_same() {
    let stack = committed();
    let expected = planned(&stack, stack.root(), &[]);
    assert_eq!(expected.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    for (name, script, around) in [
        ("plain", CLONE.to_owned(), &[][..]),
        ("open", format!("umask 000; {CLONE}"), &[]),
        ("closed", format!("umask 077; {CLONE}"), &[]),
        ("shallow", CLONE.replace("clone", "clone --depth 1"), &[]),
        ("an other/päth", format!("mkdir \"${{TO%/*}}\"; {CLONE}"), &[]),
        ("unpacked", UNPACK.to_owned(), &[]),
        ("far", CLONE.to_owned(), &[("TZ", "Pacific/Kiritimati"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "C")]),
        ("near", CLONE.to_owned(), &[("TZ", ""), ("LC_ALL", "C"), ("HOME", "/nowhere")]),
    ] {
        let at: PathBuf = folder.path().join(name);
        copied(&stack, &at, &script);
        assert_eq!(planned(&stack, &at, around), expected, "{name}");
    }
}

#[test]
fn an_image_built_from_a_closed_checkout_can_be_read_by_others() {
    let stack = committed();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("closed");
    copied(&stack, &at, &format!("umask 077; {CLONE}"));
    let mut command = stack.command(&["build"]);
    Run(command.current_dir(&at).output().unwrap()).expect(0);
    let container = docker(&["create", &format!("{}:t-main", stack.repository("top")), "true"]);
    let listed = Command::new("sh")
        .args(["-euc", "docker export \"$1\" | tar -tv all; docker rm \"$1\" > /dev/null", "sh", &container])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let begins = |name: &str, mode: &str| {
        let line =
            listed.lines().find(|line| line.ends_with(name)).unwrap_or_else(|| panic!("{name}: {listed}"));
        assert!(line.starts_with(mode), "{line}");
    };
    begins(" all/a", "-rw-r--r--");
    begins(" all/run.sh", "-rwxr-xr-x");
    begins(" all/with space/", "drwxr-xr-x");
}

#[test]
fn another_user_plans_the_same() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let stack = committed();
    let expected = planned(&stack, stack.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("clone");
    // The program too lies where that user may not look.
    let program = folder.path().join("ds01-build");
    std::fs::copy(env!("CARGO_BIN_EXE_ds01-build"), &program).unwrap();
    let script = format!("umask 077; {CLONE}; chmod 755 \"${{TO%/*}}\"; chown -R 65534:65534 \"$TO\"");
    copied(&stack, &at, &script);
    let socket = std::fs::metadata("/var/run/docker.sock").expect("the tests' engine listens there");
    let group = std::os::unix::fs::MetadataExt::gid(&socket).to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--groups", &group]).arg(&program);
    command.args(["plan", "--json", "--engine", "unix:///var/run/docker.sock"]).current_dir(&at);
    command
        .env("HOME", &at)
        .env("XDG_CACHE_HOME", at.join(".cache"))
        .env("XDG_STATE_HOME", at.join(".state"));
    command.env("DS01_BRANCH", "main").env("NO_COLOR", "1");
    assert_eq!(recipes(&Run(command.output().unwrap()).expect(0)), expected);
}
