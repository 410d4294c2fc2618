//! What the program says of labels without a spec and without an engine.

use std::path::Path;
use std::process::Command;

fn run(args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ds01-build"));
    // Away from any spec or engine.
    command.args(args).env_clear().current_dir(std::env::temp_dir());
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_page_about_labels_is_what_the_command_prints() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/LABEL_SCHEMA.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    let printed = run(&["labels", "schema", "--markdown"]);
    assert!(
        printed == (0, page),
        "docs/LABEL_SCHEMA.md is not as declared in src/model/labels: write it with\n  \
         ds01-build labels schema --markdown > docs/LABEL_SCHEMA.md"
    );
}

#[test]
fn the_schema_is_shown_to_people() {
    let (code, text) = run(&["labels", "schema"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(text);
}

#[test]
fn json_and_markdown_exclude_each_other() {
    assert_eq!(run(&["labels", "schema", "--markdown", "--json"]), (2, String::new()));
}
