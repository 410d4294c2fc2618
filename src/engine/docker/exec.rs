//! Programs in running containers, and what containers wrote.
//!
//! bollard guesses from the first byte of each piece whether a stream has
//! frames, and holds lines back until they end. Here the container is asked,
//! and bytes go on as they come.

use std::time::Duration;

use bollard::Docker;
use bollard::exec::CreateExecOptions;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use hyper_util::rt::TokioIo;

use super::client::{LONGEST_CALL, failed};
use crate::engine::http::{self, ByteStream, HttpRefusal, byte_stream};
use crate::engine::{Attached, Chunk, Error, Exec, Logs};

pub(crate) async fn logs(
    client: &Docker,
    http: &http::Client,
    container: &str,
    logs: &Logs,
) -> Result<BoxStream<'static, Result<Chunk, Error>>, Error> {
    let action = format!("read what container `{container}` wrote");
    let found = client.inspect_container(container, None).await;
    let found = found.map_err(|e| failed(&action, e))?;
    let tty = found.config.and_then(|config| config.tty).unwrap_or_default();
    let (version, id) = (client.client_version(), found.id.unwrap_or_default());
    let mut path = format!("/v{version}/containers/{id}/logs?stdout=1&stderr=1");
    if let Some(tail) = logs.tail {
        path += &format!("&tail={tail}");
    }
    if let Some(since) = logs.since {
        path += &format!("&since={since}");
    }
    for (name, _) in [("timestamps", logs.timestamps), ("follow", logs.follow)].iter().filter(|(_, on)| *on) {
        path += &format!("&{name}=1");
    }
    let pieces = answer(&action, http.get(&path)).await?;
    Ok(chunks(pieces, tty, action))
}

pub(crate) async fn attach(
    client: &Docker,
    http: &http::Client,
    container: &str,
    exec: &Exec,
) -> Result<Attached, Error> {
    let action = format!("run a program in container `{container}`");
    let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let options = CreateExecOptions {
        attach_stdin: Some(exec.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(exec.tty),
        env: (!exec.env.is_empty()).then(|| exec.env.clone()),
        cmd: Some(exec.command.clone()),
        user: set(&exec.user),
        working_dir: set(&exec.workdir),
        ..CreateExecOptions::default()
    };
    let created = client.create_exec(container, options).await;
    let id = created.map_err(|e| failed(&action, e))?.id;
    let json = serde_json::json!({ "Detach": false, "Tty": exec.tty }).to_string();
    let start = Request::builder()
        .uri(format!("/v{}/exec/{id}/start", client.client_version()))
        .header(CONTENT_TYPE, "application/json");
    let upgraded = answer(&action, http.upgrade(start, "tcp", json)).await?;
    // Shutting the input down does not touch what comes.
    let (output, input) = tokio::io::split(TokioIo::new(upgraded));
    let output = chunks(byte_stream(output), exec.tty, action);
    Ok(Attached { id, input: Box::new(input), output })
}

async fn answer<T>(
    action: &str,
    asked: impl Future<Output = Result<Result<T, HttpRefusal>, Error>>,
) -> Result<T, Error> {
    let action = action.to_owned();
    match tokio::time::timeout(Duration::from_secs(LONGEST_CALL), asked).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(HttpRefusal { message, .. }))) => Err(Error::Refused { action, message }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Broken { action, cause: format!("no answer within {} s", LONGEST_CALL) }),
    }
}

/// A terminal writes one stream of bytes; without one there are frames.
fn chunks(pieces: ByteStream, tty: bool, action: String) -> BoxStream<'static, Result<Chunk, Error>> {
    let mut frames = (!tty).then(Frames::default);
    let chunks = pieces.flat_map(move |piece| {
        let broken = |cause: String| Error::Broken { action: action.clone(), cause };
        let chunks = match (piece, &mut frames) {
            (Err(error), _) => vec![Err(broken(error.to_string()))],
            (Ok(bytes), None) => vec![Ok(Chunk { stderr: false, bytes })],
            (Ok(bytes), Some(frames)) => match frames.push(&bytes) {
                Ok(chunks) => chunks.into_iter().map(Ok).collect(),
                Err(cause) => vec![Err(broken(cause))],
            },
        };
        stream::iter(chunks)
    });
    // Nothing that stands behind an error can be trusted.
    chunks
        .scan(false, |broken, chunk| {
            let ended = std::mem::replace(broken, chunk.is_err());
            std::future::ready((!ended).then_some(chunk))
        })
        .boxed()
}

/// A byte that says which stream, three of nothing, the length in four.
const HEAD: usize = 8;

/// Takes the frames apart in which an engine sends two streams over one: a
/// head, then so many bytes. They come in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The beginning of a head.
    head: Vec<u8>,
    /// Bytes of the frame that are still to come.
    left: usize,
    stderr: bool,
}

impl Frames {
    /// What the next bytes hold; a long frame is not waited for.
    ///
    /// # Errors
    /// That are no frames.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Chunk>, String> {
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            if self.left > 0 {
                let (now, later) = bytes.split_at(self.left.min(bytes.len()));
                chunks.push(Chunk { stderr: self.stderr, bytes: now.to_vec() });
                self.left -= now.len();
                bytes = later;
                continue;
            }
            let (now, later) = bytes.split_at((HEAD - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(now);
            bytes = later;
            if let [stream, 0, 0, 0, a, b, c, d] = self.head[..] {
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                // 3 is the engine's own word on what went wrong.
                self.stderr = match stream {
                    0 | 1 => false,
                    2 | 3 => true,
                    other => return Err(format!("a frame of an unknown stream {other}")),
                };
                self.head.clear();
            } else if self.head.len() == HEAD {
                return Err("what came is not in frames".into());
            }
        }
        Ok(chunks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(stream: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], bytes].concat()
    }

    #[test]
    fn a_frame_in_two_pieces_goes_on_as_it_comes() {
        let mut frames = Frames::default();
        let whole = frame(2, b"abcdef");
        assert_eq!(frames.push(&whole[..10]).unwrap(), [Chunk { stderr: true, bytes: b"ab".to_vec() }]);
        assert_eq!(frames.push(&whole[10..]).unwrap(), [Chunk { stderr: true, bytes: b"cdef".to_vec() }]);
    }

    #[test]
    fn what_is_not_in_frames_is_told_and_not_taken_for_some() {
        assert!(Frames::default().push(b"root@x:/# ls").is_err());
        assert!(Frames::default().push(&frame(7, b"x")).is_err());
        assert_eq!(Frames::default().push(&frame(1, b"")).unwrap(), []);
    }

    proptest! {
        #[test]
        fn both_streams_come_out_whole_however_they_are_cut(
            wrote in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            cuts in prop::collection::vec(1usize..30, 1..40),
        ) {
            let sent: Vec<u8> = wrote.iter().flat_map(|(e, bytes)| frame(1 + u8::from(*e), bytes)).collect();
            let (mut frames, mut rest, mut got) = (Frames::default(), &sent[..], [Vec::new(), Vec::new()]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                for chunk in frames.push(now).unwrap() {
                    got[usize::from(chunk.stderr)].extend(chunk.bytes);
                }
                rest = later;
            }
            for stderr in [false, true] {
                let bytes = wrote.iter().filter(|(e, _)| *e == stderr).flat_map(|(_, bytes)| bytes.clone());
                prop_assert_eq!(&got[usize::from(stderr)], &bytes.collect::<Vec<_>>());
            }
        }
    }
}
