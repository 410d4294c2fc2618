//! Streams to an engine, and requests on them: the one way in for both halves,
//! the engine's interface and its BuildKit, so that both trust the same
//! certificates and fail with the same words. Knows nothing of what is asked.

pub(crate) mod raw;
mod tls;

use std::error::Error as Cause;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Error;
use super::address::Address;

/// How long an engine may take for a connection, and for its first answer on
/// one. What it is asked to do afterwards may take longer.
pub(crate) const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// An engine whose machine vanished is told apart from a busy one by the lack
/// of acknowledgements: after this long idle, asked this often, this many times.
const IDLE: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;
/// The same limit for bytes that were sent.
const UNACKNOWLEDGED: u32 = 30_000;

/// Bytes in both directions, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends one HTTP/1.1 request on a stream of its own; it may ask for an
/// upgrade. Waits for the answer as long as it takes.
///
/// # Errors
/// `Unreachable` when nobody is there or the stream ends before the answer,
/// `Certificates` when the sides do not trust each other.
pub(crate) async fn request<B>(
    address: &Address,
    mut request: Request<B>,
) -> Result<Response<Incoming>, Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Cause + Send + Sync>>,
{
    // A server is asked for a path; whole addresses are for proxies.
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    if let Ok(host) = HeaderValue::try_from(host(address)) {
        request.headers_mut().insert(HOST, host);
    }
    send(open(address).await?, request).await.map_err(|e| explain(address, &e))
}

/// Gets a path and gives one header of the answer, whatever else it says.
///
/// # Errors
/// As for [`request`].
pub(crate) async fn header(
    address: &Address,
    path: &'static str,
    name: &str,
) -> Result<Option<String>, Error> {
    let mut get = Request::new(Empty::<Bytes>::new());
    *get.uri_mut() = Uri::from_static(path);
    let answer = request(address, get).await?;
    Ok(answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned))
}

async fn send<B>(
    stream: impl Stream + 'static,
    request: Request<B>,
) -> Result<Response<Incoming>, hyper::Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Cause + Send + Sync>>,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection.with_upgrades());
    let answer = sender.send_request(request);
    // A request that crosses with the connection's end can stay in the queue
    // between them, and is waited for as long as there is a sender.
    drop(sender);
    match answer.await {
        Ok(response) => Ok(response),
        // A server that refuses our certificate says so only now, and maybe
        // before the request is sent: then the connection knows why.
        Err(error) => Err(connection.await.ok().and_then(Result::err).unwrap_or(error)),
    }
}

/// Waits no longer than [`FIRST_ANSWER`].
///
/// # Errors
/// Those of `asked`, and `Unreachable` for an engine that stays silent.
pub(crate) async fn in_time<T>(
    address: &Address,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(FIRST_ANSWER, asked).await.unwrap_or_else(|_| {
        let cause = format!("it has not answered within {} s", FIRST_ANSWER.as_secs());
        Err(Error::Unreachable { address: address.to_string(), cause })
    })
}

async fn open(address: &Address) -> Result<Box<dyn Stream>, Error> {
    let connected = async {
        match address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|e| explain(address, &e))?;
                Ok(Box::new(stream) as Box<dyn Stream>)
            }
            Address::Tcp { host, port } => {
                Ok(Box::new(tcp(host, *port).await.map_err(|e| explain(address, &e))?) as _)
            }
            Address::Tls { host, port, cert_dir } => {
                // Files first: what they lack is better known than what a
                // server says of it.
                let dialer = tls::Dialer::new(host, cert_dir)
                    .map_err(|cause| Error::Certificates { address: address.to_string(), cause })?;
                let stream = tcp(host, *port).await.map_err(|e| explain(address, &e))?;
                Ok(Box::new(dialer.connect(stream).await.map_err(|e| explain(address, &e))?) as _)
            }
        }
    };
    in_time(address, connected).await
}

async fn tcp(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, IDLE)?;
    sockopt::set_tcp_keepintvl(&stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(&stream, PROBES)?;
    sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED)?;
    Ok(stream)
}

fn host(address: &Address) -> String {
    match address {
        // Engines look at none; a proxy in front of one may.
        Address::Unix(_) => "engine".to_owned(),
        Address::Tcp { host, port } | Address::Tls { host, port, .. } if host.contains(':') => {
            format!("[{host}]:{port}")
        }
        Address::Tcp { host, port } | Address::Tls { host, port, .. } => format!("{host}:{port}"),
    }
}

/// Our words for a stream that could not be opened or broke before the answer.
fn explain(address: &Address, error: &(dyn Cause + 'static)) -> Error {
    let shown = address.to_string();
    if let Address::Tls { host, cert_dir, .. } = address
        && let Some(error) = causes(error).find_map(of_tls)
    {
        return Error::Certificates { address: shown, cause: tls::explain(error, host, cert_dir) };
    }
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    let cause = match (address, kind) {
        (Address::Unix(path), Some(std::io::ErrorKind::PermissionDenied)) => {
            format!("no permission for {}: be a member of the group that owns it", path.display())
        }
        (Address::Unix(path), Some(std::io::ErrorKind::NotFound)) => {
            format!("there is no {}: is the engine running?", path.display())
        }
        _ => chain(error),
    };
    Error::Unreachable { address: shown, cause }
}

fn of_tls<'a>(error: &'a (dyn Cause + 'static)) -> Option<&'a rustls::Error> {
    error.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref()
}

fn causes<'a>(error: &'a (dyn Cause + 'static)) -> impl Iterator<Item = &'a (dyn Cause + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error and its causes; a cause that its effect already tells is left out.
pub(crate) fn chain(error: &(dyn Cause + 'static)) -> String {
    causes(error).fold(String::new(), |text, cause| {
        let more = cause.to_string();
        match text.as_str() {
            "" => more,
            told if told.contains(&more) => text,
            told => format!("{told}: {more}"),
        }
    })
}

#[cfg(test)]
mod tests;
