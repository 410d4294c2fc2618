//! Whose images are whose, what they are called, and what may go.

use super::retire::{ImageRemoval, Removal, decide, retire};
use super::summary::AgeSource;
use std::collections::BTreeMap;

use super::*;
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;
use crate::host::people::Caller;
use crate::model::names::Login;
use crate::model::reference::Reference;
use crate::plan::Reason;
use crate::spec::SpecContext;
use crate::spec::files::Disk;

const SPEC: &str = r#"tag: {prefix: "2026.4"}
bases:
  slim: {image: "debian:12"}
images:
  tool: {base: slim, packages: {apt: [git]}}
users:
  ann: {uid: 1001, gid: 1001}
  bob: {uid: 10012, gid: 10012}
include: [projects/*.yml]
"#;

/// Ann has a project alone in its file, Bob two in one.
fn stack() -> (Spec, Graph) {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| std::fs::write(dir.path().join(path), text).unwrap();
    std::fs::create_dir(dir.path().join("projects")).unwrap();
    write("spec.yml", SPEC);
    write("projects/ann.yml", "# mine\nthesis: {user: ann, image: tool, packages: {pip: [tqdm]}}\n");
    write("projects/bob.yml", "thesis: {user: bob, image: tool}\nmaps: {user: bob, image: tool}\n");
    let spec = crate::spec::read(dir.path(), std::path::Path::new("spec.yml"), &SpecContext::of(&Disk));
    let spec = spec.unwrap_or_else(|problems| panic!("{problems:?}"));
    let graph = Graph::build(&spec);
    (spec, graph)
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn image(id: &str, tags: &[&str], pairs: &[(&str, &str)]) -> Image {
    Image {
        id: ImageId::new(format!("sha256:{}", id.repeat(64 / id.len()))),
        tags: tags.iter().map(|tag| Reference::parse(tag).unwrap()).collect(),
        digests: Vec::new(),
        labels: labels(pairs),
        size: 1_000,
        created: 946_684_800,
    }
}

fn container(name: &str, image: &Image, state: &str, pairs: &[(&str, &str)]) -> Container {
    Container {
        id: format!("id of {name}"),
        name: name.into(),
        image: "x".into(),
        image_id: image.id.clone(),
        labels: labels(pairs),
        state: state.into(),
        status: "Up 2 hours".into(),
        created: 1_000,
    }
}

fn caller(uid: u32) -> Caller {
    Caller { login: users(uid).unwrap_or_else(|| Login::new(uid.to_string())), uid, in_administrators: false }
}

fn users(uid: u32) -> Option<Login> {
    match uid {
        0 => Some(Login::new("root")),
        1001 => Some(Login::new("ann")),
        1002 => Some(Login::new("cal")),
        10012 => Some(Login::new("bob")),
        _ => None,
    }
}

const OURS: (&str, &str) = ("ds01.managed", "true");
const OLD: (&str, &str) = ("aime.mlc.DS01_MANAGED", "true");

/// A server that changed systems twice.
fn server() -> Vec<Image> {
    vec![
        image("a1", &["ds01-1001/thesis:latest", "ds01-1001/thesis:r-0123456789abcdef"], &[OURS]),
        image("a2", &["ds01-1001/thesis:r-fedcba9876543210"], &[OURS]),
        image("b1", &["ds01-10012/thesis:latest"], &[OURS]),
        image("71", &["ds01/tool:2026.4-main"], &[OURS, ("ds01.image", "tool")]),
        image("c1", &["ds01-1001/retired:latest"], &[OURS, ("ds01.username", "ann")]),
        image("d1", &["aimehub/pytorch-2:old._.1001"], &[("aime.mlc", "ann")]),
        image("d2", &["aimehub/pytorch-2:old._.10012"], &[]),
        image("d3", &["ds01-1002/wizard:latest"], &[OLD, ("aime.mlc.DS01_USER_ID", "1002")]),
        image(
            "e1",
            &["mine:1"],
            &[OURS, ("ds01.has_user_setup", "true"), ("ds01.user_id", "1001"), ("ds01.group_id", "1001")],
        ),
        image("f1", &[], &[OURS]),
        image("99", &["debian:12"], &[]),
    ]
}

impl Snapshot {
    fn of(uid: u32) -> Self {
        Self {
            images: server(),
            containers: Vec::new(),
            spec: Some(stack()),
            caller: caller(uid),
            users: Box::new(users),
        }
    }

    /// The caller's images, or with `all` everybody's and the shared ones.
    fn rows(&self, all: bool) -> Vec<ImageSummary> {
        let facts = ImageFacts {
            footprints: HashMap::new(),
            built: HashMap::new(),
            states: Ok(HashMap::new()),
            now: 2_000_000_000,
        };
        let groups = groups(self).into_iter().filter(|group| all || group.is_of_caller(self));
        groups.map(|group| summarize(self, &facts, &group)).collect()
    }

    fn decide(&self, name: &str) -> Result<ImageRemoval, InventoryError> {
        decide(name, false, self, &[])
    }
}

fn names(rows: &[ImageSummary]) -> Vec<&str> {
    rows.iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn each_person_has_their_own_images_of_every_generation_and_nobody_elses() {
    for (uid, expected) in [
        (1001, &["ann/thesis", "ann/retired", "mine", "aimehub/pytorch-2:old._.1001"][..]),
        (10012, &["bob/thesis", "bob/maps", "aimehub/pytorch-2:old._.10012"]),
        (1002, &["ds01-1002/wizard"]),
        (100, &[]),
        (12, &[]),
    ] {
        assert_eq!(names(&Snapshot::of(uid).rows(false)), expected, "{uid}");
    }
}

#[test]
fn all_shows_what_is_built_and_what_is_not_with_its_owner_and_no_bases() {
    let shown: String = Snapshot::of(0)
        .rows(true)
        .iter()
        .map(|row| {
            let owner = row.owner.as_deref().unwrap_or("-");
            let base = row.base.as_deref().unwrap_or("-");
            let old = if row.legacy { "old" } else { "" };
            let older = row.older.len();
            format!("{} | {owner} | on {base} | {} | {old} | {older} older\n", row.name, row.state.words())
        })
        .collect();
    insta::assert_snapshot!(shown);
}

#[test]
fn without_a_spec_images_are_known_by_their_names() {
    let scene = Snapshot { spec: None, ..Snapshot::of(1001) };
    assert_eq!(
        names(&scene.rows(false)),
        ["ann/retired", "ds01-1001/thesis", "mine", "aimehub/pytorch-2:old._.1001"]
    );
    assert!(scene.rows(true).iter().all(|row| row.node.is_none()));
}

#[test]
fn a_name_means_the_callers_own_before_anybody_elses() {
    let scene = Snapshot::of(1001);
    let groups = groups(&scene);
    let found = |name: &str| find(name, &groups, &scene).map(|group| group.name.clone());
    for (typed, name) in [
        ("thesis", "ann/thesis"),
        ("bob/thesis", "bob/thesis"),
        ("maps", "bob/maps"),
        ("tool", "tool"),
        ("retired", "ann/retired"),
        ("ds01-1001/retired", "ann/retired"),
        ("old", "aimehub/pytorch-2:old._.1001"),
        ("old._.10012", "aimehub/pytorch-2:old._.10012"),
        ("aimehub/pytorch-2:old._.10012", "aimehub/pytorch-2:old._.10012"),
        ("docker.io/aimehub/pytorch-2:old._.1001", "aimehub/pytorch-2:old._.1001"),
        ("f1f1f1", "f1f1f1f1f1f1"),
        ("sha256:d1d1d1d1", "aimehub/pytorch-2:old._.1001"),
    ] {
        assert_eq!(found(typed).as_deref(), Ok(name), "{typed}");
    }
    let near = Some("ann/thesis".to_owned());
    assert_eq!(found("ann/tesis"), Err(InventoryError::NotFound { name: "ann/tesis".into(), near }));
    assert!(matches!(found("._.1001"), Err(InventoryError::NotFound { .. })));
    assert!(matches!(found("debian:12"), Err(InventoryError::NotFound { .. })), "a base is nobody's image");
    let scene = Snapshot::of(0);
    let several = find("thesis", &super::groups(&scene), &scene).map(|group| group.name.clone());
    let all = vec!["ann/thesis".to_owned(), "bob/thesis".to_owned()];
    assert_eq!(several, Err(InventoryError::Ambiguous { name: "thesis".into(), names: all }));
}

#[test]
fn a_project_goes_with_all_its_tags_and_its_entry() {
    let retirement = Snapshot::of(1001).decide("thesis").unwrap();
    let tags: Vec<String> = retirement.tags().iter().map(ToString::to_string).collect();
    assert_eq!(
        tags,
        [
            "ds01-1001/thesis:latest",
            "ds01-1001/thesis:r-0123456789abcdef",
            "ds01-1001/thesis:r-fedcba9876543210"
        ],
        "and nothing of ds01-10012/thesis"
    );
    assert!(retirement.entry().is_some_and(|entry| entry.alone && entry.project == "thesis"));
    let entry = Snapshot::of(10012).decide("maps").unwrap();
    assert!(entry.tags().is_empty() && entry.entry().is_some_and(|entry| !entry.alone));
    let kept = decide("thesis", true, &Snapshot::of(1001), &[]).unwrap();
    assert_eq!(kept.entry(), None);
}

#[test]
fn who_may_retire_what() {
    let refused = |uid, name: &str| Snapshot::of(uid).decide(name).err().map(|refusal| refusal.to_string());
    for (uid, name, refusal) in [
        (1001, "retired", None),
        (1001, "old", None),
        (10012, "ann/thesis", Some("image `ann/thesis` belongs to ann")),
        (1001, "old._.10012", Some("image `aimehub/pytorch-2:old._.10012` belongs to bob")),
        (1002, "wizard", None),
        (1001, "wizard", Some("image `ds01-1002/wizard` belongs to cal")),
        // Labels are inherited: they do not say who may remove it.
        (1001, "mine:1", Some("image `mine` belongs to ann")),
        (0, "mine:1", None),
        (1001, "f1f1f1", Some("image `f1f1f1f1f1f1` belongs to nobody known")),
        (0, "f1f1f1", None),
        (0, "tool", Some("`tool` is a shared image")),
        (0, "bob/thesis", None),
    ] {
        assert_eq!(refused(uid, name).as_deref(), refusal, "{uid} {name}");
    }
}

#[test]
fn what_is_in_use_stays_and_says_by_what() {
    let mut scene = Snapshot::of(1001);
    let images = server();
    scene.containers = vec![
        container("old-one._.1001", &images[1], "exited", &[]),
        container("thesis._.1001", &images[10], "running", &[OURS, ("ds01.project", "thesis")]),
        container("thesis._.10012", &images[2], "running", &[OURS]),
    ];
    let refusal = scene.decide("thesis").unwrap_err();
    assert_eq!(refusal.to_string(), "containers are on `ann/thesis`: old-one._.1001, thesis._.1001");
    assert_eq!(
        refusal.help(),
        "retire them first: `ds01-build container retire 'old-one._.1001'`, \
         `ds01-build container retire 'thesis._.1001'`"
    );
    assert!(scene.decide("retired").is_ok());
}

#[test]
fn what_others_stand_on_stays() {
    let scene = Snapshot::of(1001);
    let layers = |id: usize, layers: &[&str]| {
        (server()[id].id.clone(), layers.iter().map(|layer| (*layer).to_owned()).collect::<Vec<_>>())
    };
    let mut all = vec![
        layers(0, &["base", "ann"]),
        // The name's own older image, and one on the same base, do not count.
        layers(1, &["base", "ann", "more"]),
        layers(2, &["base", "bob"]),
        layers(10, &["base"]),
    ];
    assert!(decide("thesis", false, &scene, &all).is_ok());
    all.push(layers(8, &["base", "ann", "mine"]));
    let refusal = decide("thesis", false, &scene, &all).unwrap_err();
    assert_eq!(refusal.to_string(), "other images are based on `ann/thesis`: mine:1");
    // One that stays has all of these layers.
    all.push(layers(10, &["base", "ann"]));
    assert!(decide("thesis", false, &scene, &all).is_ok());
}

#[test]
fn a_saved_container_is_an_image_of_its_own_beside_its_project_s() {
    let mut scene = Snapshot::of(1001);
    let label = ("ds01.image", "thesis@saved");
    let mut saved = image("5a", &["ds01-1001/thesis:saved-20260921-141320"], &[OURS, label]);
    // A build is of the year 2000, this is of now: it is still not what the
    // project stands for.
    saved.created = 1_790_000_000;
    scene.images.push(saved.clone());
    let row = |name: &str| scene.rows(false).into_iter().find(|row| row.name == name).unwrap();
    assert_eq!(row("ann/thesis").image, Some(server()[0].id.clone()));
    let own = row("ds01-1001/thesis:saved-20260921-141320");
    assert_eq!((own.state.words(), own.project.as_str()), ("saved", "thesis:saved-20260921-141320"));
    let layers: Vec<_> = [(&server()[0], 1), (&saved, 2)]
        .map(|(image, n)| (image.id.clone(), vec!["layer".to_owned(); n]))
        .into();
    for (name, tags) in [("thesis", 3), ("ds01-1001/thesis", 3), (own.name.as_str(), 1)] {
        let retirement = decide(name, false, &scene, &layers).unwrap();
        assert_eq!(retirement.tags().len(), tags, "{name}");
        let also = retirement.tags().iter().any(|tag| tag.to_string() == own.name);
        assert_eq!((also, retirement.entry().is_some()), (tags == 1, tags == 3), "{name}");
    }
    scene.caller = caller(10012);
    assert!(matches!(decide(&own.name, false, &scene, &layers), Err(InventoryError::NotYours { .. })));
}

#[tokio::test]
async fn tags_go_and_images_that_have_others_stay() {
    let engine = FakeEngine::new();
    let tag = |text: &str| Reference::parse(text).unwrap();
    let id = engine.add_image(&tag("ds01-1001/thesis:latest"), &labels(&[OURS]));
    engine.tag(&id, &tag("backup:1")).await.unwrap();
    let other = engine.add_image(&tag("ds01-1001/thesis:r-fedcba9876543210"), &labels(&[OURS]));
    engine.add_image(&tag("ds01-10012/thesis:latest"), &labels(&[OURS]));
    let scene = Snapshot { images: engine.images().await.unwrap(), ..Snapshot::of(1001) };
    let retirement = scene.decide("thesis").unwrap();
    let gone = retire(&engine, &retirement).await.unwrap();
    assert_eq!((gone.tags.len(), gone.images), (2, vec![other]));
    let left: Vec<String> = engine
        .images()
        .await
        .unwrap()
        .iter()
        .flat_map(|image| &image.tags)
        .map(ToString::to_string)
        .collect();
    assert!(left.contains(&"backup:1".to_owned()) && left.contains(&"ds01-10012/thesis:latest".to_owned()));
    // Again, as after a break: nothing is there, and that is no error.
    assert_eq!(retire(&engine, &retirement).await.unwrap(), Removal::default());
}

#[test]
fn a_state_says_why_in_one_phrase() {
    let two = vec![Reason::NeverBuilt, Reason::Forced];
    assert_eq!(ImageState::Outdated { reasons: two }.because().as_deref(), Some("never built, and 1 more"));
    assert_eq!(ImageState::UpToDate.because(), None);
}

#[test]
fn the_age_is_the_best_that_is_known() {
    let scene = Snapshot::of(1001);
    let groups = groups(&scene);
    let group = find("thesis", &groups, &scene).unwrap();
    let id = group.images[0].id.clone();
    let age = |built: &[i64], tagged: Option<i64>| {
        let facts = ImageFacts {
            footprints: HashMap::from([(id.clone(), Footprint { own: 10, tagged })]),
            built: built.iter().map(|at| (id.clone(), *at)).collect(),
            states: Err("no plan".into()),
            now: 1_000,
        };
        let row = summarize(&scene, &facts, group);
        assert_eq!((row.own, row.shared), (Some(10), Some(990)));
        (row.age_seconds, row.age_from)
    };
    assert_eq!(age(&[400], Some(900)), (Some(600), Some(AgeSource::Record)));
    assert_eq!(age(&[], Some(900)), (Some(100), Some(AgeSource::Tag)));
    assert_eq!(age(&[], None), (None, None), "its own time is the same on any day");
}
