//! Answers that are bytes without an end in sight: what a program writes, and
//! streams on which a program is spoken with.

use std::io;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http_body_util::{BodyExt, BodyStream, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::{chain, request};
use crate::engine::Error;
use crate::engine::address::Address;

/// What came, piece by piece.
pub(crate) type Pieces = BoxStream<'static, io::Result<Vec<u8>>>;

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// Longest refusal that is read.
const LONGEST: usize = 64 << 10;

/// An engine's own words for why it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declined(pub(crate) String);

/// Gets a path whose answer may go on for ever.
///
/// # Errors
/// As for [`request`]; inside, what the engine says instead.
pub(crate) async fn get(address: &Address, path: &str) -> Result<Result<Pieces, Declined>, Error> {
    let asked = Request::get(path).body(Empty::<Bytes>::new()).map_err(|e| unasked(address, &e))?;
    let answer = request(address, asked).await?;
    if !answer.status().is_success() {
        return Ok(Err(declined(answer).await));
    }
    let frames = BodyStream::new(answer.into_body()).filter_map(|frame| async move {
        match frame {
            Ok(frame) => frame.into_data().ok().map(|data| Ok(data.to_vec())),
            Err(error) => Some(Err(io::Error::other(chain(&error)))),
        }
    });
    Ok(Ok(frames.boxed()))
}

/// Posts JSON to a path and goes on with the stream alone: what comes on it,
/// and what is sent. Shutting the second down is the end of what is sent; what
/// comes is not touched by that.
///
/// # Errors
/// As for [`get`].
pub(crate) async fn upgrade(
    address: &Address,
    path: &str,
    json: String,
) -> Result<Result<(Pieces, Box<dyn AsyncWrite + Send + Unpin>), Declined>, Error> {
    let asked = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "tcp")
        .body(Full::new(Bytes::from(json)))
        .map_err(|e| unasked(address, &e))?;
    let answer = request(address, asked).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Err(declined(answer).await));
    }
    match hyper::upgrade::on(answer).await {
        Ok(upgraded) => {
            let (read, write) = tokio::io::split(TokioIo::new(upgraded));
            Ok(Ok((pieces(read), Box::new(write))))
        }
        Err(error) => Ok(Err(Declined(chain(&error)))),
    }
}

fn pieces(read: impl AsyncRead + Send + Unpin + 'static) -> Pieces {
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
async fn declined(answer: Response<Incoming>) -> Declined {
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), LONGEST).collect().await;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let said = json.as_ref().and_then(|json| json["message"].as_str()).map(str::to_owned);
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(&bytes).trim().to_owned());
    Declined(if said.is_empty() { format!("it answers {status}") } else { said })
}

fn unasked(address: &Address, error: &hyper::http::Error) -> Error {
    Error::Unreachable { address: address.to_string(), cause: error.to_string() }
}
