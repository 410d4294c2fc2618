//! The lock's text, there and back.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::problem::SourceFile;

fn digest(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn parse(text: &str) -> Result<Lock, Vec<crate::model::problem::Problem>> {
    read(&Arc::new(SourceFile { path: "spec.lock".into(), text: text.into() }))
}

/// `line:column message` and what to do, for each problem.
fn refused(text: &str) -> String {
    let told = parse(text).unwrap_err().into_iter().map(|problem| {
        let (line, column) = problem.place.as_ref().expect("a place").line_column();
        format!("{line}:{column} {}\n    {}\n", problem.message, problem.help.expect("what to do"))
    });
    told.collect()
}

fn sample() -> Lock {
    let mut lock = Lock::default();
    let index = Pin::new(&digest("a")).unwrap();
    let index = index.with_platform("linux/arm64", &digest("c")).with_platform("linux/amd64", &digest("b"));
    lock.set(&reference("debian:bookworm-slim"), index);
    lock.set(&reference("reg.local:5000/x/tools:v1"), Pin::new(&digest("d")).unwrap());
    lock.set(&reference("12:30"), Pin::new(&digest("e")).unwrap());
    lock
}

#[test]
fn a_lock_is_one_block_for_each_image_in_order() {
    insta::assert_snapshot!(sample().to_string());
    assert_eq!(parse(&sample().to_string()).unwrap(), sample());
    assert_eq!(parse(&Lock::default().to_string()).unwrap(), Lock::default());
}

#[test]
fn every_mistake_in_a_lock_says_what_to_do() {
    let digest = digest("a");
    let one = |entry: &str| format!("version: 1\nimages:\n{entry}");
    let cases = [
        "".to_owned(),
        "[]\n".into(),
        "version: 2\nimages: {}\n".into(),
        "images: {}\nversio: 1\n".into(),
        "version: 1\n".into(),
        one(&format!("  debian:12: {{digest: \"{digest}\"}}\n  debian:12: {{digest: \"{digest}\"}}\n")),
        one(&format!("  debian:12:\n    digest: {digest}\n    size: 1\n")),
        one("  debian:12:\n"),
        one("  debian:12:\n    digest: sha256:abc\n"),
        one(&format!("  debian:12:\n    digest: {}\n", digest.to_uppercase())),
        one(&format!(
            "  debian:12:\n    digest: {digest}\n    platforms:\n      amd64: {digest}\n      linux/amd64: x\n"
        )),
        one(&format!("  docker.io/library/debian:12:\n    digest: {digest}\n")),
        one(&format!("  debian:\n    digest: {digest}\n")),
        one(&format!("  debian:12@{digest}:\n    digest: {digest}\n")),
        one(&format!("  Debian:\n    digest: {digest}\n")),
        one("  debian:12:\n<<<<<<< HEAD\n    digest: x\n=======\n    digest: y\n>>>>>>> other\n"),
        "version: 1\n\timages: {}\n".into(),
    ];
    let told = cases.iter().map(|text| format!("{}\n=> {}\n", text.trim_end(), refused(text)));
    insta::assert_snapshot!(told.collect::<String>().replace(&digest, "DIGEST"));
}

#[test]
fn an_index_that_gives_every_known_platform_the_same_is_the_same() {
    let pin = |index: &str, platforms: &[(&str, &str)]| {
        let pin = Pin::new(&digest(index)).unwrap();
        platforms.iter().fold(pin, |pin, (platform, manifest)| pin.with_platform(platform, &digest(manifest)))
    };
    let old = pin("a", &[("linux/amd64", "1")]);
    assert!(old.gives_the_same_as(&pin("b", &[("linux/amd64", "1"), ("linux/arm64", "3")])));
    assert!(!old.gives_the_same_as(&pin("b", &[("linux/amd64", "2")])));
    assert!(!old.gives_the_same_as(&pin("b", &[("linux/arm64", "1")])));
    // Without a known platform only the digest tells.
    assert!(!pin("a", &[]).gives_the_same_as(&pin("b", &[])));
    assert!(pin("a", &[]).gives_the_same_as(&pin("a", &[("linux/amd64", "1")])));
}

#[test]
fn a_lock_is_written_once_and_only_when_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = beside(&dir.path().join("spec.yml"));
    assert_eq!(path, dir.path().join("spec.lock"));
    let load = || load(&path, Path::new("spec.lock")).unwrap();
    assert_eq!(load(), Lock::default());
    assert!(!save(&path, &Lock::default()).unwrap(), "nothing to pin, no file");
    assert!(save(&path, &sample()).unwrap());
    assert!(!save(&path, &sample()).unwrap());
    assert_eq!(load(), sample());
    assert!(save(&path, &Lock::default()).unwrap());
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["spec.lock"], "nothing else is left");
}

#[test]
fn a_lock_behind_a_link_is_written_where_the_link_leads() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real.lock"), dir.path().join("spec.lock"));
    std::fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink("real.lock", &link).unwrap();
    assert!(save(&link, &sample()).unwrap());
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(&real).unwrap(), sample().to_string());
}

fn any_lock() -> impl Strategy<Value = Lock> {
    let name = prop_oneof![
        "([a-z0-9]{1,8}(\\.local)?:[0-9]{1,4}/)?[a-z0-9]{1,6}([._-][a-z0-9]{1,3})?(/[a-z0-9]{1,5})?(:[A-Za-z0-9_][A-Za-z0-9._-]{0,6})?",
        "[0-9]{1,2}:[0-9]{1,2}",
        "(null|true|yes|no|0x1f|1e3):[a-z0-9]{1,3}",
    ];
    let digest = "[0-9a-f]{64}".prop_map(|hash| format!("sha256:{hash}"));
    let platforms =
        prop::collection::btree_map("(linux|windows)/(amd64|arm64|arm/v[67])", digest.clone(), 0..3);
    let entry = (name, digest, platforms);
    prop::collection::vec(entry, 0..6).prop_map(|entries| {
        let mut lock = Lock::default();
        for (name, digest, platforms) in entries {
            let Ok(reference) = Reference::parse(&name) else { continue };
            let pin = Pin::new(&digest).unwrap();
            lock.set(&reference, platforms.iter().fold(pin, |pin, (p, m)| pin.with_platform(p, m)));
        }
        lock
    })
}

proptest! {
    #[test]
    fn every_lock_is_read_as_it_was_written(lock in any_lock()) {
        let text = lock.to_string();
        let again = parse(&text).map_err(|problems| TestCaseError::fail(format!("{problems:?}\n{text}")))?;
        prop_assert_eq!(again, lock);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(version: 1\n)?(images:\n)?([ a-z:{}\\[\\]@/.0-9\n<>=-]{0,80})") {
        let _ = parse(&text);
    }
}

#[test]
fn a_link_under_the_name_of_the_part_is_not_written_through() {
    let root = tempfile::tempdir().unwrap();
    let (part, elsewhere) = (root.path().join(".spec.lock.1.part"), root.path().join("shadow"));
    std::fs::write(&elsewhere, "theirs").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
    let path = root.path().join("spec.lock");
    std::fs::write(&path, "").unwrap();
    assert!(save(&path, &Lock::default()).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), Lock::default().to_string());
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "theirs");
}
