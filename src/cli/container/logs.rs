//! `container logs`.

use futures::StreamExt;
use jiff::Timestamp;
use serde::Serialize;

use super::Access;
use crate::cli::args::{LogsArgs, Since};
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::cli::signals;
use crate::container::permission::Action;
use crate::engine::{Chunk, Logs};
use crate::ui::Output;

pub(crate) async fn run(settings: &Settings, args: &LogsArgs) -> Result<Exit, CliError> {
    // Ctrl-C ends it with the code of that.
    signals::listen().map_err(|e| CliError::bug(format!("no signal handlers: {e}")))?;
    let access = Access::new(settings).await?;
    let container = access.may(Action::Logs, &args.container, false)?;
    let mut chunks = access.engine.logs(&container.id, &options(args)).await?;
    let mut output = settings.output();
    let mut lines = Lines::default();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if settings.json {
            lines.push(&chunk, &mut output);
        } else {
            output.bytes(chunk.stderr, &chunk.bytes);
        }
        if output.is_closed() {
            break;
        }
    }
    if settings.json {
        lines.finish(&mut output);
    }
    output.finish()?;
    Ok(Exit::Done)
}

fn options(args: &LogsArgs) -> Logs {
    #[expect(clippy::disallowed_methods, reason = "`--since 10m` is counted from now")]
    let now = || Timestamp::now().as_second();
    let since = args.since.map(|since| match since {
        Since::Ago(seconds) => now().saturating_sub(seconds),
        Since::At(second) => second,
    });
    Logs { tail: args.tail, since, timestamps: args.timestamps, follow: args.follow }
}

/// One line, for programs.
#[derive(Serialize)]
struct Line<'a> {
    stream: &'static str,
    line: &'a str,
}

/// Puts lines together that came in pieces.
#[derive(Default)]
struct Lines {
    /// The beginnings of a line of each stream.
    partial: [Vec<u8>; 2],
}

impl Lines {
    fn push(&mut self, chunk: &Chunk, output: &mut Output) {
        let partial = &mut self.partial[usize::from(chunk.stderr)];
        partial.extend_from_slice(&chunk.bytes);
        while let Some(end) = partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = partial.drain(..=end).collect();
            write_line(chunk.stderr, &line[..end], output);
        }
    }

    fn finish(self, output: &mut Output) {
        for (line, stderr) in self.partial.iter().zip([false, true]).filter(|(line, _)| !line.is_empty()) {
            write_line(stderr, line, output);
        }
    }
}

fn write_line(stderr: bool, line: &[u8], output: &mut Output) {
    let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
    let value = Line { stream: if stderr { "stderr" } else { "stdout" }, line: &line };
    match serde_json::to_string(&value) {
        Ok(text) => output.bytes(false, format!("{text}\n").as_bytes()),
        Err(_) => output.value(&value),
    }
}
