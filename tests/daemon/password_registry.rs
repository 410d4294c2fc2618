//! A registry that answers nobody without a password.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A registry with one image, `x:1`, for whoever gives the right password: `ada`, `pa:ss`.
pub async fn registry() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = stream;
                let mut request = vec![0; 8192];
                while let Ok(n @ 1..) = stream.read(&mut request).await {
                    let answer = answer(&String::from_utf8_lossy(&request[..n]));
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

const CONFIG: &str =
    r#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;

pub fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let hex: String = Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

pub fn manifest() -> String {
    let (digest, size) = (sha256(CONFIG), CONFIG.len());
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":{size},"digest":"{digest}"}},"layers":[]}}"#
    )
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn answer(request: &str) -> String {
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // `ada:pa:ss`
    if !request.to_lowercase().contains("authorization: basic ywrhonbhonnz") {
        let ask = "www-authenticate: Basic realm=\"test\"";
        return format!("HTTP/1.1 401 Unauthorized\r\n{ask}\r\ncontent-length: 0\r\n\r\n");
    }
    let (manifest, config) = (manifest(), CONFIG.to_owned());
    let (kind, body) = if path.ends_with("/x/manifests/1") || path.ends_with(&sha256(&manifest)) {
        (MANIFEST, manifest)
    } else if path.ends_with(&sha256(&config)) {
        ("application/octet-stream", config)
    } else {
        return "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into();
    };
    let (digest, length) = (sha256(&body), body.len());
    let head = format!("content-type: {kind}\r\ndocker-content-digest: {digest}\r\ncontent-length: {length}");
    format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{}", if method == "HEAD" { "" } else { &body })
}
