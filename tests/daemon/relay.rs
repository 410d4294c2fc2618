//! An engine at another address: passes TCP on to the real engine's socket,
//! plain or under TLS, remembers what was asked, and can go away.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

const ENGINE: &str = "/var/run/docker.sock";

/// Listens on loopback until it is dropped.
pub struct Relay {
    at: SocketAddr,
    asked: Asked,
    cut: watch::Sender<Option<&'static str>>,
    runtime: Option<Runtime>,
}

/// Method and path of each connection's first request.
type Asked = Arc<Mutex<Vec<String>>>;

impl Relay {
    pub fn plain() -> Self {
        Self::start(None)
    }

    pub fn tls(config: ServerConfig) -> Self {
        Self::start(Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn start(tls: Option<TlsAcceptor>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (at, asked) = (listener.local_addr().unwrap(), Asked::default());
        let (cut, cuts) = watch::channel(None);
        runtime.spawn(serve(listener, tls, asked.clone(), cuts));
        Self { at, asked, cut, runtime: Some(runtime) }
    }

    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// `tcp://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("tcp://{}", self.at)
    }

    /// Fails unless both halves of the program came through here. What is seen
    /// of a connection is its first request: later ones share it, as the tag of
    /// a built image does.
    #[track_caller]
    pub fn expect_both_halves(&self) {
        for request in ["GET /_ping", "GET /images/json", "POST /grpc", "POST /session"] {
            let asked = self.asked.lock().unwrap();
            assert!(asked.iter().any(|line| line.starts_with(request)), "{request} in {asked:#?}");
        }
    }

    pub fn is_unused(&self) -> bool {
        self.asked.lock().unwrap().is_empty()
    }

    /// Ends the connections that were opened with this request, no other.
    pub fn cut(&self, request: &'static str) {
        self.cut.send(Some(request)).unwrap();
    }

    /// Ends no more of them.
    pub fn mend(&self) {
        self.cut.send(None).unwrap();
    }

    /// Ends every connection at once and takes no more.
    pub fn go_away(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.go_away();
    }
}

type Cuts = watch::Receiver<Option<&'static str>>;

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, asked: Asked, cuts: Cuts) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, asked, cuts) = (tls.clone(), asked.clone(), cuts.clone());
        tokio::spawn(async move {
            match tls {
                None => pass(stream, &asked, cuts).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => pass(stream, &asked, cuts).await,
                    Err(error) => asked.lock().unwrap().push(format!("refused: {error}")),
                },
            }
        });
    }
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, asked: &Asked, mut cuts: Cuts) {
    let mut head = vec![0; 1024];
    let Ok(n @ 1..) = client.read(&mut head).await else { return };
    let line = String::from_utf8_lossy(&head[..n]).lines().next().unwrap_or_default().to_owned();
    asked.lock().unwrap().push(line.clone());
    let Ok(mut engine) = UnixStream::connect(ENGINE).await else { return };
    if engine.write_all(&head[..n]).await.is_ok() {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut engine) => {}
            _ = cuts.wait_for(|cut| cut.is_some_and(|request| line.starts_with(request))) => {}
        }
    }
}
