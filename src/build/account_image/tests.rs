//! The matrix, whose an image is, the recipe, and the edge on the fake engine.

use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::build::BuildEnvironment;
use crate::engine::fake::FakeEngine;
use crate::engine::{Engine, ImageDetail, SolveError};
use crate::host::lock::Locks;
use crate::model::event::Outcome;
use crate::model::labels::write::Catalogue;
use crate::model::names::Login;
use crate::model::reference::Repository;

fn account() -> Account {
    Account {
        login: Login::new("h.baker@hertie-school.lan"),
        name: "h-baker".into(),
        uid: 1_722_830_498,
        gid: 1_722_830_499,
        shell: "/bin/bash".into(),
        sudo: false,
        jupyter: None,
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn new(has: &str, uid: &str, gid: &str) -> Labels {
    labels(&[("ds01.has_user_setup", has), ("ds01.user_id", uid), ("ds01.group_id", gid)])
}

fn old(has: &str, uid: &str, gid: &str) -> Labels {
    labels(&[
        ("aime.mlc.DS01_HAS_USER_SETUP", has),
        ("aime.mlc.DS01_USER_ID", uid),
        ("aime.mlc.DS01_GROUP_ID", gid),
    ])
}

const UID: &str = "1722830498";
const GID: &str = "1722830499";

fn with(mut labels: Labels, key: &str, value: &str) -> Labels {
    labels.insert(key.into(), value.into());
    labels
}

#[test]
fn only_labels_of_one_generation_that_match_skip_the_layer() {
    let mut half_new = old("true", UID, GID);
    half_new.insert("ds01.user_id".into(), UID.into());
    let half_old = with(
        labels(&[("ds01.has_user_setup", "true"), ("ds01.user_id", UID)]),
        "aime.mlc.DS01_GROUP_ID",
        GID,
    );
    let cases = [
        ("new labels match", new("true", UID, GID), Decision::Skip),
        ("legacy labels match", old("true", UID, GID), Decision::Skip),
        ("uid differs", new("true", "1001", GID), Decision::Apply(LayerReason::OtherUid(1001))),
        ("legacy uid differs", old("true", "1001", GID), Decision::Apply(LayerReason::OtherUid(1001))),
        ("gid differs", new("true", UID, "100"), Decision::Apply(LayerReason::OtherGid(100))),
        ("label false", new("false", UID, GID), Decision::Apply(LayerReason::NotSetUp)),
        ("legacy label false", old("false", UID, GID), Decision::Apply(LayerReason::NotSetUp)),
        ("another word than true", new("True", UID, GID), Decision::Apply(LayerReason::NotSetUp)),
        ("label missing", labels(&[("vendor", "x")]), Decision::Apply(LayerReason::Unlabelled)),
        ("only uid present", labels(&[("ds01.user_id", UID)]), Decision::Apply(LayerReason::Incomplete)),
        (
            "only legacy uid present",
            labels(&[("aime.mlc.DS01_USER_ID", UID)]),
            Decision::Apply(LayerReason::Incomplete),
        ),
        ("a uid that is no number", new("true", "me", GID), Decision::Apply(LayerReason::Incomplete)),
        ("a new key on legacy ones", half_new, Decision::Apply(LayerReason::Incomplete)),
        ("a legacy key for a missing new one", half_old, Decision::Apply(LayerReason::Incomplete)),
        (
            "new says no, legacy says yes",
            {
                let mut both = old("true", UID, GID);
                both.extend(new("false", UID, GID));
                both
            },
            Decision::Apply(LayerReason::NotSetUp),
        ),
        (
            "saved from a container with a GPU",
            with(old("true", UID, GID), "ds01.gpu.allocated", "0"),
            Decision::Apply(LayerReason::OfContainer(vec!["ds01.gpu.allocated".into()])),
        ),
        (
            "saved from a container with data",
            with(old("true", UID, GID), "aime.mlc.DATA_MOUNT", "/data"),
            Decision::Apply(LayerReason::OfContainer(vec!["aime.mlc.DATA_MOUNT".into()])),
        ),
    ];
    for (case, labels, expected) in cases {
        assert_eq!(decide(&labels, &account()), expected, "{case}");
    }
}

#[test]
fn names_are_small_letters_digits_and_single_marks() {
    for (text, name) in [
        ("My Thesis", Some("my-thesis")),
        ("  a  b ", Some("a-b")),
        ("-a_b.c-", Some("a_b.c")),
        ("a._.1001", Some("a.1001")),
        ("ünï", Some("n")),
        ("李雷", None),
        ("._-", None),
        ("", None),
    ] {
        assert_eq!(named(text).as_deref(), name, "{text}");
    }
    for (image, name) in [
        ("aimehub/pytorch-2.8.0-aime-cuda12.6.3", "pytorch-2.8.0-aime-cuda12.6.3"),
        ("reg.local:5000/x/y", "y"),
        ("vision@py312", "vision-py312"),
        ("debian", "debian"),
    ] {
        assert_eq!(derived(image), name);
    }
}

proptest! {
    #[test]
    fn a_name_is_a_name_and_can_be_a_repository(text in any::<String>()) {
        if let Some(name) = named(&text) {
            prop_assert_eq!(named(&name), Some(name.clone()));
            prop_assert!(Repository::parse(&format!("ds01-1001/{name}")).is_ok(), "{}", name);
            prop_assert!(!name.contains("._."));
        }
    }
}

#[test]
fn an_image_is_personal_by_what_its_labels_say_or_by_all_of_its_names() {
    let names = |names: &[&str]| names.iter().map(|name| Reference::parse(name).unwrap()).collect::<Vec<_>>();
    let none = labels(&[]);
    let project = with(old("true", "1001", "1001"), "aime.mlc.DS01_PROJECT", "thesis");
    let cases = [
        ("ours", new("true", "1001", "1001"), names(&["x:1"]), Some(1001)),
        ("an old project", project, names(&["x:1"]), Some(1001)),
        ("one account left in an old shared image", old("true", "1001", "1001"), names(&["x:1"]), None),
        ("a person's repository", none.clone(), names(&["ds01-1001/x:latest"]), Some(1001)),
        ("a container that was saved", none.clone(), names(&["pytorch:thesis._.1001"]), Some(1001)),
        ("somebody tagged a shared one", none.clone(), names(&["debian:12", "ds01-1001/x:latest"]), None),
        ("shared", none.clone(), names(&["ds01/vision:1", "ds01-quickstart/x:1"]), None),
        ("nameless", none, names(&[]), None),
    ];
    for (case, labels, names, owner) in cases {
        assert_eq!(personal(&labels, &names), owner, "{case}");
    }
}

struct World {
    engine: FakeEngine,
    locks: Locks,
    reference: Reference,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(labels: &Labels) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (engine, reference) = (FakeEngine::new(), Reference::parse("debian:12").unwrap());
        engine.add_image(&reference, labels);
        let locks = Locks::open(&dir.path().join("locks"), "fake").unwrap();
        Self { engine, locks, reference, _dir: dir }
    }

    async fn image(&self) -> ImageDetail {
        self.engine.image(&self.reference.to_string()).await.unwrap().unwrap()
    }

    async fn layer(&self) -> AccountImage {
        self.layer_for(&account(), &self.reference, None).await
    }

    async fn layer_for(
        &self,
        account: &Account,
        reference: &Reference,
        catalogue: Option<Catalogue>,
    ) -> AccountImage {
        layer(&AccountImageInput {
            image: &self.image().await,
            reference,
            name: "debian",
            account,
            project: None,
            catalogue,
            platform: "linux/amd64",
            environment: &BuildEnvironment::default(),
        })
    }

    async fn run(&self, layer: &AccountImage) -> Result<(Outcome, ImageDetail), SolveError> {
        let (events, _heard) = mpsc::unbounded_channel();
        let base = self.image().await;
        run(&self.engine, &self.locks, &base, layer, &events, &CancellationToken::new()).await
    }
}

#[tokio::test]
async fn the_recipe_is_of_the_image_and_the_account_alone() {
    let world = World::new(&labels(&[]));
    let first = world.layer().await;
    assert_eq!(first.content.repository().as_str(), "ds01-1722830498/debian");
    assert!(crate::model::tags::is_content_tag(first.content.tag().unwrap()));
    let alias = Reference::parse("other/name:tag").unwrap();
    let renamed = world.layer_for(&account(), &alias, None).await;
    assert_eq!(renamed.content, first.content, "a tag says nothing of the content");
    let other = Account { gid: 100, ..account() };
    let regrouped = world.layer_for(&other, &world.reference, None).await;
    assert_ne!(regrouped.content, first.content);
    let more = World::new(&labels(&[("vendor", "v")])).layer().await;
    assert_ne!(more.content, first.content, "another image");
}

#[tokio::test]
async fn the_image_with_the_account_is_made_once_and_is_what_was_expected() {
    let world = World::new(&labels(&[("vendor", "v")]));
    let layer = world.layer().await;
    assert_eq!(found(&world.engine, &layer).await.unwrap(), None);
    let (Outcome::Built { .. }, image) = world.run(&layer).await.unwrap() else {
        panic!("nobody else builds")
    };
    assert_eq!(image.labels, layer.expected.labels);
    assert_eq!(image.user, layer.expected.user);
    assert_eq!(image.labels["vendor"], "v");
    assert_eq!(world.engine.account_of(&layer.content.to_string()), Some(account()));
    assert_eq!(decide(&image.labels, &account()), Decision::Skip);
    assert_eq!(found(&world.engine, &layer).await.unwrap().map(|image| image.id), Some(image.id));
    assert!(matches!(world.run(&layer).await.unwrap(), (Outcome::BuiltElsewhere { .. }, _)));
    assert_eq!(world.engine.solves().len(), 1);
}

#[tokio::test]
async fn of_two_at_once_one_makes_it_and_the_other_finds_it() {
    let world = World::new(&labels(&[]));
    let layer = world.layer().await;
    let (one, two) = tokio::join!(world.run(&layer), world.run(&layer));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(matches!(
        (&one.0, &two.0),
        (Outcome::Built { .. }, Outcome::BuiltElsewhere { .. })
            | (Outcome::BuiltElsewhere { .. }, Outcome::Built { .. })
    ));
    assert_eq!(world.engine.solves().len(), 1);
}

#[tokio::test]
async fn nothing_of_another_generation_or_of_a_container_stays_on_the_image() {
    let world = World::new(&labels(&[
        ("aime.mlc.DS01_HAS_USER_SETUP", "true"),
        ("aime.mlc.DS01_USER_ID", "1001"),
        ("aime.mlc.DS01_GROUP_ID", "1001"),
        ("aime.mlc.USER", "eve"),
        ("aime.mlc.GPUS", "2"),
        ("aime.mlc.DATA_MOUNT", "/data"),
        ("aime.mlc.DS01_FRAMEWORK", "Pytorch-2.8.0"),
        ("aime.mlc.ARCH", "CUDA_ADA"),
        ("ds01.gpu.uuids", "GPU-1"),
        ("ds01.protected", "true"),
        ("vendor", "v"),
    ]));
    let layer = world.layer().await;
    let (Outcome::Built { .. }, image) = world.run(&layer).await.unwrap() else {
        panic!("nobody else builds")
    };
    let kept: String = image
        .labels
        .iter()
        .filter(|(key, _)| !key.starts_with("ds01.build.") && !key.ends_with("base.digest"))
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect();
    insta::assert_snapshot!(kept);
}

#[tokio::test]
async fn what_the_spec_says_of_a_base_is_on_the_image() {
    let world = World::new(&labels(&[]));
    let catalogue = Catalogue { framework: "Pytorch-2.8.0-aime".into(), arch: "CUDA_ADA".into() };
    let layer = world.layer_for(&account(), &world.reference, Some(catalogue)).await;
    assert_eq!(layer.expected.labels["ds01.framework"], "Pytorch-2.8.0-aime");
    assert_eq!(layer.expected.labels["ds01.arch"], "CUDA_ADA");
}

#[tokio::test]
async fn a_tag_that_moves_meanwhile_gives_no_image() {
    let world = World::new(&labels(&[]));
    let (base, layer) = (world.image().await, world.layer().await);
    let other = world.engine.add_image(&Reference::parse("other:1").unwrap(), &labels(&[]));
    world.engine.tag(&other, &world.reference).await.unwrap();
    let (events, _heard) = mpsc::unbounded_channel();
    let made = run(&world.engine, &world.locks, &base, &layer, &events, &CancellationToken::new()).await;
    let Err(SolveError::Failed(failure)) = made else { panic!("{made:?}") };
    assert!(failure.check && failure.message.contains("the tag moved meanwhile"), "{failure:?}");
    assert_eq!(found(&world.engine, &layer).await.unwrap(), None);
}
