//! What holds for every base and account.

use proptest::prelude::*;

use super::memory::{MemoryBase, account, debian, ubuntu};
use crate::image::user_layer::*;

const DATABASES: [&str; 6] = databases::DATABASES;

fn accounts_of_people() -> impl Strategy<Value = Account> {
    let ids = || prop_oneof![1000..1010u32, 60_000..70_000u32, 4_294_967_200..u32::MAX];
    let ids = move || ids().prop_filter("nobody's", |id| *id != 65534);
    ("[a-z][a-z0-9_-]{0,12}", ids(), ids(), any::<bool>())
        .prop_map(|(name, uid, gid, sudo)| Account { sudo, ..account(&name, uid, gid) })
}

/// Lines as people leave them: entries, comments, NIS lines, blanks, rubbish.
fn foreign_lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[a-z]{1,6}:x:[0-9]{1,5}:[a-z,]{0,9}:[ -9;-~]{0,9}:/[a-z]{0,6}:/bin/sh",
        "# [ -~]{0,20}",
        "\\+@?[a-z]{0,4}:::",
        "-[a-z]{1,4}",
        "[ -~]{0,20}",
        Just(String::new()),
    ];
    (prop::collection::vec(line, 0..8), any::<bool>())
        .prop_map(|(lines, newline)| lines.join("\n") + if newline { "\n" } else { "" })
}

fn bases() -> impl Strategy<Value = MemoryBase> {
    let texts = prop::collection::vec(foreign_lines(), DATABASES.len());
    (texts, prop_oneof![Just(debian()), Just(ubuntu())]).prop_map(|(texts, disk)| {
        let disk = disk.file("/usr/bin/sudo", "", 0o4755, 0, 0);
        DATABASES.iter().zip(texts).fold(disk, |disk, (path, foreign)| {
            let text = disk.text(path).unwrap_or_default() + &foreign;
            disk.file(path, &text, 0o644, 0, 0)
        })
    })
}

/// Lines that are neither of the account nor of groups it can be a member of.
fn others(text: &str, known_as: &[&str]) -> Vec<String> {
    let own = |line: &str| {
        line.split([':', ',']).any(|field| known_as.contains(&field)) || line.starts_with("sudo:")
    };
    text.lines().filter(|line| !own(line)).map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn other_lines_stay_byte_for_byte_and_in_order(base in bases(), person in accounts_of_people()) {
        let Ok(layer) = layer(&base.facts(&person), &person) else { return Ok(()) };
        let after = base.with(&layer);
        let passwd = base.text("/etc/passwd").unwrap();
        let uid = person.uid.to_string();
        let old = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid));
        let known_as = [person.name.as_str(), old.and_then(|line| line.split(':').next()).unwrap_or("")];
        for path in DATABASES {
            let (before, after) = (base.text(path).unwrap(), after.text(path).unwrap());
            prop_assert_eq!(others(&before, &known_as), others(&after, &known_as), "{}", path);
        }
    }

    #[test]
    fn laying_it_on_twice_changes_nothing(base in bases(), person in accounts_of_people()) {
        let Ok(first) = layer(&base.facts(&person), &person) else { return Ok(()) };
        let once = base.with(&first);
        prop_assert_eq!(once.verified(&person), Ok(()));
        let second = layer(&once.facts(&person), &person);
        prop_assert!(second.is_ok(), "{:?}", second);
        prop_assert_eq!(once.with(&second.unwrap()), once);
    }

    #[test]
    fn every_entry_has_as_many_fields_as_its_database(person in accounts_of_people(), login in ".{0,20}") {
        let person = Account { login: crate::model::names::Login::new(login), sudo: false, ..person };
        let Ok(layer) = layer(&debian().facts(&person), &person) else { return Ok(()) };
        let after = debian().with(&layer);
        for (path, fields) in DATABASES.into_iter().zip([7, 4, 9, 4, 3, 3]) {
            for line in after.text(path).unwrap().lines() {
                prop_assert_eq!(line.split(':').count(), fields, "{}", line);
            }
        }
    }

    #[test]
    fn a_node_stands_after_its_folder_and_no_log_is_touched(base in bases(), person in accounts_of_people()) {
        let Ok(layer) = layer(&base.facts(&person), &person) else { return Ok(()) };
        let mut seen = std::collections::BTreeSet::from([String::new()]);
        for node in &layer.nodes {
            let (parent, _) = node.path.rsplit_once('/').unwrap();
            prop_assert!(seen.contains(parent), "{} before {}", node.path, parent);
            prop_assert!(seen.insert(node.path.clone()), "{} twice", node.path);
            prop_assert!(!node.path.starts_with("/var"), "{}", node.path);
        }
    }
}
