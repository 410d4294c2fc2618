//! What names mean, what a change reaches, and what that costs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::engine::{self, Image};
use crate::image::recipe::{Parts, Recipe, RecipeRecord, SCHEME};
use crate::model::names::Login;
use crate::model::reference::Reference;
use crate::plan::history::{BuildResult, Record};
use crate::plan::observe::{self, HashCache};
use crate::spec::files::Disk;

const SPEC: &str = "
tag: {prefix: t}
include: [projects/*.yml]
users: {j.doe@x: {uid: 1001}, ann: {uid: 1002}}
bases: {slim: {image: \"debian:12\"}, idle: {image: \"debian:11\"}}
plans: {py312: {tag_prefix: t-py312, build_args: {COLOUR: blue}}}
images:
  a: {base: slim, build_args: {COLOUR: red}}
  b: {depend_on: a}
  c: {depend_on: a, skip_plans: [py312]}
  d: {depend_on: [b, c], skip_plans: [py312], build_args: {COLOUR: red}}
  e: {skip_plans: [py312]}
";

const DOCKERFILE: &str = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY data /data\n";

/// debian:12 → a → b, c; d is based on b and copies from c; e is based on
/// alpine:3 and copies from debian:12; projects on d and on b@py312.
struct Here {
    dir: tempfile::TempDir,
    spec: Spec,
    graph: Graph,
    dockerfiles: HashMap<NodeId, DockerfileSnapshot>,
}

impl Here {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("spec.yml", SPEC);
        write(
            "projects/doe.yml",
            "thesis: {user: j.doe@x, image: d}\npaper: {user: j.doe@x, image: b@py312}\n",
        );
        write("projects/ann.yml", "talk: {user: ann, image: d}\n");
        for name in ["a", "b", "c"] {
            write(&format!("images/{name}/Dockerfile"), DOCKERFILE);
            write(&format!("images/{name}/data/file"), name);
            write(&format!("images/{name}/README.md"), name);
        }
        write("images/a/Dockerfile", &format!("{DOCKERFILE}ARG COLOUR\nARG SHAPE=round\n"));
        write("images/b/.dockerignore", "data/left-out\n");
        write("images/b/data/left-out", "b");
        let d = "ARG BASE_IMAGE\nARG BASE_IMAGE_C\nFROM ${BASE_IMAGE_C} AS c\nFROM ${BASE_IMAGE}\nCOPY --from=c /data /c\n";
        write("images/d/Dockerfile", d);
        write("images/e/Dockerfile", "FROM alpine:3\nCOPY --from=debian:12 /etc/os-release /\n");
        let spec = crate::spec::read(dir.path(), Path::new("spec.yml"), &crate::spec::SpecContext::of(&Disk))
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let graph = Graph::build(&spec);
        let dockerfiles = observe::files(&spec, &graph, &HashCache::default())
            .unwrap_or_else(|problems| panic!("{problems:#?}"));
        Self { dir, spec, graph, dockerfiles }
    }

    fn stack(&self) -> SpecFiles<'_> {
        SpecFiles { spec: &self.spec, graph: &self.graph, dockerfiles: &self.dockerfiles }
    }

    fn ask(&self, name: &str, only: Option<TargetKind>) -> Result<(Target, Vec<TargetKind>), String> {
        let path = self.dir.path().join(name);
        let file = path.symlink_metadata().is_ok().then_some(path.as_path());
        let told = |problem: crate::model::problem::Problem| {
            format!("{}; {}", problem.message, problem.help.unwrap_or_default())
        };
        ask(&self.stack(), name, file, only).map_err(told)
    }

    fn reach(&self, name: &str) -> Affected {
        let (asked, _) = self.ask(name, None).unwrap_or_else(|why| panic!("{why}"));
        let mut read = FileReaders::default();
        if let Target::File { path } = &asked {
            read.readers = observe::readers(&self.spec, &self.graph, &self.dockerfiles, path);
            let is_in = |file: &Path| self.dir.path().join(file).starts_with(path);
            let declares = causes::declared(&self.spec, &self.graph, &is_in);
            read.declares = (!declares.is_empty()).then_some(declares);
        }
        reach(&self.stack(), &asked, &read)
    }

    /// `name: why` of all that is reached; `!` where it is its own change.
    fn shown(&self, name: &str) -> Vec<String> {
        let line = |image: &AffectedImage| {
            let mark = if image.direct { "!" } else { "" };
            format!("{mark}{}: {}", self.graph.node(image.node).name, image.why)
        };
        self.reach(name).images.iter().map(line).collect()
    }

    fn names(&self, name: &str) -> Vec<String> {
        self.reach(name).images.iter().map(|image| self.graph.node(image.node).name.to_string()).collect()
    }

    fn impact(
        &self,
        name: &str,
        engine: Option<&EngineLists>,
        records: &[(&str, Record)],
        jobs: usize,
    ) -> Impact {
        let mut by_node: HashMap<NodeId, Vec<Record>> = HashMap::new();
        for (name, record) in records {
            let node = self.graph.find(name).unwrap();
            by_node.entry(node).or_default().push(record.clone());
        }
        let users = |uid| (uid == 1001).then(|| Login::new("j.doe@x"));
        let known = CostInputs { engine, records: &by_node, jobs, users: &users };
        let (asked, _) = self.ask(name, None).unwrap();
        impact(&self.stack(), asked, self.reach(name), &known)
    }
}

#[test]
fn an_image_reaches_itself_and_what_stands_on_it_and_no_sibling() {
    let here = Here::new();
    assert_eq!(
        here.shown("c"),
        ["!c: changes itself", "d: copies from c", "ann/talk: is based on d", "j-doe/thesis: is based on d"]
    );
    assert_eq!(here.names("a"), ["a", "b", "c", "d", "ann/talk", "j-doe/thesis"]);
    assert_eq!(here.names("thesis"), ["j-doe/thesis"]);
}

#[test]
fn a_plan_variant_reaches_what_stands_on_that_variant() {
    let here = Here::new();
    assert_eq!(here.names("a@py312"), ["a@py312", "b@py312", "j-doe/paper"]);
    let notes = here.reach("a").notes;
    assert!(notes[0].contains("`a` alone") && notes[0].ends_with("those of a@py312"), "{notes:?}");
    assert!(here.reach("c").notes.is_empty(), "it is left out of the plan");
}

#[test]
fn a_base_reaches_whoever_stands_on_it_or_copies_from_it() {
    let here = Here::new();
    let all = [
        "!a: is based on slim",
        "!e: copies from debian:12",
        "b: is based on a",
        "c: is based on a",
        "d: is based on b",
        "!a@py312: is based on slim",
        "b@py312: is based on a@py312",
        "j-doe/thesis: is based on d",
        "j-doe/paper: is based on b@py312",
        "ann/talk: is based on d",
    ];
    let sorted = |mut lines: Vec<String>| {
        lines.sort_unstable();
        lines
    };
    let expected = sorted(all.iter().map(ToString::to_string).collect());
    for name in ["slim", "debian:12", "docker.io/library/debian:12"] {
        assert_eq!(sorted(here.shown(name)), expected, "{name}");
    }
    assert_eq!(here.shown("alpine:3"), ["!e: is based on alpine:3"]);
    assert_eq!(here.reach("idle").notes, ["nothing is based on debian:11"]);
}

#[test]
fn a_file_reaches_only_those_that_can_read_it() {
    let here = Here::new();
    let thesis = ["d", "ann/talk", "j-doe/thesis"];
    for (path, direct, why) in [
        ("images/c/data/file", "c", "reads it"),
        ("images/c/data", "c", "reads it"),
        ("images/c/Dockerfile", "c", "its Dockerfile"),
        ("images/c", "c", "its Dockerfile"),
    ] {
        assert_eq!(here.shown(path)[0], format!("!{direct}: {why}"), "{path}");
        assert_eq!(here.names(path)[1..], thesis, "{path}");
    }
    for path in ["images/c/README.md", "images/b/data/left-out"] {
        let reach = here.reach(path);
        assert!(reach.images.is_empty() && reach.notes == ["no image reads it"], "{path}: {reach:?}");
    }
    let reach = here.reach("images/b/.dockerignore");
    assert_eq!(reach.images[0].why, Cause::Reads { role: observe::FileRole::IgnoreRules });
    assert!(reach.notes[0].contains("ignore rules"), "{:?}", reach.notes);
}

#[test]
fn a_link_is_read_as_itself_and_as_what_it_leads_to() {
    let here = Here::new();
    let link = here.dir.path().join("elsewhere");
    std::os::unix::fs::symlink(here.dir.path().join("images/c/data/file"), link).unwrap();
    assert_eq!(here.shown("elsewhere")[0], "!c: reads it");
}

#[test]
fn a_file_of_the_spec_says_what_it_declares() {
    let here = Here::new();
    let reach = here.reach("projects/doe.yml");
    assert!(reach.images.is_empty());
    assert_eq!(reach.declares, ["project j-doe/thesis", "project j-doe/paper"]);
    assert!(reach.notes[0].contains("entry by entry"), "{:?}", reach.notes);
    let all = here.reach("spec.yml").declares;
    assert_eq!(
        all,
        [
            "base slim",
            "base idle",
            "image a",
            "image b",
            "image c",
            "image d",
            "image e",
            "plan py312",
            "user ann",
            "user j.doe@x"
        ]
    );
}

#[test]
fn a_build_arg_reaches_those_whose_dockerfile_declares_it() {
    let here = Here::new();
    let arg = |name: &str| -> Vec<String> {
        here.shown(name).into_iter().filter(|line| line.starts_with('!')).collect()
    };
    assert_eq!(arg("COLOUR"), ["!a: declares it, is given red", "!a@py312: declares it, is given blue"]);
    assert_eq!(arg("COLOUR=blue"), ["!a: red → blue"]);
    assert_eq!(arg("SHAPE=square"), ["!a: not set → square", "!a@py312: not set → square"]);
    assert_eq!(
        here.reach("COLOUR=blue").notes,
        [
            "given this value already: a@py312",
            "given it, but no Dockerfile of theirs declares it: b@py312, d"
        ]
    );
}

#[test]
fn a_name_is_an_image_first_and_says_what_else_it_could_be() {
    let here = Here::new();
    std::fs::create_dir(here.dir.path().join("a")).unwrap();
    std::fs::write(here.dir.path().join("COLOUR"), "").unwrap();
    let (asked, others) = here.ask("a", None).unwrap();
    assert!(matches!(asked, Target::Image { .. }));
    assert_eq!(
        otherwise("a", &others).unwrap(),
        "`a` could also mean the file or folder of that name: --as file"
    );
    assert!(
        matches!(here.ask("a", Some(TargetKind::File)), Ok((Target::File { .. }, others)) if others.is_empty())
    );
    assert!(matches!(here.ask("COLOUR", None), Ok((Target::File { .. }, _))));
    assert!(matches!(here.ask("COLOUR", Some(TargetKind::Arg)), Ok((Target::Arg { value: None, .. }, _))));
    assert_eq!(otherwise("b", &here.ask("b", None).unwrap().1), None);
}

#[test]
fn an_unknown_name_says_what_was_tried_and_what_is_near() {
    let here = Here::new();
    let why = |name: &str, only| here.ask(name, only).unwrap_err();
    let none = "is no image, no base, no file or folder and no build arg";
    for (name, help) in [
        ("thesiss", "did you mean `thesis`?"),
        ("slimm", "did you mean `slim`?"),
        ("alpine", "did you mean `alpine:3`?"),
        ("COLOR=red", "did you mean `COLOUR`?"),
        ("a@py313", "did you mean `a@py312`?"),
        ("nothing-of-the-kind", "`ds01-build graph` lists all names"),
    ] {
        assert_eq!(why(name, None), format!("`{name}` {none}; {help}"));
    }
    assert!(why("BASE_IMAGE", None).contains("by what the image is based on"));
    assert_eq!(
        why("slim", Some(TargetKind::Image)),
        "there is no image `slim`; `ds01-build graph` lists all names"
    );
    assert_eq!(
        why("a", Some(TargetKind::Base)),
        "there is no base `a`; the bases are alpine:3, debian:11, debian:12"
    );
    assert_eq!(
        why("x", Some(TargetKind::Arg)),
        "there is no build arg `x`; the build args are COLOUR, SHAPE"
    );
    assert_eq!(
        why("gone.txt", Some(TargetKind::File)),
        "there is no file or folder `gone.txt`; paths are relative to where you stand"
    );
}

/// A try that took so many seconds; `ok` with this image.
fn record(seconds: u64, ok: Option<&str>) -> Record {
    let recipe = Recipe::new(&Parts {
        dockerfile: None,
        context: None,
        args: &BTreeMap::new(),
        declared_args: &BTreeSet::new(),
        bases: &BTreeMap::new(),
        packages: None,
        user: None,
        labels: &BTreeMap::new(),
        platform: "linux/amd64",
        secrets: &BTreeSet::new(),
        refresh: Default::default(),
    });
    Record {
        recipe: recipe.digest().to_string(),
        scheme: SCHEME,
        ingredients: recipe.ingredients_label(),
        written: RecipeRecord::of(&recipe),
        tree: None,
        dockerfile: None,
        took_ms: seconds * 1000,
        at: 0,
        result: ok.map_or(BuildResult::Failed { message: String::new() }, |id| BuildResult::Built {
            id: ImageId::new(id),
        }),
    }
}

fn image(id: &str, tag: &str, size: u64, labels: &[(&str, &str)]) -> Image {
    Image {
        id: ImageId::new(id),
        tags: vec![Reference::parse(tag).unwrap()],
        digests: Vec::new(),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        size,
        created: 0,
    }
}

fn container(name: &str, image_id: &str, state: &str, labels: &[(&str, &str)]) -> engine::Container {
    engine::Container {
        id: name.into(),
        name: name.into(),
        image: String::new(),
        image_id: ImageId::new(image_id),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        state: state.into(),
        status: "Up 3 minutes".into(),
        created: 0,
    }
}

const BASE: &str = "org.opencontainers.image.base.name";
const BASE_ID: &str = "org.opencontainers.image.base.digest";
const NAME: &str = "ds01.image";

/// b and its variant share a repository; the project on the variant has two
/// images, of which the older holds more.
fn listed() -> EngineLists {
    EngineLists {
        id: String::new(),
        images: vec![
            image("base", "debian:12", 100, &[]),
            image(
                "a",
                "ds01/a:r-0000000000000001",
                130,
                &[(NAME, "a"), (BASE, "debian:12"), (BASE_ID, "base")],
            ),
            image("b", "ds01/b:t-main", 150, &[(NAME, "b"), (BASE, "ds01/a:r-0000000000000001")]),
            image(
                "b3",
                "ds01/b:t-py312-main",
                190,
                &[(NAME, "b@py312"), (BASE, "ds01/a:r-0000000000000009")],
            ),
            image("p0", "ds01-1001/paper:r-0000000000000002", 900, &[("ds01.build.recipe", "old")]),
            image("p1", "ds01-1001/paper:latest", 195, &[(BASE, "ds01/b:t-py312-main")]),
        ],
        containers: vec![
            container("on-a", "a", "exited", &[]),
            container("paper._.1001", "p1", "running", &[]),
            container("old", "gone", "paused", &[("ds01.build.recipe", "old"), ("ds01.user", "eve")]),
            container("other", "base", "running", &[]),
        ],
    }
}

#[test]
fn bytes_are_those_above_what_an_image_was_built_on() {
    let here = Here::new();
    let impact = here.impact("a", Some(&listed()), &[], 1);
    let bytes: Vec<_> = impact.images.iter().map(|image| (image.name.as_str(), image.bytes)).collect();
    assert_eq!(
        bytes,
        [
            ("a", Some(30)),
            ("b", Some(20)),
            ("c", None),
            ("d", None),
            ("ann/talk", None),
            ("j-doe/thesis", None)
        ]
    );
    assert_eq!(impact.bytes, Some(ImageSize { total: 50, unknown: 4 }));
    let variant = here.impact("b@py312", Some(&listed()), &[], 1);
    let bytes: Vec<_> = variant.images.iter().map(|image| (image.image_id.clone(), image.bytes)).collect();
    let id = |text| Some(ImageId::new(text));
    assert_eq!(bytes, [(id("b3"), None), (id("p1"), Some(5))], "what the variant was built on is gone");
}

#[test]
fn the_image_that_was_built_last_is_the_present_one() {
    let here = Here::new();
    let records = [("paper", record(1, Some("p0")))];
    let impact = here.impact("paper", Some(&listed()), &records, 1);
    assert_eq!(impact.images[0].image_id, Some(ImageId::new("p0")));
}

#[test]
fn containers_are_counted_on_present_and_older_images_each_once() {
    let here = Here::new();
    let on = |name: &str| here.impact(name, Some(&listed()), &[], 1).containers.unwrap();
    let paper = on("b@py312");
    let shown: Vec<_> = paper.iter().map(|c| (c.name.as_str(), c.image.as_str(), c.running)).collect();
    assert_eq!(shown, [("paper._.1001", "j-doe/paper", true), ("old", "j-doe/paper", true)]);
    assert_eq!(paper[0].owner.as_deref(), Some("j.doe@x"));
    assert_eq!(paper[1].owner.as_deref(), Some("eve"));
    let a = on("a");
    assert_eq!((a.len(), a[0].name.as_str(), a[0].running), (1, "on-a", false));
    assert!(on("c").is_empty());
}

#[test]
fn people_are_counted_once_with_all_their_projects() {
    let here = Here::new();
    let impact = here.impact("slim", None, &[], 1);
    let users: Vec<_> = impact
        .users
        .iter()
        .map(|user| (user.login.as_str(), user.projects.iter().map(NodeName::as_str).collect::<Vec<_>>()))
        .collect();
    assert_eq!(users, [("ann", vec!["ann/talk"]), ("j.doe@x", vec!["j-doe/thesis", "j-doe/paper"])]);
    assert_eq!((impact.containers, impact.bytes), (None, None), "nobody told");
}

#[test]
fn time_is_that_of_the_last_builds_side_by_side() {
    let here = Here::new();
    let records = [
        ("a", record(99, Some("old"))),
        ("a", record(10, Some("a"))),
        ("a", record(1, None)),
        ("b", record(7, Some("b"))),
        ("b@py312", record(50, Some("b3"))),
        ("c", record(20, Some("c"))),
        ("d", record(4, Some("d"))),
        ("thesis", record(1, Some("thesis"))),
    ];
    // a 10; b 7 beside c 20; d 4; thesis 1 beside a project that was never built.
    for (jobs, wall) in [(1, 42), (2, 35), (9, 35)] {
        let time = here.impact("a", None, &records, jobs).time;
        assert_eq!(time, Time { sum_ms: 42_000, wall_ms: wall * 1000, jobs, unknown: 1 }, "{jobs} at once");
    }
}

#[test]
fn the_answer_as_data_has_everything() {
    let here = Here::new();
    let records = [("b@py312", record(50, Some("b3")))];
    let impact = here.impact("b@py312", Some(&listed()), &records, 2);
    insta::assert_snapshot!(serde_json::to_string_pretty(&impact).unwrap());
}
