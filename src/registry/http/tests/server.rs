//! A registry that misbehaves as a test wants it to: HTTP/1.1 by hand, since
//! a library would not let it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a client sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `HEAD /v2/x/manifests/v1`.
    pub(crate) line: String,
    /// By name in small letters.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn authorization(&self) -> &str {
        self.headers.get("authorization").map_or("", String::as_str)
    }
}

/// What it gets for it.
pub(crate) enum Reply {
    Status(u16, Vec<(&'static str, String)>, String),
    /// The connection is closed instead of an answer.
    Broken,
    /// It is closed in the middle of the content.
    CutContent,
    /// Nothing, for ever.
    Hang,
}

pub(crate) fn status(code: u16) -> Reply {
    Reply::Status(code, Vec::new(), String::new())
}

type Script = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

pub(crate) struct Server {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    pub(crate) connections: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Answers by the script, which also gets how many requests came before.
    pub(crate) async fn start(script: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (connections, asked) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let (counted, noted, script): (_, _, Arc<Script>) =
            (Arc::clone(&connections), Arc::clone(&asked), Arc::new(script));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&noted), Arc::clone(&script)));
            }
        });
        Self { host, connections, asked, task }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests whose line begins so.
    pub(crate) fn count(&self, begin: &str) -> usize {
        self.asked().iter().filter(|asked| asked.line.starts_with(begin)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, noted: Arc<Mutex<Vec<Asked>>>, script: Arc<Script>) {
    while let Some(asked) = read(&mut stream).await {
        let before = {
            let mut noted = noted.lock().unwrap();
            noted.push(asked.clone());
            noted.len() - 1
        };
        let (code, headers, content) = match script(&asked, before) {
            Reply::Status(code, headers, content) => (code, headers, content),
            Reply::Broken => return,
            Reply::Hang => return std::future::pending().await,
            Reply::CutContent => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{").await;
                return;
            }
        };
        let mut text = format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n", content.len());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        if !asked.line.starts_with("HEAD") {
            text += &content;
        }
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// `None`: the client has closed.
async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: HashMap<_, _> = pairs.map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
    let length: usize = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked { line, headers, body: String::from_utf8(bytes[end..].to_vec()).unwrap() })
}
