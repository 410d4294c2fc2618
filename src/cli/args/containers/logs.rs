//! What `container logs` takes.

use clap::Args;
use jiff::{SpanRelativeTo, Timestamp, Unit};

pub(crate) const EXAMPLES: &str = "Examples:
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
    pub(crate) container: String,
    /// Only the last lines
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) tail: Option<u32>,
    /// Only what was written since: `10m`, `2h`, `3d`, or a time `2026-07-01T12:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Go on with what it writes from now on, until it ends or Ctrl-C
    #[arg(long)]
    pub(crate) follow: bool,
    /// With the time before each line
    #[arg(long, short)]
    pub(crate) timestamps: bool,
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
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
