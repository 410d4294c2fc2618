//! What the program says of itself, and how it refuses what it does not know.

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ds01-build"));
    // As wide as help ever is, and away from any spec or engine.
    command.args(args).env_clear().env("COLUMNS", "100").current_dir(std::env::temp_dir());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Every command, as typed: `[]`, `["check"]`, `["container", "list"]`, …
fn commands() -> Vec<Vec<String>> {
    fn walk(path: &[String], all: &mut Vec<Vec<String>>) {
        all.push(path.to_vec());
        for word in listed(&help(path)) {
            walk(&[path, &[word]].concat(), all);
        }
    }
    let mut all = Vec::new();
    walk(&[], &mut all);
    assert!(all.contains(&vec!["container".to_owned(), "list".to_owned()]), "{all:?}");
    // Not listed: only what installs the program uses it.
    all.push(vec!["man".to_owned()]);
    all
}

/// The commands that a help text lists, without clap's own `help`.
fn listed(help: &str) -> Vec<String> {
    let Some((_, rest)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let list = rest.lines().take_while(|line| !line.is_empty());
    // What goes on in a second line is indented further.
    let names = list.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

fn help(path: &[String]) -> String {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let output = run(&args);
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    assert!(output.stderr.is_empty(), "{args:?}");
    text(&output.stdout).to_owned()
}

#[test]
fn the_help_of_every_command_is_as_it_was_agreed() {
    for path in commands() {
        let name = [&["help".to_owned()], &path[..]].concat().join("_");
        insta::assert_snapshot!(name, help(&path));
    }
}

#[test]
fn the_help_of_every_command_has_an_example_that_is_a_command() {
    for path in commands() {
        let help = help(&path);
        let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{path:?}:\n{help}"));
        let example = [&["ds01-build".to_owned()], &path[..]].concat().join(" ");
        // `deploy` is short for `container deploy`, and they share their examples.
        let short = example.replace(" container deploy", " deploy");
        let found = examples.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with(&example) || line.starts_with(&short)
        });
        assert!(found, "no example of `{example}` in:\n{help}");
    }
}

#[test]
fn no_line_of_help_is_wider_than_a_hundred_columns() {
    for path in commands() {
        let help = help(&path);
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{path:?}: {line}");
        }
    }
}

#[test]
fn what_is_not_known_is_a_usage_error_that_names_it_and_says_nothing_on_standard_output() {
    for (args, named) in [
        (&["frobnicate"][..], "'frobnicate'"),
        (&["container", "frobnicate"], "'frobnicate'"),
        (&["build", "--frobnicate"], "'--frobnicate'"),
        (&["build", "--jobs", "0"], "'0'"),
        (&["build", "--progress", "loud"], "possible values: auto, bars, plain, json, quiet"),
        (&["build", "--base", "pytorch"], "write NAME=REF"),
        (&["build", "--base", "pytorch=UPPER"], "`UPPER`"),
        (&["build", "--secret", "token"], "write NAME=VALUE"),
        (&["graph", "--format", "png"], "possible values: tree, dot, mermaid, json"),
        (&["completions", "tcsh"], "possible values: bash"),
        (&["deploy"], "<PROJECT|IMAGE>"),
        (&["container", "retire"], "<CONTAINER>"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        let said = text(&output.stderr);
        assert!(said.contains(named), "{args:?} does not name {named}:\n{said}");
    }
}

#[test]
fn a_command_is_asked_for_with_the_list_of_them() {
    for args in [&[][..], &["container"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains("Commands:"), "{args:?}");
    }
}

#[test]
fn where_there_is_no_spec_one_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ds01-build"));
    let output = command.arg("check").env_clear().current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("there is no spec.yml") && said.contains("--spec FILE"), "{said}");
}

#[test]
fn the_version_is_the_packages() {
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), format!("ds01-build {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_name_every_command_and_nothing_else_is_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(output.stderr.is_empty(), "{shell}");
        let script = text(&output.stdout);
        for path in commands() {
            for word in &path {
                assert!(script.contains(word.as_str()), "{shell} does not complete `{word}`");
            }
        }
    }
}

#[test]
fn bash_reads_its_completions() {
    let script = run(&["completions", "bash"]).stdout;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("completions");
    std::fs::write(&file, script).unwrap();
    let read = Command::new("bash").arg("-n").arg(&file).output().unwrap();
    assert!(read.status.success(), "{}", text(&read.stderr));
}
