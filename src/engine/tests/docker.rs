//! The docker engine against a real daemon at the default socket. Without one
//! these tests fail: they are run where an engine is.
//!
//! Each test makes images and containers under names of its own and removes
//! them, also when it fails. What the engine made of a request is asked with
//! bollard, beside the code under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::deploy::Deployed;
use crate::deploy::create::{self, Machine};
use crate::deploy::{DeployError, DeviceFiles};
use crate::engine::address::Address;
use crate::engine::buildkit::Builder;
use crate::engine::docker::Docker;
use crate::engine::{CreateContainer, Engine, Error, Mount};
use crate::host::lock::Locks;
use crate::model::reference::Reference;
use crate::registry::credentials::Credentials;
use tokio_util::sync::CancellationToken;

use super::client::docker;

const SOCKET: &str = "/var/run/docker.sock";
const LOCKS: &str = "/tmp/ds01-build-locks";

/// An engine with a busybox image of this test's own.
struct Bench {
    engine: Docker,
    /// Begins every name that this test makes.
    prefix: String,
    base: Reference,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new(test: &str) -> Self {
        let address = Address::Unix(SOCKET.into());
        let engine =
            Docker::connect(Builder::new(&address, Credentials::default())).await.expect("an engine");
        let prefix = format!("eng-test-{}-{test}", std::process::id());
        let base = Reference::parse(&format!("{prefix}:base")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        import(folder.path(), &base.to_string());
        Self { engine, prefix, base, folder }
    }

    /// Under the locks of this machine: other tests deploy on this engine.
    async fn deploy(&self, request: &CreateContainer) -> Result<Deployed, DeployError> {
        let facts = self.engine.info().await.unwrap();
        let machine = Machine {
            engine: &self.engine,
            facts: &facts,
            locks: &Locks::open(Path::new(LOCKS), &facts.id).unwrap(),
            gpus: None,
            device_files: &DeviceFiles::default(),
            users: &|_| None,
            limit: Duration::from_secs(60),
            cancel: &CancellationToken::new(),
        };
        create::deploy_by(&machine, &|_| Ok(request.clone())).await
    }

    fn request(&self, name: &str) -> CreateContainer {
        CreateContainer {
            name: format!("{}-{name}", self.prefix),
            image: self.base.to_string(),
            labels: BTreeMap::from([("ds01.managed".into(), "true".into())]),
            env: vec!["NVIDIA_VISIBLE_DEVICES=void".into()],
            user: "1722830498:1722830499".into(),
            workdir: "/workspace".into(),
            command: None,
            hostname: Some("thesis".into()),
            mounts: vec![Mount {
                source: self.folder.path().to_owned(),
                target: "/workspace".into(),
                read_only: false,
            }],
            cpus: Some(0.5),
            memory: Some(64 << 20),
            swap: Some(0),
            shm_size: Some(8 << 20),
            pids: Some(77),
            cgroup_parent: None,
            ulimits: BTreeMap::from([("memlock".into(), (-1, -1)), ("stack".into(), (64 << 20, 64 << 20))]),
            group_add: vec!["44".into()],
            no_new_privileges: true,
            tty: true,
            init: true,
            stop_signal: None,
            ..CreateContainer::default()
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let list = |words: &[&str]| {
            let out = Command::new("docker").args(words).output().expect("the docker client");
            String::from_utf8_lossy(&out.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let filter = format!("name={}", self.prefix);
        for container in list(&["ps", "-aq", "--filter", &filter]) {
            quietly(Command::new("docker").args(["rm", "-f", &container]));
        }
        for image in list(&["images", "--format", "{{.Repository}}:{{.Tag}}", &self.prefix]) {
            quietly(Command::new("docker").args(["rmi", &image]));
        }
    }
}

/// A root of busybox alone, as an image that runs its shell.
fn import(folder: &Path, name: &str) {
    let root = folder.join("root");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static");
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
    let tar = folder.join("root.tar");
    quietly(Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&root).arg("."));
    quietly(
        Command::new("docker")
            .args(["import", "-c", "CMD [\"/bin/sh\"]", "-c", "LABEL vendor=v", "-c", "ENV A=b"])
            .arg(&tar)
            .arg(name),
    );
}

fn quietly(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status().expect("the command is installed");
    assert!(status.success() || std::thread::panicking(), "{command:?}");
}

/// As the engine shows it, through Docker's own client.
fn inspect(id: &str) -> bollard::models::ContainerInspectResponse {
    let shown = docker(&["container", "inspect", "--format", "{{json .}}", id]);
    serde_json::from_str(&shown).expect("the engine's own words")
}

async fn state(bench: &Bench, id: &str) -> Option<String> {
    let containers = bench.engine.containers().await.unwrap();
    containers.into_iter().find(|container| container.id == id).map(|container| container.state.to_string())
}

#[tokio::test]
async fn the_engine_says_what_it_is_and_has() {
    let bench = Bench::new("facts").await;
    let facts = bench.engine.info().await.unwrap();
    assert!(facts.version.starts_with(|c: char| c.is_ascii_digit()), "{facts:?}");
    assert!(!facts.id.is_empty() && !facts.storage_driver.is_empty());
    assert!(facts.local && facts.root.is_dir(), "{facts:?}");
    assert!(matches!(facts.cgroup_driver.as_str(), "systemd" | "cgroupfs"), "{facts:?}");
    assert!(facts.cpus > 0 && facts.memory > 1 << 28, "{facts:?}");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    assert_eq!(facts.platform, format!("linux/{arch}"));
}

#[tokio::test]
async fn an_image_is_listed_and_shown_with_its_labels() {
    let bench = Bench::new("image").await;
    let detail = bench.engine.image(&bench.base.to_string()).await.unwrap().expect("it was imported");
    assert_eq!(detail.labels, BTreeMap::from([("vendor".into(), "v".into())]));
    assert_eq!(detail.command, ["/bin/sh"]);
    assert_eq!(detail.env, ["A=b"]);
    assert_eq!(detail.diff_ids.len(), 1);
    let images = bench.engine.images().await.unwrap();
    let image = images.into_iter().find(|image| image.id == detail.id).expect("it is in the list");
    assert_eq!((image.tags, image.labels), (vec![bench.base.clone()], detail.labels));
    assert!(image.size > 100_000 && image.created > 1_700_000_000);
    assert_eq!(bench.engine.image(detail.id.as_str()).await.unwrap().map(|image| image.id), Some(detail.id));
    for absent in [format!("{}:none", bench.prefix), format!("sha256:{}", "0".repeat(64)), "No/name".into()] {
        assert_eq!(bench.engine.image(&absent).await, Ok(None), "{absent}");
    }
}

#[tokio::test]
async fn a_tag_is_added_moved_and_removed() {
    let bench = Bench::new("tag").await;
    let id = bench.engine.image(&bench.base.to_string()).await.unwrap().unwrap().id;
    let tag = Reference::parse(&format!("{}:r-0123456789abcdef", bench.prefix)).unwrap();
    bench.engine.tag(&id, &tag).await.unwrap();
    bench.engine.tag(&id, &tag).await.unwrap();
    let tags = bench.engine.image(&tag.to_string()).await.unwrap().unwrap().tags;
    assert_eq!(tags.len(), 2);
    bench.engine.remove_image(&tag.to_string()).await.unwrap();
    assert_eq!(bench.engine.image(&tag.to_string()).await, Ok(None));
    assert!(bench.engine.image(&bench.base.to_string()).await.unwrap().is_some());
    let again = bench.engine.remove_image(&tag.to_string()).await.unwrap_err();
    assert!(matches!(&again, Error::Refused { action, .. } if action.contains("r-0123")), "{again}");
}

#[tokio::test]
async fn every_limit_is_set_at_creation() {
    let bench = Bench::new("limits").await;
    let request = bench.request("c");
    let id = bench.engine.create(&request).await.unwrap();
    let made = inspect(&id);
    let host = made.host_config.unwrap();
    assert_eq!(host.nano_cpus, Some(500_000_000));
    assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
    assert_eq!((host.shm_size, host.pids_limit), (Some(8 << 20), Some(77)));
    assert_eq!((host.init, host.privileged), (Some(true), Some(false)));
    assert_eq!(host.group_add, Some(vec!["44".into()]));
    assert_eq!(host.security_opt, Some(vec!["no-new-privileges".into()]));
    let mut ulimits: Vec<_> =
        host.ulimits.unwrap().into_iter().map(|u| (u.name.unwrap(), u.soft, u.hard)).collect();
    ulimits.sort();
    let stack = Some(64 << 20);
    assert_eq!(ulimits, [("memlock".into(), Some(-1), Some(-1)), ("stack".into(), stack, stack)]);
    let mount = made.mounts.unwrap().remove(0);
    assert_eq!(mount.destination.as_deref(), Some("/workspace"));
    assert_eq!((mount.source.map(PathBuf::from), mount.rw), (Some(bench.folder.path().into()), Some(true)));
    let config = made.config.unwrap();
    assert_eq!(config.user.as_deref(), Some("1722830498:1722830499"));
    assert_eq!(config.working_dir.as_deref(), Some("/workspace"));
    assert_eq!(config.hostname.as_deref(), Some("thesis"));
    assert_eq!((config.tty, config.open_stdin), (Some(true), Some(true)));
    assert_eq!(config.cmd, Some(vec!["/bin/sh".into()]));
    let env = config.env.unwrap();
    assert!(env.contains(&"NVIDIA_VISIBLE_DEVICES=void".into()) && env.contains(&"A=b".into()), "{env:?}");
    let labels = config.labels.unwrap();
    assert_eq!((labels["ds01.managed"].as_str(), labels["vendor"].as_str()), ("true", "v"));
    bench.engine.remove(&id).await.unwrap();
}

#[tokio::test]
async fn a_container_is_started_stopped_and_removed() {
    let bench = Bench::new("life").await;
    let request = bench.request("c");
    let deployed = bench.deploy(&request).await.unwrap();
    let id = deployed.id.as_str();
    assert_eq!(state(&bench, id).await.as_deref(), Some("running"), "the shell stays open without a client");
    assert!(deployed.notes.len() <= 1, "{deployed:?}");
    let second = bench.engine.create(&request).await.unwrap_err();
    assert!(
        matches!(&second, Error::Refused { message, .. } if message.contains("already in use")),
        "{second}"
    );
    let busy = bench.engine.remove(id).await.unwrap_err();
    assert!(matches!(&busy, Error::Refused { message, .. } if message.contains("running")), "{busy}");
    bench.engine.stop(id, 1).await.unwrap();
    bench.engine.stop(id, 1).await.expect("stopping what stands still is no error");
    assert_eq!(state(&bench, id).await.as_deref(), Some("exited"));
    bench.engine.start(id).await.unwrap();
    bench.engine.stop(&deployed.name, 1).await.unwrap();
    bench.engine.remove(id).await.unwrap();
    assert_eq!(state(&bench, id).await, None);
}

#[tokio::test]
async fn a_container_that_cannot_start_leaves_its_name_free() {
    let bench = Bench::new("nostart").await;
    let mut request = bench.request("c");
    request.command = Some(vec!["/no/such/shell".into()]);
    let error = bench.deploy(&request).await.unwrap_err();
    assert!(error.to_string().contains("cannot be run"), "{error}");
    request.init = false;
    let error = bench.deploy(&request).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/shell"), "{error}");
    let containers = bench.engine.containers().await.unwrap();
    assert!(containers.iter().all(|container| container.name != request.name));
}

#[tokio::test]
async fn a_workspace_that_is_not_there_is_an_error_and_not_a_new_folder() {
    let bench = Bench::new("mount").await;
    let mut request = bench.request("c");
    let missing = bench.folder.path().join("missing");
    request.mounts[0].source = missing.clone();
    let error = bench.deploy(&request).await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
    assert!(!missing.exists());
}
