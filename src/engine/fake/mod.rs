//! An engine in memory that interprets what it is asked to do.
//!
//! For tests of everything that needs an engine, and for dry runs. It
//! keeps images, tags, labels and containers, and it reads the steps of a
//! build instead of running them: `exit 3` fails with code 3, `sleep 2` takes
//! two seconds of tokio's clock, `echo x` writes `x`, `fail-resolving 2` fails
//! the image's first two solves as a network does that comes back, and a step
//! that begins with `trap` does not stop when it is told to; every other
//! command and every copy succeeds. Pushes and pulls go to a hub that several
//! engines may share. A cache that is imported under a tag that ends in `torn`
//! loses the image's last layer. It keeps no layer cache and reads no context, so the
//! id of an image says what was asked for, not what the files hold. Of files it
//! knows those of the account that was baked in.

mod containers;
mod dockerfile;
mod exec;
mod files;
mod hub;
mod inside;
mod solve;
mod store;
mod transfer;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use super::{
    Attached, Change, Chunk, Container, ContainerConfig, ContainerDetail, CreateContainer, Devices, Engine,
    EngineInfo, Error, Exec, FileStat, Footprint, Image, ImageDetail, Logs, SolveError, Solved, Usage,
    UserLayer,
};
use crate::image::solve::{Solve, Start};
use crate::image::user_layer::{BaseFacts, UserLayerInput};
use crate::model::account::Account;
use crate::model::event::Events;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::Reference;
pub(crate) use hub::FakeHub;
pub(crate) use inside::FakeFile;
use store::{Store, Stored};

const ADDRESS: &str = "fake://memory";
/// How often a container's end is looked for.
const TICK: Duration = Duration::from_millis(10);

/// The engine. Shared by reference; each call sees the ones before it.
#[derive(Debug)]
pub(crate) struct FakeEngine {
    facts: EngineInfo,
    state: Mutex<State>,
    hub: Arc<FakeHub>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    gone: bool,
    /// Each solve that began, in order.
    solves: Vec<NodeName>,
    running: usize,
    most_running: usize,
    /// References, in order, also of transfers that failed.
    pushes: Vec<String>,
    pulls: Vec<String>,
    /// So many transfers fail, with these words.
    failing: (usize, String),
    /// How often containers and images were asked about, by the call's name.
    calls: BTreeMap<&'static str, usize>,
}

impl Default for FakeEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeEngine {
    /// An empty engine with 8 CPUs, 16 GiB and the systemd cgroup driver.
    pub(crate) fn new() -> Self {
        Self::with_facts(EngineInfo {
            version: "20.10.24".into(),
            api: "1.41".into(),
            id: "fake".into(),
            root: "/var/lib/fake".into(),
            local: false,
            storage_driver: "memory".into(),
            cgroup_driver: "systemd".into(),
            cpus: 8,
            memory: 16 << 30,
            platform: "linux/amd64".into(),
            runtimes: ["runc".to_owned()].into(),
            ..EngineInfo::default()
        })
    }

    /// An empty engine that says this of itself.
    pub(crate) fn with_facts(facts: EngineInfo) -> Self {
        Self { facts, state: Mutex::default(), hub: Arc::default() }
    }

    /// An empty engine beside others at these registries.
    pub(crate) fn at(hub: Arc<FakeHub>) -> Self {
        Self { hub, ..Self::new() }
    }

    /// The registries that it pushes to and pulls from.
    pub(crate) fn hub(&self) -> &Arc<FakeHub> {
        &self.hub
    }

    /// An engine that nobody answers for.
    pub(crate) fn unreachable() -> Self {
        let engine = Self::new();
        engine.go_away();
        engine
    }

    /// From now on every call fails as if the engine had been stopped.
    pub(crate) fn go_away(&self) {
        self.state().gone = true;
    }

    /// Puts an image with one layer into the store, as one built or imported
    /// there: it has no manifest digest. Equal name and labels give an equal id.
    pub(crate) fn add_image(&self, reference: &Reference, labels: &BTreeMap<String, String>) -> ImageId {
        self.state().store.add(Stored::base(&reference.to_string(), labels), Some(reference))
    }

    /// Puts an image into the store that leaves instructions for what is built FROM it.
    pub(crate) fn add_with_onbuild(&self, reference: &Reference, onbuild: &[&str]) -> ImageId {
        let onbuild = onbuild.iter().map(|text| (*text).to_owned()).collect();
        let image = Stored { onbuild, ..Stored::base(&reference.to_string(), &BTreeMap::new()) };
        self.state().store.add(image, Some(reference))
    }

    /// Puts an image into the store as one pulled with this manifest digest.
    pub(crate) fn add_pulled(&self, reference: &Reference, digest: &str) -> ImageId {
        let mut image = Stored::base(digest, &BTreeMap::new());
        image.digests.push(reference.repository().with_digest(digest));
        self.state().store.add(image, Some(reference))
    }

    /// Makes the registry know this tag; moves it if it does already.
    pub(crate) fn add_remote(&self, reference: &Reference, digest: &str) {
        self.state().store.remote.insert(reference.to_string(), digest.to_owned());
    }

    /// Adds a container as it is, whoever made it.
    pub(crate) fn add_container(&self, container: Container) {
        self.state().store.containers.push(container);
    }

    /// What a container was created with, by whoever made it.
    pub(crate) fn add_devices(&self, container: &str, devices: Devices) {
        self.state().store.devices.insert(container.to_owned(), devices);
    }

    /// From now on it may not lift limits, as an engine that runs without root.
    pub(crate) fn drop_privileges(&self) {
        self.state().store.unprivileged = true;
    }

    /// Every request for a container that was granted, in order.
    pub(crate) fn created(&self) -> Vec<CreateContainer> {
        self.state().store.created.clone()
    }

    /// The solves that began, in order, failed and cancelled ones included.
    pub(crate) fn solves(&self) -> Vec<NodeName> {
        self.state().solves.clone()
    }

    /// How many solves of this image began.
    pub(crate) fn solves_of(&self, node: &str) -> usize {
        self.state().solves.iter().filter(|name| name.as_str() == node).count()
    }

    /// The most solves that were running at one time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state().most_running
    }

    /// The account that a solve baked into an image.
    pub(crate) fn account_of(&self, name: &str) -> Option<Account> {
        let state = self.state();
        let id = state.store.find(name)?;
        state.store.images.get(&id)?.account.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed while holding the lock says so itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.state();
        if state.gone {
            return Err(Error::Unreachable { address: ADDRESS.into(), cause: "connection refused".into() });
        }
        Ok(state)
    }
}

#[async_trait]
impl Engine for FakeEngine {
    async fn info(&self) -> Result<EngineInfo, Error> {
        self.reached().map(|_| self.facts.clone())
    }

    async fn lacks(&self) -> Result<Vec<String>, Error> {
        self.reached().map(|_| Vec::new())
    }

    async fn read_files(&self, image: &Reference, wants: &[UserLayerInput]) -> Result<BaseFacts, Error> {
        let state = self.reached()?;
        let id = state.store.find(&image.to_string());
        let stored = id.and_then(|id| state.store.images.get(&id)).ok_or_else(|| Error::Refused {
            action: format!("read {image}"),
            message: format!("No such image: {image}"),
        })?;
        Ok(files::read(stored, wants))
    }

    async fn images(&self) -> Result<Vec<Image>, Error> {
        Ok(self.counted("images")?.store.list())
    }

    async fn image(&self, name: &str) -> Result<Option<ImageDetail>, Error> {
        let state = self.reached()?;
        Ok(state.store.find(name).and_then(|id| state.store.detail(&id)))
    }

    async fn image_config(&self, name: &str) -> Result<Option<ContainerConfig>, Error> {
        Ok(self.reached()?.store.image_config(name))
    }

    async fn footprints(&self, images: &[ImageId]) -> Result<HashMap<ImageId, Footprint>, Error> {
        let state = self.reached()?;
        let own = |id: &ImageId| Some((id.clone(), Footprint { own: state.store.own(id)?, tagged: None }));
        Ok(images.iter().filter_map(own).collect())
    }

    async fn resolve(&self, reference: &Reference) -> Result<Option<String>, Error> {
        Ok(self.reached()?.store.remote_digest(reference))
    }

    async fn solve(
        &self,
        solve: &Solve,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Solved, SolveError> {
        let (_running, attempt) = self.enter(&solve.node)?;
        // Solves that begin together are seen together.
        tokio::task::yield_now().await;
        self.reached()?.store.willing("solve")?;
        let mut work = solve::read(solve, &self.reached()?.store)?;
        solve::run(&work.steps, solve, attempt, events, cancel).await?;
        let layers = Some(work.image.layers.len());
        if solve.cache_from.iter().any(|image| image.tag().is_some_and(|tag| tag.ends_with("torn"))) {
            work.image.layers.pop();
        }
        let mut state = self.reached()?;
        let id = state.store.add(work.image, None);
        if let Start::Image(below) = &solve.start {
            state.store.hand_files_on(below, &id);
        }
        Ok(Solved { id, layers })
    }

    async fn user_layer(&self, solve: &Solve, _: &Events) -> Result<UserLayer, SolveError> {
        solve::read(solve, &self.reached()?.store)?;
        solve::user_layer(solve)
    }

    async fn pull(&self, reference: &Reference, _: &NodeName, _: &Events) -> Result<ImageId, Error> {
        let action = format!("pull {reference}");
        self.transfer(&action, |state| state.pulls.push(reference.to_string()))?;
        let refused = |message: String| Error::Refused { action: action.clone(), message };
        let given = self.hub.give(reference).await.map_err(|error| refused(error.to_string()))?;
        let (digest, image) = given.ok_or_else(|| refused("manifest unknown".into()))?;
        Ok(self.reached()?.store.add_from(image, reference.repository().with_digest(&digest)))
    }

    async fn push(&self, reference: &Reference, _: &NodeName, _: &Events) -> Result<(), Error> {
        let action = format!("push {reference}");
        self.transfer(&action, |state| state.pushes.push(reference.to_string()))?;
        let refused = |message: String| Error::Refused { action: action.clone(), message };
        let missing = || refused(format!("An image does not exist locally with the tag: {reference}"));
        let (image, diff_ids) = {
            let state = self.reached()?;
            let id = state.store.find(&reference.to_string()).ok_or_else(missing)?;
            let detail = state.store.detail(&id).ok_or_else(missing)?;
            (state.store.images[&id].clone(), detail.diff_ids)
        };
        let digest = self.hub.take(reference, &image, &diff_ids).await.map_err(|e| refused(e.to_string()))?;
        self.reached()?.store.add_from(image, reference.repository().with_digest(&digest));
        Ok(())
    }

    async fn tag(&self, image: &ImageId, reference: &Reference) -> Result<(), Error> {
        self.reached()?.store.tag(image, reference)
    }

    async fn remove_image(&self, name: &str) -> Result<(), Error> {
        self.reached()?.store.remove_image(name)
    }

    async fn containers(&self) -> Result<Vec<Container>, Error> {
        Ok(self.counted("containers")?.store.containers.clone())
    }

    async fn container(&self, container: &str) -> Result<Option<ContainerDetail>, Error> {
        Ok(self.counted("container")?.store.container_detail(container))
    }

    async fn usage(&self, containers: &[String]) -> Result<HashMap<String, Usage>, Error> {
        Ok(self.counted("usage")?.store.usage(containers))
    }

    async fn create(&self, request: &CreateContainer) -> Result<String, Error> {
        self.reached()?.store.create(request)
    }

    async fn start(&self, container: &str) -> Result<(), Error> {
        self.reached()?.store.start(container)
    }

    async fn wait(&self, container: &str) -> Result<i64, Error> {
        loop {
            if let Some(code) = self.reached()?.store.ended(container)? {
                return Ok(code);
            }
            tokio::time::sleep(TICK).await;
        }
    }

    async fn stop(&self, container: &str, _seconds: u32) -> Result<(), Error> {
        self.reached()?.store.stop(container)
    }

    async fn remove(&self, container: &str) -> Result<(), Error> {
        self.reached()?.store.remove(container)
    }

    async fn logs(
        &self,
        container: &str,
        logs: &Logs,
    ) -> Result<BoxStream<'static, Result<Chunk, Error>>, Error> {
        self.reached()?.store.logs(container, logs)
    }

    async fn exec(&self, container: &str, exec: &Exec) -> Result<Attached, Error> {
        self.reached()?.store.exec(container, exec)
    }

    async fn resize(&self, exec: &str, columns: u16, rows: u16) -> Result<(), Error> {
        self.reached()?.store.resize(exec, columns, rows)
    }

    async fn exec_ended(&self, exec: &str) -> Result<Option<i64>, Error> {
        self.reached()?.store.exec_ended(exec)
    }

    async fn changes(&self, container: &str) -> Result<Vec<Change>, Error> {
        self.reached()?.store.changes(container)
    }

    async fn written(&self, container: &str) -> Result<Option<u64>, Error> {
        self.reached()?.store.written(container).map(Some)
    }

    async fn stat(&self, container: &str, path: &str) -> Result<Option<FileStat>, Error> {
        self.reached()?.store.stat(container, path)
    }

    async fn write_files(&self, container: &str, tar: Vec<u8>) -> Result<(), Error> {
        self.reached()?.store.write_files(container, tar)
    }

    async fn read_tar(&self, container: &str, path: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        self.reached()?.store.read_tar(container, path, most)
    }

    async fn commit(&self, container: &str) -> Result<ImageId, Error> {
        self.reached()?.store.commit(container)
    }
}

#[cfg(test)]
mod tests;
