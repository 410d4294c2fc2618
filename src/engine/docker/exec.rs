//! Programs in running containers, and what containers wrote.
//!
//! bollard guesses from the first byte of each piece whether a stream has
//! frames, and holds lines back until they end. Here the container is asked,
//! and bytes go on as they come.

use std::time::Duration;

use bollard::Docker;
use bollard::exec::{CreateExecOptions, ResizeExecOptions};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::fault::Fault;
use super::frames::Frames;
use crate::engine::address::Address;
use crate::engine::stream::raw::{self, Declined, Pieces};
use crate::engine::{Attached, Chunk, Error, Exec, Logs};

/// An engine, as it is asked here.
pub(crate) struct Wire<'a> {
    pub(crate) client: &'a Docker,
    pub(crate) fault: &'a Fault,
    pub(crate) address: &'a Address,
}

impl Wire<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/v{}{rest}", self.client.client_version())
    }
}

pub(crate) async fn logs(
    wire: &Wire<'_>,
    container: &str,
    logs: &Logs,
) -> Result<BoxStream<'static, Result<Chunk, Error>>, Error> {
    let action = format!("read what container `{container}` wrote");
    let found = wire.client.inspect_container(container, None).await;
    let found = found.map_err(|e| wire.fault.calling(&action, e))?;
    let tty = found.config.and_then(|config| config.tty).unwrap_or_default();
    let mut path = format!("/containers/{}/logs?stdout=1&stderr=1", found.id.unwrap_or_default());
    if let Some(tail) = logs.tail {
        path += &format!("&tail={tail}");
    }
    if let Some(since) = logs.since {
        path += &format!("&since={since}");
    }
    for (name, _) in [("timestamps", logs.timestamps), ("follow", logs.follow)].iter().filter(|(_, on)| *on) {
        path += &format!("&{name}=1");
    }
    let pieces = answer(&action, raw::get(wire.address, &wire.path(&path))).await?;
    Ok(chunks(pieces, tty, action))
}

pub(crate) async fn attach(wire: &Wire<'_>, container: &str, exec: &Exec) -> Result<Attached, Error> {
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
    let made = wire.client.create_exec(container, options).await;
    let id = made.map_err(|e| wire.fault.calling(&action, e))?.id;
    let json = serde_json::json!({ "Detach": false, "Tty": exec.tty }).to_string();
    let path = wire.path(&format!("/exec/{id}/start"));
    let (pieces, input) = answer(&action, raw::upgrade(wire.address, &path, json)).await?;
    Ok(Attached { id, input, output: chunks(pieces, exec.tty, action) })
}

pub(crate) async fn resize(wire: &Wire<'_>, exec: &str, columns: u16, rows: u16) -> Result<(), Error> {
    let size = ResizeExecOptions { width: columns, height: rows };
    let done = wire.client.resize_exec(exec, size).await;
    done.map_err(|e| wire.fault.calling("tell a program the size of its terminal", e))
}

pub(crate) async fn ended(wire: &Wire<'_>, exec: &str) -> Result<Option<i64>, Error> {
    let found = wire.client.inspect_exec(exec).await;
    let found = found.map_err(|e| wire.fault.calling("ask how a program ended", e))?;
    Ok(found.exit_code.filter(|_| found.running != Some(true)))
}

async fn answer<T>(
    action: &str,
    asked: impl Future<Output = Result<Result<T, Declined>, Error>>,
) -> Result<T, Error> {
    let action = action.to_owned();
    match tokio::time::timeout(Duration::from_secs(super::PATIENCE), asked).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(Declined(message)))) => Err(Error::Refused { action, message }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Broken { action, cause: format!("no answer within {} s", super::PATIENCE) }),
    }
}

/// A terminal writes one stream of bytes; without one there are frames.
fn chunks(pieces: Pieces, tty: bool, action: String) -> BoxStream<'static, Result<Chunk, Error>> {
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
            let told = std::mem::replace(broken, chunk.is_err());
            std::future::ready((!told).then_some(chunk))
        })
        .boxed()
}
