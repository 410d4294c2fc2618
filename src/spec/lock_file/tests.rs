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
    read(&Arc::new(SourceFile::new("spec.lock", text)))
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

fn stamp(text: &str) -> Stamp {
    Stamp::parse(text).unwrap()
}

#[test]
fn stamps_are_a_block_of_their_own_which_others_need_not_know() {
    let mut lock = Lock::default();
    for (name, text) in [("vision", "2026-11-30"), ("app@py312", "2026-11-30.2"), ("12.5", "2026-02-01")] {
        lock.refreshed.insert(NodeName::new(name), stamp(text));
    }
    let text = lock.to_string();
    let stamps = "refreshed:\n  \"12.5\": 2026-02-01\n  app@py312: 2026-11-30.2\n  vision: 2026-11-30\n";
    assert!(text.ends_with(&format!("version: 1\nimages: {{}}\n{stamps}")), "{text}");
    assert_eq!(parse(&text).unwrap(), lock);
    // Pins come and go, and stamps stay.
    lock.set(&reference("debian:12"), Pin::new(&digest("a")).unwrap());
    assert!(lock.to_string().ends_with(stamps));
    assert_eq!(lock.retain(|_| false), ["debian:12"]);
    assert_eq!(lock.to_string(), text);
    let dir = tempfile::tempdir().unwrap();
    assert!(save(&dir.path().join("spec.lock"), &lock).unwrap(), "a stamp alone is worth a file");
}

#[test]
fn a_stamp_follows_another_and_is_never_one_that_was() {
    let today = "2026-11-30".parse().unwrap();
    let after = |old: Option<&str>| Stamp::following(old.map(stamp), today).to_string();
    assert_eq!(after(None), "2026-11-30");
    assert_eq!(after(Some("2026-11-29.7")), "2026-11-30");
    assert_eq!(after(Some("2026-11-30")), "2026-11-30.2");
    assert_eq!(after(Some("2026-11-30.9")), "2026-11-30.10");
    assert_eq!(after(Some("2026-12-01")), "2026-12-01.2", "a clock went back");
    for wrong in
        ["", "2026-11-31", "20261130", "2026-11-30.", "2026-11-30.1", "2026-11-30.02", "2026-11-30T10"]
    {
        assert_eq!(Stamp::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn every_mistake_in_a_stamp_says_what_to_do() {
    let text = "version: 1\nimages: {}\nrefreshed:\n  vision: 2026-11-31\n  app: 2026\n  Vision: 2026-11-30\n  h-baker/thesis: 2026-11-30\n  app@: 2026-11-30\n";
    insta::assert_snapshot!(refused(text));
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
    let name_of_image = "[a-z0-9]{1,3}([._-][a-z0-9]{1,3})?(@[A-Za-z0-9]{1,3})?";
    let day = (2000..2100i16, 1..13i8, 1..29i8, prop_oneof![Just(String::new()), "[.][2-9][0-9]?"]);
    let any_stamp = day.prop_map(|(y, m, d, count)| stamp(&format!("{y}-{m:02}-{d:02}{count}")));
    let stamps = prop::collection::btree_map(name_of_image.prop_map(NodeName::new), any_stamp, 0..4);
    (prop::collection::vec(entry, 0..6), stamps).prop_map(|(entries, refreshed)| {
        let mut lock = Lock { refreshed, ..Lock::default() };
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
