use super::*;

const TRIES: usize = 20_000;

fn local(listener: &std::net::TcpListener) -> Address {
    Address::Tcp { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_connections_and_stays_silent_is_given_up() {
    // The system takes the connection; nobody ever reads it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = local(&listener);
    let asked = request(&address, Request::get("/version").body(String::new()).unwrap());
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
    let error = request(&address, Request::get("/").body(String::new()).unwrap()).await.unwrap_err();
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
    let (answer, head) = tokio::join!(request(&address, asked), served);
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
    let error = request(&address, Request::get("/").body(String::new()).unwrap()).await.unwrap_err();
    let ca = folder.path().join("ca.pem").display().to_string();
    assert!(matches!(&error, Error::Certificates { cause, .. } if cause.contains(&ca)), "{error:?}");
    std::fs::write(folder.path().join("ca.pem"), "nothing").unwrap();
    let error = request(&address, Request::get("/").body(String::new()).unwrap()).await.unwrap_err();
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
