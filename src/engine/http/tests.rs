use super::dial::{IDLE, UNACKNOWLEDGED, tcp};
use super::*;
use rustix::net::sockopt;

const TRIES: usize = 20_000;

fn local(listener: &std::net::TcpListener) -> Address {
    Address::Tcp { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_connections_and_stays_silent_is_given_up() {
    // The system takes the connection; nobody ever reads it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = local(&listener);
    let client = Client::new(&address);
    let asked = client.request(Request::get("/version").body(String::new()).unwrap());
    let error = in_time(&address, asked).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable { cause, .. } if cause.contains("not answered within 10 s")),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_engine_that_hangs_up_instead_of_answering_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = local(&listener);
    std::thread::spawn(move || drop(listener.accept()));
    let error =
        Client::new(&address).request(Request::get("/").body(String::new()).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_is_asked_for_a_path_under_its_own_name() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = Address::Tcp { host: "127.0.0.1".into(), port };
    let served = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 1024];
        let n = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(head[..n].to_vec()).unwrap()
    };
    let asked = Request::get("http://engine/v1.41/info?a=b").body(String::new()).unwrap();
    let client = Client::new(&address);
    let (answer, head) = tokio::join!(client.request(asked), served);
    assert_eq!(answer.unwrap().status(), 200);
    assert!(head.starts_with("GET /v1.41/info?a=b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{head}");
}

#[tokio::test]
async fn a_machine_that_vanishes_is_noticed_by_tcp() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = tcp("127.0.0.1", listener.local_addr().unwrap().port()).await.unwrap();
    assert!(sockopt::socket_keepalive(&stream).unwrap());
    assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), IDLE);
    assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), UNACKNOWLEDGED);
}

#[tokio::test]
async fn the_file_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Tls { host: "gpu1".into(), port: 1, cert_dir: folder.path().to_owned() };
    let error =
        Client::new(&address).request(Request::get("/").body(String::new()).unwrap()).await.unwrap_err();
    let ca = folder.path().join("ca.pem").display().to_string();
    assert!(matches!(&error, Error::Certificates { cause, .. } if cause.contains(&ca)), "{error:?}");
    std::fs::write(folder.path().join("ca.pem"), "nothing").unwrap();
    let error =
        Client::new(&address).request(Request::get("/").body(String::new()).unwrap()).await.unwrap_err();
    assert!(matches!(&error, Error::Certificates { cause, .. } if cause.contains("no certificate in it")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_waits_for_a_connection_that_has_ended() {
    // The two cross within microseconds: rarely, so often is it tried.
    for _ in 0..TRIES {
        let (ours, theirs) = tokio::io::duplex(1024);
        drop(theirs);
        let asked = send(ours, Request::get("/").body(String::new()).unwrap());
        let answer = tokio::time::timeout(FIRST_ANSWER, asked).await.expect("it ends by itself");
        assert!(answer.is_err());
    }
}

/// A server that answers, except where a request says to hang up: then only
/// each connection's first request has an answer. Tells of every connection,
/// and of every request that came.
async fn server() -> (Address, tokio::sync::mpsc::UnboundedReceiver<String>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let (notes, seen) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = notes.send("connection".to_owned());
            let notes = notes.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 1024];
                for first in std::iter::once(true).chain(std::iter::repeat(false)) {
                    let Ok(n @ 1..) = stream.read(&mut head).await else { break };
                    let line = String::from_utf8_lossy(&head[..n]).lines().next().unwrap().to_owned();
                    let hang_up = line.contains("/hang-up") && !first;
                    let _ = notes.send(line);
                    if hang_up {
                        break;
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK").await;
                }
            });
        }
    });
    (address, seen)
}

async fn ask(client: &Client, method: &str, path: &str) -> Result<StatusCode, Error> {
    let request = Request::builder().method(method).uri(path).body(String::new()).unwrap();
    let answer = client.request(request).await?;
    let status = answer.status();
    answer.into_body().collect().await.unwrap();
    Ok(status)
}

fn all(seen: &mut tokio::sync::mpsc::UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| seen.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_connection_is_used_again_also_by_a_clone() {
    let (address, mut seen) = server().await;
    let client = Client::new(&address);
    for method in ["GET", "POST", "DELETE"] {
        assert_eq!(ask(&client.clone(), method, "/x").await, Ok(StatusCode::OK));
    }
    assert_eq!(all(&mut seen), ["connection", "GET /x HTTP/1.1", "POST /x HTTP/1.1", "DELETE /x HTTP/1.1"]);
}

#[tokio::test]
async fn what_only_reads_is_sent_again_where_a_kept_connection_ended_without_an_answer() {
    let (address, mut seen) = server().await;
    let client = Client::new(&address);
    assert_eq!(ask(&client, "GET", "/x").await, Ok(StatusCode::OK));
    assert_eq!(ask(&client, "GET", "/hang-up").await, Ok(StatusCode::OK));
    let again =
        ["connection", "GET /x HTTP/1.1", "GET /hang-up HTTP/1.1", "connection", "GET /hang-up HTTP/1.1"];
    assert_eq!(all(&mut seen), again);
}

#[tokio::test]
async fn what_changes_something_is_never_sent_twice() {
    let (address, mut seen) = server().await;
    let client = Client::new(&address);
    assert_eq!(ask(&client, "GET", "/x").await, Ok(StatusCode::OK));
    let error = ask(&client, "POST", "/hang-up").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(all(&mut seen), ["connection", "GET /x HTTP/1.1", "POST /hang-up HTTP/1.1"]);
}

#[tokio::test]
async fn certificates_are_read_once() {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let serving = tokio::spawn(async move {
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor.accept(stream).await.unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, own.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
    let cert_dir = folder.path().to_owned();
    let dialer = Dialer::new(&Address::Tls { host: "localhost".into(), port, cert_dir });
    let _first = dialer.open().await.unwrap();
    drop(folder);
    let _second = dialer.open().await.unwrap();
    serving.await.unwrap();
}
