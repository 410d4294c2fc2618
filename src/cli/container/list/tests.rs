//! The list as people see it.

use std::time::Duration;

use super::*;
use crate::container::list::{HeldGpus, Maker};
use crate::engine::Usage;
use crate::model::names::ImageId;

fn row(name: &str, made_by: Maker) -> ContainerView {
    ContainerView {
        id: format!("id of {name}"),
        project: name.split('.').next().unwrap_or(name).into(),
        name: name.into(),
        state: "running".into(),
        status: "Up 2 hours".into(),
        image: "ds01-1001/thesis:latest".into(),
        image_id: ImageId::new("sha256:1"),
        newer: Some(false),
        owner: Some("h.baker@hertie-school.lan".into()),
        age: Duration::from_secs(7200),
        gpus: Some("0".into()),
        held: Some(HeldGpus::default()),
        managed: matches!(made_by, Maker::Ours | Maker::Legacy),
        made_by,
        protected: false,
        notice: None,
        usage: None,
        deploy: "ds01-build deploy thesis".into(),
    }
}

fn server() -> Vec<ContainerView> {
    let slots = |slots: &[&str]| {
        let slots = slots.iter().map(|slot| (*slot).to_owned()).collect();
        Some(HeldGpus { slots, ..HeldGpus::default() })
    };
    vec![
        ContainerView {
            newer: Some(true),
            image: "ds01-1001/thesis:r-0123456789abcdef".into(),
            gpus: Some("2".into()),
            held: slots(&["0", "1"]),
            usage: Some(Usage { cpus: 1.5, memory: 3 << 29, pids: 9 }),
            ..row("thesis._.1001", Maker::Ours)
        },
        ContainerView {
            gpus: Some("1g.10gb".into()),
            held: slots(&["2.1"]),
            protected: true,
            notice: Some("stopped in 2 hours".into()),
            ..row("maps._.1001", Maker::Ours)
        },
        ContainerView {
            status: "Exited (0) 3 days ago".into(),
            state: "exited".into(),
            gpus: Some("all".into()),
            held: None,
            newer: None,
            ..row("old._.1001", Maker::Legacy)
        },
        ContainerView {
            owner: None,
            gpus: None,
            held: Some(HeldGpus { all: true, ..HeldGpus::default() }),
            image: "pytorch:2".into(),
            ..row("trainer", Maker::Foreign)
        },
        ContainerView {
            owner: None,
            gpus: None,
            image: "registry:2".into(),
            newer: None,
            ..row("registry", Maker::Other)
        },
    ]
}

#[test]
fn containers_of_every_kind_are_told_apart() {
    let (rows, style) = (server(), OutputStyle::default());
    let mut text = table(&rows, false, &style) + "\n" + &table(&rows[..2], true, &style) + "\n";
    text += &remarks(&rows, false).join("\n");
    assert!(remarks(&rows, true).is_empty());
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_to_list_is_said_with_what_to_do() {
    assert_eq!(table(&[], true, &OutputStyle::default()), "");
    assert!(remarks(&[], false)[0].contains("`--all`") && !remarks(&[], true)[0].contains("`--all`"));
}
