//! `catalog list` and `catalog check`, with and without a spec; no engine is asked.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SITE: &str = "Pytorch, 3.0.0, [CUDA_ADA;CUDA_BLACKWELL], hub/pytorch-3.0.0\n\
                    Pytorch, 2.9.1, CUDA_AMPERE, hub/pytorch-2.9.1\n\
                    Pytorch, 2.9.1, [CUDA_AMPERE], hub/pytorch-2.9.1-other\n\
                    Jax, 0.5, [CUDA_ADA], hub/jax:0.5\n";

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ds01-build"));
    command.args(args).env_clear().env("MLC_ARCH", "CUDA_ADA").current_dir(folder).output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn said(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A folder with a spec that names a catalogue, and is wrong elsewhere.
fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spec.yml"), "catalog: site.repo\nbases: []\n").unwrap();
    fs::write(folder.path().join("site.repo"), SITE).unwrap();
    folder
}

#[test]
fn without_a_spec_the_programs_own_catalogue_is_listed_for_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["catalog", "list"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    insta::assert_snapshot!(out(&output));
    assert!(said(&output).contains("this machine is CUDA_ADA (MLC_ARCH)"), "{}", said(&output));
    let all = run(folder.path(), &["catalog", "list", "--all"]);
    assert_eq!(out(&all).lines().count(), 10);
}

#[test]
fn a_spec_names_the_catalogue_that_is_listed() {
    let folder = site();
    let output = run(folder.path(), &["catalog", "list", "--all"]);
    insta::assert_snapshot!(out(&output));
    let json = run(folder.path(), &["catalog", "list", "--framework", "pytorch", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["file"], "site.repo");
    assert_eq!(json["rows"].as_array().unwrap().len(), 1);
    assert_eq!(json["rows"][0]["latest_for"], serde_json::json!(["CUDA_ADA", "CUDA_BLACKWELL"]));
}

#[test]
fn what_the_catalogue_does_not_have_is_answered_with_what_it_has() {
    let folder = site();
    let said = |args: &[&str]| {
        let output = run(folder.path(), &[&["catalog", "list"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        said(&output).to_owned()
    };
    assert!(said(&["--framework", "Mxnet"]).contains("it has: Pytorch, Jax"));
    assert!(said(&["--framework", "jax", "--arch", "ROCM6"]).contains("it has: CUDA_ADA; --all"));
    assert!(said(&["--arch", "ROCM6"]).contains("it has: CUDA_ADA, CUDA_AMPERE, CUDA_BLACKWELL; --all"));
}

#[test]
fn a_row_that_is_hidden_is_a_warning_and_one_that_is_wrong_ends_with_two() {
    let folder = site();
    let output = run(folder.path(), &["catalog", "check"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(out(&output), "site.repo: 4 rows, no problems, 1 warning\n");
    assert!(
        said(&output).starts_with("warning: site.repo:3: Pytorch 2.9.1 for CUDA_AMPERE stands in line 2")
    );

    fs::write(folder.path().join("broken.repo"), format!("{SITE}Jax, 0.4, [CUDA_ADA], hub/Upper\nJax\n"))
        .unwrap();
    let output = run(folder.path(), &["catalog", "check", "broken.repo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("broken.repo:5:23") && said(&output).contains("broken.repo:6:1"));
    let json = run(folder.path(), &["catalog", "check", "broken.repo", "--json"]);
    assert_eq!(json.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let lines = |list: &str| -> Vec<_> {
        json[list].as_array().unwrap().iter().map(|problem| problem["line"].as_u64().unwrap()).collect()
    };
    assert_eq!((lines("problems"), lines("warnings")), (vec![5, 6], vec![3]));
}

#[test]
fn the_own_catalogue_has_no_problems_and_a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["catalog", "check"]);
    assert_eq!(out(&output), "the program's own catalogue: 9 rows, no problems, 0 warnings\n");
    let output = run(folder.path(), &["catalog", "check", "nowhere.repo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("nowhere.repo: there is no such file"), "{}", said(&output));
}
