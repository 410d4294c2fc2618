use super::records::*;
use super::*;
use crate::dockerfile::context::Listing;
use crate::model::digest::Digest;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::Repository;

fn record(at: i64) -> Record {
    Record {
        recipe: "ab".repeat(32),
        scheme: 1,
        ingredients: "base=0123".into(),
        written: RecipeRecord::default(),
        tree: None,
        dockerfile: None,
        took_ms: 1,
        at,
        result: BuildResult::Built { id: ImageId::new("sha256:1") },
    }
}

fn repository(name: &str) -> Repository {
    Repository::parse(name).unwrap()
}

fn records() -> (tempfile::TempDir, Records) {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::new(dir.path(), "engine:1");
    (dir, records)
}

fn add(records: &Records, image: &str, at: i64) {
    records.add(&repository("reg.local:5000/ds01/vision"), &NodeName::new(image), &record(at)).unwrap();
}

fn times(records: &Records, image: &str) -> Vec<i64> {
    let of = records.of(&repository("reg.local:5000/ds01/vision"), &NodeName::new(image));
    of.into_iter().map(|record| record.at).collect()
}

#[test]
fn the_last_eight_tries_of_each_image_are_kept_in_order() {
    let (_dir, records) = records();
    for at in [3, 1, 2, 2, 9, 10, 100, 7, 8, 11] {
        add(&records, "vision", at);
    }
    add(&records, "vision@py312", 5);
    assert_eq!(times(&records, "vision"), [2, 3, 7, 8, 9, 10, 11, 100]);
    assert_eq!(times(&records, "vision@py312"), [5]);
}

#[test]
fn two_runs_at_once_lose_nothing_of_each_other() {
    let (_dir, records) = records();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let records = &records;
            scope.spawn(move || add(records, "vision", n));
        }
    });
    assert_eq!(times(&records, "vision"), [0, 1, 2, 3]);
}

#[test]
fn what_is_broken_or_foreign_is_not_known() {
    let (dir, records) = records();
    assert!(times(&records, "vision").is_empty());
    add(&records, "vision", 5);
    let folder = dir.path().join("engine1/images/reg.local=5000%ds01%vision@");
    for (name, text) in [("0.json", "{"), ("1.json", "[]"), ("9.part", "x"), ("README", "hello")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::create_dir(folder.join("2.json")).unwrap();
    assert_eq!(times(&records, "vision"), [5]);
    let other = Records::new(dir.path(), "engine:2");
    assert!(times(&other, "vision").is_empty(), "another engine has other images");
}

#[test]
fn images_that_share_a_context_share_its_files() {
    let (dir, records) = records();
    let tree = Digest::of(b"tree");
    let files = Listing::from([("bin/run".to_owned(), "0123".to_owned())]);
    records.add_files(tree.as_str(), || Some(files.clone())).unwrap();
    records.add_files(tree.as_str(), || panic!("it is kept already")).unwrap();
    assert_eq!(records.files(tree.as_str()), Some(files));
    records.add_files(Digest::of(b"huge").as_str(), || None).unwrap();
    assert_eq!(records.files(Digest::of(b"huge").as_str()), None);
    assert_eq!(records.files("../../../etc/passwd"), None);
    assert_eq!(std::fs::read_dir(dir.path().join("engine1/trees")).unwrap().count(), 1);
}

#[test]
fn listings_that_nobody_used_for_long_are_forgotten() {
    let (dir, records) = records();
    for n in 0..140_u32 {
        let tree = Digest::of(&n.to_le_bytes());
        records.add_files(tree.as_str(), || Some(Listing::new())).unwrap();
    }
    assert_eq!(std::fs::read_dir(dir.path().join("engine1/trees")).unwrap().count(), 128);
    assert!(records.files(Digest::of(&139_u32.to_le_bytes()).as_str()).is_some());
}

#[test]
fn only_the_user_can_read_them_and_a_long_name_has_a_folder() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, records) = records();
    let long = repository(&format!("reg.local/{}", "long/".repeat(45) + "x"));
    records.add(&long, &NodeName::new("x"), &record(1)).unwrap();
    assert_eq!(records.of(&long, &NodeName::new("x")).len(), 1);
    let mode = std::fs::metadata(dir.path().join("engine1")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn the_last_run_stands_in_place_of_the_one_before() {
    let (dir, records) = records();
    assert_eq!(records.last_run(), None);
    let run = |at: i64| RunRecord { at, took_ms: 5, built: 2, failed: 1, ..RunRecord::default() };
    records.set_last_run(&run(1)).unwrap();
    records.set_last_run(&run(2)).unwrap();
    assert_eq!(records.last_run(), Some(run(2)));
    assert_eq!(Records::new(dir.path(), "engine:2").last_run(), None);
    std::fs::write(dir.path().join("engine1/last-run.json"), "{").unwrap();
    assert_eq!(records.last_run(), None);
}

#[test]
fn whose_tag_it_is_is_written_only_where_that_is_new() {
    use std::os::unix::fs::MetadataExt;
    let (dir, records) = records();
    let tag = repository("ds01/vision").with_tag("t-main");
    let file = || {
        let mut files = std::fs::read_dir(dir.path().join("engine1/branches")).unwrap();
        files.next().unwrap().unwrap().metadata().unwrap().ino()
    };
    records.set_branch(&tag, "main").unwrap();
    let first = file();
    records.set_branch(&tag, "main").unwrap();
    assert_eq!(file(), first);
    records.set_branch(&tag, "other").unwrap();
    assert_eq!(records.branch(&tag).as_deref(), Some("other"));
}
