//! The text by the exposition format's grammar, and which figures there are.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::gpu::claims::ClaimSource;
use crate::gpu::overview::{GpuStatus, GpuUsage, Holder, InstanceStatus, MissingGpu};
use crate::gpu::{ComputeMode, Memory};
use crate::model::names::{ImageId, Login};
use crate::model::reference::Reference;

/// A figure as a reader of the text has it: name, labels and value.
type Read = (String, BTreeMap<String, String>, f64);

/// Reads the text by the grammar of version 0.0.4, line by line; panics at
/// what is not of it.
fn parsed(text: &str) -> Vec<Read> {
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut declared = BTreeSet::new();
    let (mut helped, mut typed) = (String::new(), String::new());
    let mut seen = BTreeSet::new();
    let mut figures = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty(), "{line}");
            assert!(declared.insert(name.to_owned()), "HELP twice: {line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert_eq!(rest, format!("{helped} gauge"), "TYPE follows its HELP");
            assert_ne!(typed, helped, "TYPE twice");
            typed.clone_from(&helped);
        } else {
            let (name, labels, value) = figure(line);
            assert_eq!(name, typed, "figures follow their TYPE: {line}");
            assert!(seen.insert((name.clone(), labels.clone())), "twice: {line}");
            figures.push((name, labels, value));
        }
    }
    figures
}

fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(legal)
}

fn figure(line: &str) -> Read {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, quoted) = rest.split_once("=\"").unwrap();
            assert!(is_name(label) && !label.starts_with("__"), "{line}");
            let (value, after) = unquoted(quoted);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => break rest = after.strip_prefix('}').unwrap(),
            }
        }
    }
    (name.to_owned(), labels, rest.strip_prefix(' ').unwrap().parse().unwrap())
}

fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                other => panic!("\\{other} is no escape"),
            }),
            c => value.push(c),
        }
    }
    panic!("no end of the value in {text}")
}

fn container(name: &str, state: &str, image: u32, labels: &[(&str, &str)]) -> Container {
    Container {
        id: format!("{name:c>64}"),
        name: name.into(),
        image: "x".into(),
        image_id: ImageId::new(format!("sha256:{image}")),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        state: state.into(),
        status: String::new(),
        created: 0,
    }
}

fn image(id: u32, tag: Option<&str>, managed: bool) -> Image {
    Image {
        id: ImageId::new(format!("sha256:{id}")),
        tags: tag.map(|tag| Reference::parse(tag).unwrap()).into_iter().collect(),
        digests: Vec::new(),
        labels: BTreeMap::from([("ds01.managed".to_owned(), managed.to_string())]),
        size: 1,
        created: 0,
    }
}

fn usage(availability: Availability, holders: &[(&str, Option<&str>)]) -> GpuUsage {
    let holder = |(container, owner): &(&str, Option<&str>)| Holder {
        container: (*container).to_owned(),
        owner: owner.map(str::to_owned),
        state: "running".into(),
        by: ClaimSource::Labels,
    };
    GpuUsage { availability, why: None, holders: holders.iter().map(holder).collect(), processes: None }
}

fn row(index: u32, usage: GpuUsage) -> GpuStatus {
    GpuStatus {
        index,
        minor: index,
        uuid: Some(format!("GPU-{index}")),
        model: Some("NVIDIA H200".into()),
        memory: Some(Memory { used: 5, total: 150_754_820_096 }),
        utilization: Some(37),
        compute_mode: Some(ComputeMode::Shared),
        mig: Some(false),
        links: None,
        instances: Vec::new(),
        usage,
        unreadable: BTreeMap::new(),
    }
}

fn overview() -> Overview {
    let slice = InstanceStatus {
        slot: "1.0".into(),
        uuid: Some("MIG-1".into()),
        profile: Some("1g.18gb".into()),
        slices: Some(1),
        memory: None,
        usage: usage(Availability::Free, &[]),
        unreadable: BTreeMap::new(),
    };
    let divided =
        GpuStatus { utilization: None, instances: vec![slice], ..row(1, usage(Availability::Divided, &[])) };
    let lost = GpuStatus {
        uuid: None,
        model: None,
        memory: None,
        utilization: None,
        ..row(2, usage(Availability::Lost, &[]))
    };
    let holders = [("thesis._.1001", Some("ann@x.org")), ("odd \"one\"\\\n", None)];
    Overview {
        driver: DriverState::Ready { driver: "570".into(), gpus: 3 },
        holders_unknown: None,
        gpus: vec![row(0, usage(Availability::Held, &holders)), divided, lost],
        gone: vec![MissingGpu { container: "old".into(), owner: Some("bob".into()), device: "GPU-9".into() }],
        privileged: Vec::new(),
    }
}

fn none() -> Overview {
    Overview { driver: DriverState::NoDriver, gpus: Vec::new(), gone: Vec::new(), ..overview() }
}

const RUN: RunRecord = RunRecord {
    at: 1_760_000_000,
    took_ms: 61_500,
    built: 3,
    fetched: 0,
    kept: 4,
    failed: 1,
    blocked: 2,
    cancelled: 0,
};

fn shown(gpus: &Overview, engine: Option<EngineLists>) -> String {
    let users = |uid| (uid == 1001).then(|| Login::new("ann@x.org"));
    text(&families(&Sources { version: "1.2.3", gpus, engine: engine.as_ref(), users: &users }))
}

#[test]
fn a_whole_machine_is_told_by_the_grammar() {
    let managed = ("ds01.managed", "true");
    let containers = [
        container("a", "running", 1, &[managed, ("ds01.user", "ann@x.org"), ("ds01.group", "student")]),
        container("b", "running", 1, &[managed, ("ds01.user", "ann@x.org"), ("ds01.group", "student")]),
        container("c", "exited", 2, &[managed, ("ds01.user", "ann@x.org"), ("ds01.group", "student")]),
        // Of the system before, whose labels name no group.
        container("d._.1001", "running", 9, &[("aime.mlc.DS01_MANAGED", "true")]),
        container("db", "running", 9, &[]),
    ];
    let images = [
        image(1, Some("ds01/a:1"), true),
        image(2, None, true),
        image(3, None, true),
        image(4, Some("ds01/b:1"), true),
        image(9, None, false),
    ];
    let lists = EngineLists { containers: containers.into(), images: images.into(), last_run: Some(RUN) };
    let text = shown(&overview(), Some(lists));
    insta::assert_snapshot!(text);
    let figures = parsed(&text);
    let odd =
        figures.iter().find(|(_, labels, _)| labels.get("container").is_some_and(|c| c.starts_with("odd")));
    assert_eq!(odd.unwrap().1["container"], "odd \"one\"\\\n");
    assert!(!odd.unwrap().1.contains_key("user"));
}

#[test]
fn what_does_not_answer_is_absent_and_said_to_be() {
    let figures = parsed(&shown(&none(), None));
    let names: Vec<_> = figures.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, ["ds01_build_info", "ds01_up", "ds01_up"]);
    assert!(figures[1..].iter().all(|(_, _, value)| *value == 0.0));
    let lists = EngineLists::default();
    let figures = parsed(&shown(&none(), Some(lists)));
    let up: Vec<_> = figures
        .iter()
        .filter(|(name, ..)| name == "ds01_up")
        .map(|(_, of, up)| (of["part"].as_str(), *up))
        .collect();
    assert_eq!(up, [("engine", 1.0), ("nvml", 0.0)]);
    // An engine without images has none, which is known.
    let images: f64 =
        figures.iter().filter(|(name, ..)| name == "ds01_images").map(|(.., count)| count).sum();
    assert_eq!((images, figures.iter().any(|(name, ..)| name.starts_with("ds01_last"))), (0.0, false));
}

proptest! {
    #[test]
    fn any_label_and_any_figure_can_be_read_back(values in proptest::collection::vec(("\\PC*|[\"\\\\\n]*", any::<u64>()), 0..6)) {
        let mut family = Family::new("ds01_x", "Help with a \\ and\na line.");
        let unique: BTreeMap<_, _> = values.into_iter().collect();
        for (value, count) in &unique {
            family.add([("a", "fixed"), ("b", value.as_str())], *count);
        }
        // What stands twice is told once.
        if let Some((value, _)) = unique.first_key_value() {
            family.add([("a", "fixed"), ("b", value.as_str())], 7);
        }
        let written = text(&[family]);
        let read: Vec<_> = parsed(&written).into_iter().map(|(_, labels, _)| labels.get("b").cloned().unwrap_or_default()).collect();
        prop_assert_eq!(read, unique.into_keys().collect::<Vec<_>>());
    }
}
