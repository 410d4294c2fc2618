//! An engine that runs nothing: it answers over a socket as Docker does in all
//! that a deploy asks, so that hundreds of deploys at once cost what they cost
//! and not what containers cost.
//!
//! What matters for races is as there: a name is kept before the container is
//! listed, work that was begun goes on when its client dies, a removal waits for
//! a start, and what runs is not removed without force. It notes whenever a
//! container is started with something that another running one has.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// How long it takes to create and to start a container.
const WORK: Duration = Duration::from_millis(4);

pub struct StandIn {
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Shared {
    image: Value,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By id.
    containers: BTreeMap<String, Container>,
    names: Vec<String>,
    made: u64,
    twice: Vec<String>,
    /// Calls by method and last word of the path.
    calls: BTreeMap<String, u64>,
}

#[derive(Clone)]
struct Container {
    name: String,
    asked: Value,
    running: bool,
    /// Held while it is started or removed.
    at_work: Arc<tokio::sync::Mutex<()>>,
}

/// A container as a test sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub name: String,
    pub running: bool,
    pub units: Vec<String>,
}

impl StandIn {
    /// With one image, of these names and with these labels.
    pub fn new(references: &[&str], labels: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let image = json!({
            "Id": format!("sha256:{}", "1".repeat(64)), "RepoTags": references, "RepoDigests": [],
            "Created": "2024-01-01T00:00:00Z", "Size": 1000, "Architecture": "amd64", "Os": "linux",
            "RootFS": {"Type": "layers", "Layers": [format!("sha256:{}", "2".repeat(64))]},
            "Config": {"Labels": labels, "Cmd": ["/bin/sh"], "Env": [], "User": "", "WorkingDir": "/workspace"},
        });
        let shared = Arc::new(Shared { image, state: Mutex::default() });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(folder.path().join("sock")).unwrap()
        };
        runtime.spawn(serve(listener, shared.clone()));
        Self { folder, shared, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        Path::new(self.folder.path()).join("sock")
    }

    pub fn containers(&self) -> Vec<Seen> {
        self.shared.state.lock().unwrap().containers.values().map(Container::seen).collect()
    }

    /// Starts that gave something twice.
    pub fn twice(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().twice.clone()
    }

    pub fn clear(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.containers.clear();
        state.names.clear();
    }

    /// How often it was asked for what.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.state.lock().unwrap().calls.clone()
    }
}

impl Container {
    fn labels(&self) -> &Value {
        &self.asked["Labels"]
    }

    fn seen(&self) -> Seen {
        let list = self.labels()["ds01.gpu.uuids"].as_str().unwrap_or_default();
        let units = list.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Seen { name: self.name.clone(), running: self.running, units }
    }

    fn state(&self) -> &'static str {
        if self.running { "running" } else { "created" }
    }
}

async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let answer = hyper::service::service_fn(|request| answer(shared.clone(), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let mut words: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
    if words.first().is_some_and(|word| word.starts_with('v') && word.contains('.')) {
        words.remove(0);
    }
    let query = head.uri.query().unwrap_or_default().to_owned();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let method = head.method.as_str().to_owned();
    // A client that dies stops nothing that was begun.
    let work = tokio::spawn(async move {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let ends = words.last().copied().unwrap_or_default().to_owned();
        *shared.state.lock().unwrap().calls.entry(format!("{method} {ends}")).or_default() += 1;
        shared.call(&method, &words, &query, &body).await
    });
    let (code, value) = work.await.unwrap_or_else(|error| (500, json!({"message": error.to_string()})));
    let text = if value.is_null() { String::new() } else { value.to_string() };
    let response = Response::builder()
        .status(code)
        .header("api-version", "1.41")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(text)));
    Ok(response.unwrap())
}

impl Shared {
    async fn call(&self, method: &str, words: &[&str], query: &str, body: &[u8]) -> (u16, Value) {
        match (method, words) {
            (_, ["_ping"]) => (200, json!("OK")),
            ("GET", ["info"]) => (200, self.info()),
            ("GET", ["images", "json"]) => (200, json!([self.listed_image()])),
            ("GET", ["images", name @ .., "json"]) => self.image(&name.join("/")),
            ("GET", ["containers", "json"]) => (200, self.list()),
            ("POST", ["containers", "create"]) => self.create(query, body).await,
            ("GET", ["containers", id, "json"]) => self.inspect(id),
            ("POST", ["containers", id, "start"]) => self.start(id).await,
            ("POST", ["containers", id, "wait"]) => self.wait(id).await,
            ("DELETE", ["containers", id]) => self.remove(id).await,
            _ => (404, json!({"message": format!("this engine knows no {method} /{}", words.join("/"))})),
        }
    }

    fn info(&self) -> Value {
        json!({
            "ID": "race", "ServerVersion": "20.10.24", "Driver": "overlay2", "CgroupDriver": "cgroupfs",
            "NCPU": 64, "MemTotal": 1u64 << 40, "OSType": "linux", "Architecture": "x86_64",
            "DockerRootDir": "/nowhere", "Runtimes": {"runc": {"path": "runc"}}, "DefaultRuntime": "runc",
        })
    }

    fn listed_image(&self) -> Value {
        let image = &self.image;
        json!({
            "Id": image["Id"], "ParentId": "", "RepoTags": image["RepoTags"], "RepoDigests": [],
            "Created": 1, "Size": 1000, "SharedSize": -1, "Containers": -1,
            "Labels": image["Config"]["Labels"],
        })
    }

    fn image(&self, name: &str) -> (u16, Value) {
        let name = name.replace("%3A", ":");
        let tags = self.image["RepoTags"].as_array().into_iter().flatten();
        let known = tags.chain([&self.image["Id"]]).any(|known| *known == name.as_str());
        if known { (200, self.image.clone()) } else { (404, json!({"message": "No such image"})) }
    }

    fn list(&self) -> Value {
        let state = self.state.lock().unwrap();
        let row = |(id, one): (&String, &Container)| {
            json!({
                "Id": id, "Names": [format!("/{}", one.name)], "Image": one.asked["Image"],
                "ImageID": self.image["Id"], "Labels": one.labels(), "State": one.state(),
                "Status": one.state(), "Created": 1,
            })
        };
        state.containers.iter().map(row).collect()
    }

    async fn create(&self, query: &str, body: &[u8]) -> (u16, Value) {
        let name =
            query.split('&').find_map(|pair| pair.strip_prefix("name=")).unwrap_or_default().to_owned();
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        {
            let mut state = self.state.lock().unwrap();
            if state.names.contains(&name) {
                let message = format!("Conflict. The container name \"/{name}\" is already in use");
                return (409, json!({ "message": message }));
            }
            state.names.push(name.clone());
        }
        tokio::time::sleep(WORK).await;
        let mut state = self.state.lock().unwrap();
        state.made += 1;
        let id = format!("{:064x}", state.made);
        let made = Container { name, asked, running: false, at_work: Arc::default() };
        state.containers.insert(id.clone(), made);
        (201, json!({"Id": id, "Warnings": []}))
    }

    fn find(&self, id: &str) -> Option<Container> {
        self.state.lock().unwrap().containers.get(id).cloned()
    }

    fn inspect(&self, id: &str) -> (u16, Value) {
        let Some(one) = self.find(id) else { return none(id) };
        let value = json!({
            "Id": id, "Name": format!("/{}", one.name), "Image": self.image["Id"],
            "Created": "2024-01-01T00:00:00Z",
            "State": {"Status": one.state(), "Running": one.running, "ExitCode": 0},
            "Config": {"Labels": one.labels(), "Env": one.asked["Env"], "Image": one.asked["Image"]},
            "HostConfig": one.asked["HostConfig"],
        });
        (200, value)
    }

    async fn start(&self, id: &str) -> (u16, Value) {
        let Some(one) = self.find(id) else { return none(id) };
        let _at_work = one.at_work.lock().await;
        tokio::time::sleep(WORK).await;
        let mut state = self.state.lock().unwrap();
        let Some(one) = state.containers.get(id).cloned() else { return none(id) };
        let units = one.seen().units;
        let others = state.containers.iter().filter(|(other, seen)| *other != id && seen.running);
        let others = others.filter(|(_, seen)| seen.seen().units.iter().any(|unit| units.contains(unit)));
        let others: Vec<_> =
            others.map(|(_, seen)| format!("{} and {}: {units:?}", seen.name, one.name)).collect();
        state.twice.extend(others);
        if let Some(one) = state.containers.get_mut(id) {
            one.running = true;
        }
        (204, Value::Null)
    }

    /// Programs here run for ever.
    async fn wait(&self, id: &str) -> (u16, Value) {
        if self.find(id).is_none() {
            return none(id);
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        (200, json!({"StatusCode": 0}))
    }

    async fn remove(&self, id: &str) -> (u16, Value) {
        let Some(one) = self.find(id) else { return none(id) };
        let _at_work = one.at_work.lock().await;
        let mut state = self.state.lock().unwrap();
        if state.containers.get(id).is_some_and(|one| one.running) {
            return (409, json!({"message": "You cannot remove a running container"}));
        }
        if let Some(one) = state.containers.remove(id) {
            state.names.retain(|name| *name != one.name);
        }
        (204, Value::Null)
    }
}

fn none(id: &str) -> (u16, Value) {
    (404, json!({"message": format!("No such container: {id}")}))
}
