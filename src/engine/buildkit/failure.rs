//! Makes of BuildKit's errors failures that a person can mend.

use std::sync::LazyLock;

use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::pb;
use prost::Message;
use regex::Regex;
use tonic::{Code, Status};

use super::progress::{JobProgress, StepProgress};
use crate::engine::{Error, SolveError};
use crate::image::solve::{Solve, Start};
use crate::model::digest::sha256;
use crate::model::event::{Excerpt, Failure};

static EXIT_CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"exit code: (\d+)"));
static LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"parse error (?:on )?line (\d+)"));
static MISSING: LazyLock<Regex> = LazyLock::new(|| pattern(r#""([^"]+)"?:? not found"#));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed pattern")
}

/// What BuildKit puts before the cause, layer by layer.
const WRAPPINGS: [&str; 6] = [
    "failed to solve with frontend dockerfile.v0: ",
    "failed to solve with frontend gateway.v0: ",
    "failed to create LLB definition: ",
    "failed to solve: ",
    "failed to compute cache key: ",
    "failed to calculate checksum of ref ",
];

/// Words of a registry or the network that failed, and what to do.
const NETWORK: [(&str, &str); 12] = [
    ("pull access denied", "check the name; if it is private, log in with `docker login`"),
    ("unauthorized", "log in to the registry with `docker login`"),
    ("failed to authorize", "log in to the registry with `docker login`"),
    (
        "x509: ",
        "the registry's certificate is not trusted by the engine; its CA belongs into /etc/docker/certs.d on the engine's machine",
    ),
    ("toomanyrequests", "the registry limits pulls; log in with `docker login`, or wait"),
    ("429 Too Many Requests", "the registry limits pulls; log in with `docker login`, or wait"),
    ("no such host", "the engine cannot resolve the registry's name; check its network"),
    ("dial tcp", "the engine cannot reach the registry; check its network"),
    ("failed to do request", "the engine cannot reach the registry; check its network"),
    ("i/o timeout", "the registry does not answer; try again"),
    ("TLS handshake timeout", "the registry does not answer; try again"),
    ("no active session", "the connection to the engine was lost; try again"),
];

/// Words of other failures, and what to do.
const HELP: [(&str, &str); 4] = [
    (
        "no space left on device",
        "the engine's disk is full; remove images that nobody uses with `docker image rm`",
    ),
    ("failed to walk", "check that the context can be read"),
    ("changed while it was ", "build again when nothing writes into the context"),
    ("secret", "give its file with `--secret ID=FILE`"),
];

/// What went wrong, from the status that a call ended with and what was seen.
pub(super) fn explain(solve: &Solve, status: &Status, progress: &JobProgress) -> SolveError {
    if let Some(error) = broken(&format!("build {}", solve.node), status) {
        return SolveError::Engine(error);
    }
    if status.code() == Code::Cancelled && progress.failed().is_none() {
        return SolveError::Cancelled;
    }
    SolveError::Failed(Box::new(failure(solve, status, progress)))
}

/// The error of a call that is not a build.
pub(super) fn refused(action: &str, status: &Status) -> Error {
    broken(action, status).unwrap_or_else(|| Error::Refused {
        action: action.to_owned(),
        message: unwrapped(status.message()).to_owned(),
    })
}

/// Whether the connection broke.
pub(super) fn is_broken(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// A status that BuildKit sent has no source; one that says that nothing came
/// back has the connection's error as its source.
fn broken(action: &str, status: &Status) -> Option<Error> {
    let mut cause = std::error::Error::source(status)?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(Error::Broken { action: action.to_owned(), cause: cause.to_string() })
}

fn failure(solve: &Solve, status: &Status, progress: &JobProgress) -> Failure {
    let failed = progress.failed();
    let text = unwrapped(status.message());
    let error = failed.map_or("", |step| step.error.as_str());
    let exit_code = [text, error].iter().find_map(|t| number(&EXIT_CODE, t));
    let (help, engine) = if exit_code.is_some() { (None, false) } else { advice(solve, text, failed) };
    let output = failed.map(StepProgress::output).unwrap_or_default();
    let from_output = || output_help(&output).or_else(|| exit_code.and_then(exit_help)).map(str::to_owned);
    Failure {
        help: help.or_else(from_output),
        message: exit_code
            .map_or_else(|| text.to_owned(), |code| format!("step failed with exit code {code}")),
        step: failed.map(|step| step.name.clone()),
        exit_code,
        excerpt: excerpt(solve, status, progress),
        output,
        engine,
        check: false,
    }
}

fn unwrapped(mut text: &str) -> &str {
    while let Some(rest) = WRAPPINGS.iter().find_map(|w| text.strip_prefix(w)) {
        text = rest;
    }
    text
}

fn number(pattern: &Regex, text: &str) -> Option<i32> {
    pattern.captures(text)?.get(1)?.as_str().parse().ok()
}

/// What programs print where the site's CA is not known: Python, OpenSSL,
/// curl and git, apt.
const UNTRUSTED: [&str; 4] = [
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "SSL certificate problem",
    "The certificate is NOT trusted",
];

/// What to do, by the step's own output.
fn output_help(output: &[String]) -> Option<&'static str> {
    let says = |words: &str| output.iter().any(|line| line.contains(words));
    if UNTRUSTED.into_iter().any(says) {
        return Some(
            "behind a proxy that inspects TLS, give the site's CA: `--ca-bundle FILE` or `build.ca_bundle` \
             in the spec; a Dockerfile's RUN mounts it as secret `ca`",
        );
    }
    if says("Cannot find command 'git'") {
        return Some("pip fetches from git with the image's own: add it with `packages: {apt: [git]}`");
    }
    says("No space left on device").then_some("the disk or a limit of the step is full")
}

fn exit_help(code: i32) -> Option<&'static str> {
    match code {
        137 => Some("the step was killed, most often for want of memory"),
        126 => Some("the command cannot be executed: check its mode and its first line"),
        127 => Some("the command is not in the image: check its name and PATH"),
        _ => None,
    }
}

/// What to do, and whether it is the engine's or registry's trouble.
fn advice(solve: &Solve, text: &str, failed: Option<&StepProgress>) -> (Option<String>, bool) {
    if let Some((_, help)) = NETWORK.iter().find(|(words, _)| text.contains(words)) {
        return (Some((*help).to_owned()), true);
    }
    let looks_up = failed
        .is_some_and(|step| ["load metadata for ", "docker-image://"].iter().any(|w| step.name.contains(w)));
    if looks_up && text.ends_with("not found") {
        let help = "the engine's store and the registry have no such image: check its name and tag";
        return (Some(help.to_owned()), true);
    }
    if let (Start::Dockerfile(build), Some(path)) = (&solve.start, MISSING.captures(text)) {
        let help = format!(
            "`{}` is not in the context {}: check the path, and whether `.dockerignore` leaves it out",
            path[1].trim_start_matches('/'),
            build.context.root.display()
        );
        return (Some(help), false);
    }
    (HELP.iter().find(|(words, _)| text.contains(words)).map(|(_, help)| (*help).to_owned()), false)
}

fn excerpt(solve: &Solve, status: &Status, progress: &JobProgress) -> Option<Excerpt> {
    let Start::Dockerfile(build) = &solve.start else { return None };
    let lines = ranges(status)
        .or_else(|| progress.failed().and_then(|step| located(progress.source.as_ref()?, &step.id)))
        .or_else(|| number(&LINE, status.message()).map(|n| (n as usize, n as usize)))?;
    Some(Excerpt { path: build.path.clone(), lines, text: build.dockerfile.to_string() })
}

/// The lines that a step of this id comes from, by the definition's own map.
fn located(source: &pb::Source, id: &str) -> Option<(usize, usize)> {
    // BuildKit renames a step that must not come from the cache while the same
    // step is under way for somebody else.
    let locations = source.locations.get(id).or_else(|| {
        let renamed = |digest: &String| sha256(format!("{digest}-ignorecache").as_bytes()) == id;
        source.locations.iter().find(|(digest, _)| renamed(digest)).map(|(_, l)| l)
    })?;
    span(&locations.locations.first()?.ranges)
}

fn span(ranges: &[pb::Range]) -> Option<(usize, usize)> {
    let line = |position: &Option<pb::Position>| position.as_ref().map(|p| p.line as usize);
    let first = ranges.iter().filter_map(|r| line(&r.start)).min()?;
    let last = ranges.iter().filter_map(|r| line(&r.end)).max().unwrap_or(first);
    (first > 0).then_some((first, last.max(first)))
}

/// BuildKit's `errdefs.Source`; the crate of generated messages lacks it.
#[derive(Clone, PartialEq, ::prost::Message)]
struct Source {
    #[prost(message, repeated, tag = "2")]
    ranges: Vec<pb::Range>,
}

/// The lines that newer engines name in the details of an error, as JSON or
/// as a message.
fn ranges(status: &Status) -> Option<(usize, usize)> {
    let details = rpc::Status::decode(status.details()).ok()?.details;
    let source = details.iter().find(|d| d.type_url.contains("errdefs.Source"))?;
    if source.value.first() != Some(&b'{') {
        return span(&Source::decode(source.value.as_slice()).ok()?.ranges);
    }
    let json: serde_json::Value = serde_json::from_slice(&source.value).ok()?;
    let position = |v: &serde_json::Value| {
        v.get("line")
            .and_then(serde_json::Value::as_i64)
            .map(|n| pb::Position { line: n as i32, character: 0 })
    };
    let range = |v: &serde_json::Value| pb::Range {
        start: v.get("start").and_then(position),
        end: v.get("end").and_then(position),
    };
    span(&json.get("ranges")?.as_array()?.iter().map(range).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
