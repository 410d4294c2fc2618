//! What a container may be saved as, and the edge on the engine in memory.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::run::preview;
use super::*;
use crate::build::account_image::{self, Decision};
use crate::container::retire;
use crate::engine::fake::{FakeEngine, FakeFile};
use crate::engine::{ChangeKind, CreateContainer, Engine, Error};
use crate::host::people::Caller;
use crate::model::account::Account;
use crate::model::labels::read::LoginOfUid;
use crate::model::names::Login;

const NOW: i64 = 1_790_000_000;
const LASTLOG: &str = "/var/log/lastlog";
const OURS: &str = "ds01-1001/thesis:latest";

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn ann() -> Caller {
    Caller { login: Login::new("ann@x"), uid: 1001, in_administrators: false }
}

fn users(uid: u32) -> Option<Login> {
    (uid == 1001).then(|| Login::new("ann@x"))
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A project's image, and a container of it that runs and has a GPU.
struct World {
    engine: FakeEngine,
    image: ImageId,
}

impl World {
    async fn new() -> Self {
        let engine = FakeEngine::new();
        let image = engine.add_image(
            &Reference::parse(OURS).unwrap(),
            &labels(&[
                ("ds01.managed", "true"),
                ("ds01.image", "thesis"),
                ("ds01.build.recipe", &"ab".repeat(32)),
                ("ds01.project", "thesis"),
                ("ds01.has_user_setup", "true"),
                ("ds01.user_id", "1001"),
                ("ds01.group_id", "1001"),
                ("ds01.username", "ann"),
                ("org.x", "1"),
            ]),
        );
        engine.add_file(&image, LASTLOG, FakeFile { mode: 0o664, gid: 43, ..FakeFile::of("of the image") });
        let request = CreateContainer {
            name: "thesis._.1001".into(),
            image: image.to_string(),
            labels: labels(&[
                ("ds01.user", "ann@x"),
                ("ds01.project", "thesis"),
                ("ds01.gpus", "1"),
                ("ds01.gpu.uuids", "GPU-1"),
                ("ds01.protected", "false"),
                ("devcontainer.workspaceFolder", "/workspace"),
            ]),
            env: vec!["NVIDIA_VISIBLE_DEVICES=void".into(), "TOKEN=secret".into()],
            user: "1001:1001".into(),
            workdir: "/workspace".into(),
            ..CreateContainer::default()
        };
        let id = engine.create(&request).await.unwrap();
        engine.start(&id).await.unwrap();
        engine.add_change("thesis._.1001", "/opt/mine", ChangeKind::Added, Some(FakeFile::of("mine")));
        engine.add_change(
            "thesis._.1001",
            LASTLOG,
            ChangeKind::Modified,
            Some(FakeFile { mode: 0o664, gid: 43, ..FakeFile::hole(200 << 30) }),
        );
        Self { engine, image }
    }

    async fn save(&self, tag: Option<&str>) -> Result<Save, SaveRefusal> {
        let containers = self.engine.containers().await.unwrap();
        let users: LoginOfUid<'_> = &users;
        let retirement = retire::decide("thesis", false, &containers, &ann(), users).unwrap();
        decide(&retirement, tag, &self.engine.images().await.unwrap(), now())
    }

    async fn run(&self, save: &Save) -> Result<SavedImage, Box<FailedSave>> {
        let kept =
            |error| Box::new(FailedSave { error, container: ContainerAfter::AsItWas, notes: Vec::new() });
        let preview = preview(&self.engine, save).await.map_err(kept)?;
        let (events, _heard) = mpsc::unbounded_channel();
        run(&self.engine, save, &preview, &events, &CancellationToken::new()).await
    }

    async fn state(&self) -> Option<String> {
        let containers = self.engine.containers().await.unwrap();
        containers.into_iter().find(|c| c.name == "thesis._.1001").map(|c| c.state.to_string())
    }

    /// All that the engine has: images by their tags, then containers.
    async fn has(&self) -> Vec<String> {
        let images = self.engine.images().await.unwrap();
        let tags = |image: &Image| image.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let mut has: Vec<String> = images.iter().map(tags).collect();
        has.extend(self.engine.containers().await.unwrap().into_iter().map(|c| c.name));
        has
    }
}

#[tokio::test]
async fn a_save_has_a_new_tag_of_the_owner_s_own_repository() {
    let world = World::new().await;
    let target = |tag| {
        let world = &world;
        async move { world.save(tag).await.map(|save| save.target().to_string()) }
    };
    for (tag, named) in [
        (None, "ds01-1001/thesis:saved-20260921-141320"),
        (Some(""), "ds01-1001/thesis:saved-20260921-141320"),
        (Some("before-pruning"), "ds01-1001/thesis:before-pruning"),
        (Some("V1_2.3"), "ds01-1001/thesis:V1_2.3"),
        (Some("ds01-1001/thesis:v1"), "ds01-1001/thesis:v1"),
        (Some("ds01-1001/other:v1"), "ds01-1001/other:v1"),
    ] {
        assert_eq!(target(tag).await.as_deref(), Ok(named), "{tag:?}");
    }
    let long = "x".repeat(129);
    for tag in ["a b", "ä", "-x", ".x", "ds01-1001/Thesis:v1", "ds01-1001/thesis:a b", &long] {
        assert!(matches!(target(Some(tag)).await, Err(SaveRefusal::NoTag { .. })), "{tag}");
    }
    for tag in [
        "debian:12",
        "ds01/vision:v1",
        "ds01-10012/thesis:v1",
        "ds01-1001/a/b:v1",
        "reg.local:5000/ds01-1001/thesis:v1",
        "docker.io/ds01/vision:v1",
    ] {
        assert!(matches!(target(Some(tag)).await, Err(SaveRefusal::NotOwn { .. })), "{tag}");
    }
    for tag in ["latest", "r-0123456789abcdef", "saving-1", "ds01-1001/other"] {
        assert!(matches!(target(Some(tag)).await, Err(SaveRefusal::Taken { .. })), "{tag}");
    }
    let there = Reference::parse("ds01-1001/thesis:v1").unwrap();
    world.engine.tag(&world.image, &there).await.unwrap();
    let refusal = world.save(Some("v1")).await.unwrap_err();
    assert_eq!(refusal.to_string(), "the image ds01-1001/thesis:v1 is there already");
    assert!(refusal.help().contains("ds01-1001/thesis:saved-20260921-141320"), "{}", refusal.help());
}

#[tokio::test]
async fn what_is_saved_are_files_and_not_the_container() {
    let world = World::new().await;
    let save = world.save(None).await.unwrap();
    let saved = world.run(&save).await.unwrap();
    assert_eq!((saved.logs, saved.notes), (vec![LASTLOG.to_owned()], vec![]));
    let name = save.target().to_string();
    let image = world.engine.image(&name).await.unwrap().unwrap();
    assert_eq!(Some(image.id), saved.image);
    let text: String = image.labels.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    insta::assert_snapshot!(text.replace(world.image.as_str(), "<the image below>"));
    let below = world.engine.image(OURS).await.unwrap().unwrap();
    assert_eq!((image.env, image.user, image.workdir), (below.env, below.user, below.workdir));
    assert_eq!(image.diff_ids.len(), below.diff_ids.len() + 1);

    let lastlog = world.engine.file_of(&name, LASTLOG).unwrap();
    assert_eq!((lastlog.bytes.as_slice(), lastlog.mode, lastlog.gid), (&b"of the image"[..], 0o664, 43));
    assert_eq!(world.engine.file_of(&name, "/opt/mine").unwrap().bytes, b"mine");
    // Neither the engine's commit nor the container that was read from stays.
    assert_eq!(world.has().await.len(), 3, "{:?}", world.has().await);
    assert_eq!(world.state().await.as_deref(), Some("exited"));
}

#[tokio::test]
async fn a_saved_image_has_its_owner_s_account_and_is_deployed_as_it_is() {
    let world = World::new().await;
    let save = world.save(None).await.unwrap();
    world.run(&save).await.unwrap();
    let image = world.engine.image(&save.target().to_string()).await.unwrap().unwrap();
    let account = Account {
        login: Login::new("ann@x"),
        name: "ann".into(),
        uid: 1001,
        gid: 1001,
        shell: "/bin/sh".into(),
        sudo: false,
        jupyter: None,
    };
    assert_eq!(account_image::decide(&image.labels, &account), Decision::Skip);
    assert_eq!(account_image::personal(&image.labels, &image.tags), Some(1001));
}

#[tokio::test]
async fn a_log_that_the_image_lacks_becomes_empty_and_one_that_went_comes_back() {
    let world = World::new().await;
    let add = |path: &str, kind, file| world.engine.add_change("thesis._.1001", path, kind, file);
    add("/var/log/faillog", ChangeKind::Added, Some(FakeFile { mode: 0o600, ..FakeFile::hole(9 << 40) }));
    add(LASTLOG, ChangeKind::Deleted, None);
    add("/var/log/apt", ChangeKind::Modified, None);
    let save = world.save(Some("v1")).await.unwrap();
    let saved = world.run(&save).await.unwrap();
    assert_eq!(saved.logs, ["/var/log/faillog", LASTLOG]);
    let name = save.target().to_string();
    let faillog = world.engine.file_of(&name, "/var/log/faillog").unwrap();
    assert_eq!((faillog.size, faillog.mode), (0, 0o600));
    assert_eq!(world.engine.file_of(&name, LASTLOG).unwrap().bytes, b"of the image");
}

#[tokio::test]
async fn a_file_of_absurd_size_is_named_and_the_container_is_not_even_stopped() {
    let world = World::new().await;
    let hole = Some(FakeFile::hole(300 << 30));
    world.engine.add_change("thesis._.1001", "/home/ann/disk.img", ChangeKind::Added, hole);
    let save = world.save(None).await.unwrap();
    let kept = world.run(&save).await.unwrap_err();
    assert_eq!(
        kept.error.to_string(),
        "its files would take 300 GiB of the engine's disk, at most 100 GiB are saved; \
         /home/ann/disk.img alone has 300 GiB"
    );
    assert_eq!((kept.container, world.state().await.as_deref()), (ContainerAfter::AsItWas, Some("running")));
}

#[tokio::test]
async fn whatever_fails_the_container_runs_again_and_nothing_else_stays() {
    for what in ["write", "commit", "tag", "solve"] {
        let world = World::new().await;
        let (save, had) = (world.save(None).await.unwrap(), world.has().await);
        world.engine.refuse(what, "no space left on device");
        let kept = world.run(&save).await.unwrap_err();
        assert!(kept.error.to_string().contains("no space left on device"), "{what}: {kept:?}");
        assert_eq!((kept.container, kept.notes), (ContainerAfter::Restarted(Ok(())), vec![]), "{what}");
        assert_eq!(world.state().await.as_deref(), Some("running"), "{what}");
        assert_eq!(world.has().await, had, "{what}");
    }
}

#[tokio::test]
async fn a_container_that_did_not_run_is_not_started_and_one_that_cannot_start_is_told() {
    let world = World::new().await;
    world.engine.stop("thesis._.1001", 1).await.unwrap();
    world.engine.refuse("commit", "no space left on device");
    let save = world.save(None).await.unwrap();
    assert_eq!(world.run(&save).await.unwrap_err().container, ContainerAfter::AsItWas);
    assert_eq!(world.state().await.as_deref(), Some("exited"));
    world.engine.start("thesis._.1001").await.unwrap();
    let save = world.save(None).await.unwrap();
    world.engine.refuse("start", "no such device");
    let left = world.run(&save).await.unwrap_err().container;
    assert!(matches!(left, ContainerAfter::Restarted(Err(Error::Refused { .. }))), "{left:?}");
}

#[tokio::test]
async fn a_container_whose_gpus_nobody_keeps_for_it_is_not_started_again_unseen() {
    let world = World::new().await;
    let save = Save { keeps_gpus: false, ..world.save(None).await.unwrap() };
    world.engine.refuse("commit", "no space left on device");
    assert_eq!(world.run(&save).await.unwrap_err().container, ContainerAfter::Stopped);
    assert_eq!(world.state().await.as_deref(), Some("exited"));
}

#[tokio::test]
async fn an_interrupted_save_is_undone() {
    let world = World::new().await;
    let (save, had) = (world.save(None).await.unwrap(), world.has().await);
    let preview = preview(&world.engine, &save).await.unwrap();
    let (events, _heard) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let kept = run(&world.engine, &save, &preview, &events, &cancel).await.unwrap_err();
    assert_eq!(kept.error, SaveError::Cancelled);
    assert_eq!((world.has().await, world.state().await.as_deref()), (had, Some("running")));
}

#[tokio::test]
async fn a_container_whose_image_is_gone_is_refused_before_it_is_stopped() {
    let world = World::new().await;
    let save = Save { image: ImageId::new("sha256:gone"), ..world.save(None).await.unwrap() };
    assert_eq!(world.run(&save).await.unwrap_err().error, SaveError::BaseGone);
    assert_eq!(world.state().await.as_deref(), Some("running"));
}
