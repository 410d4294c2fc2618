//! HTTP to an engine: the one way in for both halves, the engine's interface
//! and its BuildKit, so that both trust the same certificates and fail with the
//! same words. Knows nothing of what is asked.
//!
//! Connections are kept and used again. Not those that change their protocol:
//! each of them is opened for one request.

mod dial;
mod ssh;
#[cfg(test)]
mod tests;

use std::error::Error as Cause;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, BodyStream, Empty, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue, UPGRADE};
use hyper::http::{Extensions, request};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt};

use self::dial::{Dialer, Stream};
use super::Error;
use super::address::Address;
use crate::model::problem::chain;

/// How long an engine may take for a connection, and for its first answer on
/// one. What it is asked to do afterwards may take longer.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// A connection on which nothing was asked for so long is not used again:
/// proxies close theirs after some time, and a request that crosses with that
/// may be lost.
const KEPT: Duration = Duration::from_secs(15);

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// Longest refusal that is read.
const LONGEST: usize = 64 << 10;

type BoxedCause = Box<dyn Cause + Send + Sync>;
type AnyBody = UnsyncBoxBody<Bytes, BoxedCause>;

/// Bytes without an end in sight, as they come.
pub(crate) type ByteStream = BoxStream<'static, io::Result<Vec<u8>>>;

/// An engine's own words for why it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpRefusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

/// Whether a connection has answered before: then it may have come to its end
/// since.
#[derive(Clone, Debug, Default)]
struct ConnectionUse(Arc<AtomicBool>);

/// A client of one engine. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Client {
    dialer: Dialer,
    pool: legacy::Client<Dialer, AnyBody>,
}

impl Client {
    /// Connects at the first request.
    pub(crate) fn new(address: &Address) -> Self {
        let dialer = Dialer::new(address);
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT)
            .build(dialer.clone());
        Self { dialer, pool }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.dialer.address
    }

    /// Sends a request, on a kept connection if there is one. Waits for the
    /// answer as long as it takes.
    ///
    /// What only reads is sent once more if a kept connection ended without an
    /// answer; anything else only if it was not sent at all, which the pool
    /// sees to.
    ///
    /// # Errors
    /// `Unreachable` when nobody is there or the stream ends before the answer,
    /// `Certificates` when the sides do not trust each other.
    pub(crate) async fn request<B>(&self, request: Request<B>) -> Result<Response<Incoming>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxedCause>,
    {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("http://{}{path}", self.dialer.authority());
        head.uri = uri.parse::<Uri>().map_err(|e| self.dialer.explain(&e))?;
        let again = (head.method.is_safe() && body.is_end_stream()).then(|| head.clone());
        let body = body.map_err(Into::into).boxed_unsync();
        match self.pool.request(Request::from_parts(head, body)).await {
            Ok(answer) => {
                if let Some(answered) = answer.extensions().get::<ConnectionUse>() {
                    answered.0.store(true, Ordering::Relaxed);
                }
                Ok(answer)
            }
            Err(error) => match again.filter(|_| has_answered(&error)) {
                Some(head) => self.request_alone(Request::from_parts(head, Empty::new())).await,
                None => Err(self.dialer.explain(&error)),
            },
        }
    }

    /// Sends a request on a connection of its own, which may change its
    /// protocol; errors as for [`Client::request`].
    async fn request_alone<B>(&self, mut request: Request<B>) -> Result<Response<Incoming>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxedCause>,
    {
        // A server is asked for a path; whole addresses are for proxies.
        if let Some(path) = request.uri().path_and_query().cloned() {
            *request.uri_mut() = Uri::from(path);
        }
        if let Ok(host) = HeaderValue::try_from(self.dialer.authority()) {
            request.headers_mut().insert(HOST, host);
        }
        send(self.dialer.open().await?, request).await.map_err(|e| self.dialer.explain(&e))
    }

    /// The headers of an answer, whatever else it says.
    ///
    /// # Errors
    /// As for [`Client::request`]. This is for the first request, since on a
    /// connection of its own it is always known why a server refuses.
    pub(crate) async fn headers(&self, path: &'static str) -> Result<HeaderMap, Error> {
        let mut get = Request::new(Empty::<Bytes>::new());
        *get.uri_mut() = Uri::from_static(path);
        Ok(self.request_alone(get).await?.into_parts().0.headers)
    }

    /// Gets a path whose answer may go on for ever.
    ///
    /// # Errors
    /// As for [`Client::request`]; inside, what the engine says instead.
    pub(crate) async fn get(&self, path: &str) -> Result<Result<ByteStream, HttpRefusal>, Error> {
        let get = Request::get(path).body(Empty::<Bytes>::new()).map_err(|e| self.dialer.explain(&e))?;
        let answer = self.request(get).await?;
        if !answer.status().is_success() {
            return Ok(Err(refusal(answer).await));
        }
        let frames = BodyStream::new(answer.into_body()).filter_map(|frame| async move {
            match frame {
                Ok(frame) => frame.into_data().ok().map(|data| Ok(data.to_vec())),
                Err(error) => Some(Err(io::Error::other(chain(&error)))),
            }
        });
        Ok(Ok(frames.boxed()))
    }

    /// Posts a request and goes on with the connection's bytes alone, which are
    /// of `protocol`.
    ///
    /// # Errors
    /// As for [`Client::request`]; inside, what the engine says instead.
    pub(crate) async fn upgrade(
        &self,
        request: request::Builder,
        protocol: &str,
        json: String,
    ) -> Result<Result<Upgraded, HttpRefusal>, Error> {
        let request = request
            .method("POST")
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, protocol)
            .body(Full::new(Bytes::from(json)))
            .map_err(|e| self.dialer.explain(&e))?;
        let answer = self.request_alone(request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Err(refusal(answer).await));
        }
        hyper::upgrade::on(answer).await.map(Ok).map_err(|e| self.dialer.explain(&e))
    }
}

fn has_answered(error: &legacy::Error) -> bool {
    let mut extensions = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extensions);
    }
    extensions.get::<ConnectionUse>().is_some_and(|answered| answered.0.load(Ordering::Relaxed))
}

async fn send<B>(
    stream: impl Stream + 'static,
    request: Request<B>,
) -> Result<Response<Incoming>, hyper::Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxedCause>,
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

/// What comes on a connection that changed its protocol.
pub(crate) fn byte_stream(read: impl AsyncRead + Send + Unpin + 'static) -> ByteStream {
    let next = |mut read| async move {
        let mut piece = Vec::with_capacity(PIECE);
        Some(match AsyncReadExt::read_buf(&mut read, &mut piece).await {
            Ok(0) => return None,
            Ok(_) => (Ok(piece), read),
            Err(error) => (Err(error), read),
        })
    };
    stream::unfold(read, next).boxed()
}

/// `{"message": "…"}`, else what is written there.
async fn refusal(answer: Response<Incoming>) -> HttpRefusal {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST).collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let message = json.as_ref().and_then(|json| json["message"].as_str()).map(str::to_owned);
    let message = message.unwrap_or_else(|| String::from_utf8_lossy(&bytes).trim().to_owned());
    HttpRefusal { status, message: if message.is_empty() { format!("it answers {status}") } else { message } }
}
