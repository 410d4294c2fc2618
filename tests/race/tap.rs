//! Stands before an engine's socket and notes when what was asked and answered.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;

/// One request of a connection of its own.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asked.
    pub pid: Option<i32>,
    /// `POST /v1.41/containers/create?name=x`
    pub line: String,
    pub asked: Instant,
    pub answered: Option<Instant>,
}

impl Call {
    /// Seconds until the answer came.
    pub fn took(&self) -> f64 {
        self.answered.map_or(0.0, |at| at.saturating_duration_since(self.asked).as_secs_f64())
    }
}

pub struct Tap {
    folder: tempfile::TempDir,
    calls: Arc<Mutex<Vec<Call>>>,
    _runtime: Runtime,
}

impl Tap {
    /// Before the engine at this address.
    pub fn new(url: &str) -> Self {
        let engine = PathBuf::from(url.strip_prefix("unix://").unwrap());
        let folder = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(folder.path().join("sock")).unwrap()
        };
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let noted = calls.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(engine) = UnixStream::connect(&engine).await {
                    tokio::spawn(pass(client, engine, noted.clone()));
                }
            }
        });
        Self { folder, calls, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }

    /// What was asked so far, which is forgotten.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

async fn pass(client: UnixStream, engine: UnixStream, calls: Arc<Mutex<Vec<Call>>>) {
    let pid = client.peer_cred().ok().and_then(|peer| peer.pid());
    let ((mut from_client, mut to_client), (mut from_engine, mut to_engine)) =
        (client.into_split(), engine.into_split());
    let last = Arc::new(Mutex::new(None::<usize>));
    let asked = {
        let (calls, last) = (calls.clone(), last.clone());
        async move {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                let text = String::from_utf8_lossy(&bytes[..count.min(300)]).into_owned();
                let line = text.split(" HTTP/").next().unwrap_or_default();
                if ["GET /", "POST /", "DELETE /", "HEAD /"].iter().any(|verb| line.starts_with(verb)) {
                    let mut calls = calls.lock().unwrap();
                    *last.lock().unwrap() = Some(calls.len());
                    let line = line.to_owned();
                    calls.push(Call { pid, line, asked: Instant::now(), answered: None });
                }
                if to_engine.write_all(&bytes[..count]).await.is_err() {
                    break;
                }
            }
            let _ = to_engine.shutdown().await;
        }
    };
    let answered = async move {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from_engine.read(&mut bytes).await {
            let at = last.lock().unwrap().take();
            if let Some(at) = at
                && let Some(call) = calls.lock().unwrap().get_mut(at)
            {
                call.answered = Some(Instant::now());
            }
            if to_client.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(asked, answered);
}
