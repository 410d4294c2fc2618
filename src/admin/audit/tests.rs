//! What is found on engines with a past.

use std::collections::BTreeMap;

use super::*;
use crate::model::names::{ImageId, Login};
use crate::model::reference::Reference;

const NOW: i64 = 1_760_000_000;
const YEAR: i64 = 365 * 24 * 3600;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn container(name: &str, pairs: &[(&str, &str)]) -> Container {
    Container {
        id: "c".into(),
        name: name.into(),
        image: "x".into(),
        image_id: ImageId::new("sha256:1"),
        labels: labels(pairs),
        state: "exited".into(),
        status: "Exited".into(),
        created: NOW - 2 * YEAR,
    }
}

fn image(tag: &str, created: i64, pairs: &[(&str, &str)]) -> Image {
    Image {
        id: ImageId::new(format!("sha256:{}", "4f".repeat(32))),
        tags: Reference::parse(tag).into_iter().collect(),
        digests: Vec::new(),
        labels: labels(pairs),
        size: 1,
        created,
    }
}

fn look(images: &[Image], containers: &[Container]) -> Audit {
    audit(images, containers, NOW, &|uid| (uid == 1001).then(|| Login::new("ann")))
}

fn faults(audit: &Audit) -> Vec<String> {
    audit.wrong.iter().map(|wrong| format!("{} {} {}", wrong.name, wrong.key, wrong.fault)).collect()
}

#[test]
fn what_relies_on_old_keys_is_told_with_its_keys_age_and_owner() {
    let found = look(
        &[
            image("aimehub/pytorch:old._.1001", NOW - YEAR, &[("aime.mlc.FRAMEWORK", "Pytorch")]),
            image("", 0, &[("aime.mlc.DS01_HAS_USER_SETUP", "true")]),
            image("new:1", NOW, &[("ds01.framework", "Pytorch"), ("aime.mlc.FRAMEWORK", "Pytorch")]),
        ],
        &[
            container("thesis._.1001", &[("aime.mlc.NAME", "thesis"), ("aime.mlc.GPUS", "0")]),
            container("maps._.1002", &[("aime.mlc", "bob"), ("aime.mlc.USER", "bob")]),
            container("new._.1001", &[("ds01.user", "ann"), ("aime.mlc.USER", "ann")]),
            container("foreign", &[("com.docker.compose.project", "x")]),
        ],
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&found.relying).unwrap());
    assert_eq!(found.wrong, []);
}

#[test]
fn a_key_is_removable_when_nothing_relies_on_it() {
    let none = look(&[], &[]);
    assert!(none.keys.len() == LEGACY.len() && none.keys.iter().all(|key| key.removable));
    // The second is there, and the first answers for it.
    let pairs = &[("aime.mlc.USER", "bob"), ("aime.mlc", "bob")];
    let found = look(&[image("x:1", NOW, pairs)], &[container("x", pairs)]);
    let used: Vec<_> = found.keys.iter().filter(|key| !key.removable).collect();
    let expected = LegacyKeyUse {
        key: "aime.mlc.USER",
        read_as: "ds01.user",
        containers: 1,
        images: 1,
        removable: false,
    };
    assert_eq!(used, [&expected]);
}

#[test]
fn what_is_known_of_an_account_relies_on_one_generation_only() {
    let old = ("aime.mlc.DS01_USER_ID", "1001");
    let keys = |found: Audit| found.relying.into_iter().flat_map(|one| one.keys).collect::<Vec<_>>();
    assert_eq!(keys(look(&[image("x:1", NOW, &[old])], &[])), [old.0]);
    assert!(keys(look(&[image("x:1", NOW, &[old, ("ds01.has_user_setup", "true")])], &[])).is_empty());
}

#[test]
fn labels_of_ours_that_are_wrong_are_found() {
    let found = look(
        &[image(
            "x:1",
            NOW,
            &[("ds01.user_id", "ann"), ("ds01.gpu.uuid", "GPU-1"), ("ds01.protected", "true")],
        )],
        &[container(
            "c",
            &[("ds01.managed", "yes"), ("ds01.owner", "ann"), ("ds01.interface", "hand"), ("ds01.user", "")],
        )],
    );
    insta::assert_snapshot!(faults(&found).join("\n"));
}

#[test]
fn gpu_keys_stand_together_and_agree() {
    let (uuids, slots) = (("ds01.gpu.uuids", "GPU-1,GPU-2"), ("ds01.gpu.slots", "0,1"));
    let equivalents = ("ds01.gpu.equivalents", "2");
    let of = |pairs: &[(&str, &str)]| faults(&look(&[], &[container("c", pairs)]));
    assert!(of(&[uuids, slots, equivalents]).is_empty());
    assert_eq!(of(&[uuids, equivalents]).len(), 2);
    assert_eq!(of(&[slots]), ["c ds01.gpu.slots stands without ds01.gpu.uuids and ds01.gpu.equivalents"]);
    let short = of(&[uuids, ("ds01.gpu.slots", "0"), equivalents]);
    assert_eq!(short, ["c ds01.gpu.slots is of length 1, and ds01.gpu.uuids of 2"]);
}

#[test]
fn labels_of_others_and_old_values_are_not_ours_to_judge() {
    let theirs = [("devcontainer.workspaceFolder", "x"), ("aime.mlc.DS01_USER_ID", "x"), ("DS01.x", "y")];
    let old = [("ds01.gpu_slot", "GPU-1"), ("ds01.created", "yesterday"), ("ds01.container_type", "hand")];
    let inherited = [("ds01.image", "tool"), ("ds01.user_id", "1001")];
    assert!(faults(&look(&[], &[container("c", &[&theirs[..], &old, &inherited].concat())])).is_empty());
}
