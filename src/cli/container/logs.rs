//! `container logs`.

use clap::Args;
use futures::StreamExt;
use jiff::{SpanRelativeTo, Timestamp, Unit};
use serde::Serialize;

use super::{Access, now};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::cli::signals;
use crate::container::permission::Action;
use crate::engine::{Chunk, Logs};
use crate::ui::Output;

pub(super) const EXAMPLES: &str = "Examples:
  ds01-build container logs thesis
  ds01-build container logs thesis --tail 20 --follow
  ds01-build container logs thesis --since 10m --timestamps
  ds01-build container logs thesis --json | jq -r 'select(.stream == \"stderr\").line'

It is what the container's own program wrote; what is run by `enter` is not kept. What the
program wrote to its standard error comes to standard error; a program with a terminal has one
output only. --json writes an object a line. Containers of your own, of other tools too.";

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// A container: `thesis`, its whole name `thesis._.1722830498`, or its id
    container: String,
    /// Only the last lines
    #[arg(long, short = 'n', value_name = "N")]
    tail: Option<u32>,
    /// Only what was written since: `10m`, `2h`, `3d`, or a time `2026-07-01T12:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Go on with what it writes from now on, until it ends or Ctrl-C
    #[arg(long)]
    follow: bool,
    /// With the time before each line
    #[arg(long, short)]
    timestamps: bool,
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// Seconds before now.
    Ago(i64),
    /// Seconds since 1970.
    At(i64),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Since::At(at.as_second()));
    }
    let span = text.parse::<jiff::Span>().ok().filter(|span| !span.is_negative());
    let seconds = span.and_then(|span| span.total((Unit::Second, SpanRelativeTo::days_are_24_hours())).ok());
    let seconds = seconds.map(|seconds| Since::Ago(seconds as i64));
    seconds.ok_or_else(|| "say `10m`, `2h`, `3d`, or a time like `2026-07-01T12:00:00Z`".into())
}

pub(crate) async fn run(session: &Session, args: &LogsArgs) -> Result<Exit, CliError> {
    // Ctrl-C ends it with the code of that.
    signals::listen()?;
    let access = Access::new(session).await?;
    let container = access.may(Action::Logs, &args.container, false)?;
    let mut chunks = access.engine.logs(&container.id, &options(args)).await?;
    let mut output = session.output();
    let mut lines = Lines::default();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if session.json {
            lines.push(&chunk, &mut output);
        } else {
            output.bytes(chunk.stderr, &chunk.bytes);
        }
        if output.is_closed() {
            break;
        }
    }
    if session.json {
        lines.finish(&mut output);
    }
    output.finish()?;
    Ok(Exit::Done)
}

fn options(args: &LogsArgs) -> Logs {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_or_a_time_says_since_when() {
        for (text, means) in [
            ("10m", Since::Ago(600)),
            ("90s", Since::Ago(90)),
            ("1h30m", Since::Ago(5400)),
            ("3d", Since::Ago(259_200)),
            ("1970-01-01T00:01:00Z", Since::At(60)),
            ("1970-01-01T01:00:00+01:00", Since::At(0)),
        ] {
            assert_eq!(since(text), Ok(means), "{text}");
        }
        for text in ["", "10", "yesterday", "-5m", "2026-07-01"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
