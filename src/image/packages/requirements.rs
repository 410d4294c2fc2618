//! The grammar of requirements files: what one file says, line by line, by
//! pip's rules. Opens no file: files that it names are given by their path.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::pip::{AllowedAddresses, is_from_git, parse_pip_from};
use crate::model::digest::is_hex;
use crate::model::problem::short;

/// What stands before the hashes of a requirement.
pub(super) const HASH: &str = " --hash=";

/// pip reads `${NAME}` from the environment of whoever runs it.
static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{[A-Z0-9_]+\}").expect("a fixed pattern"));

/// One logical line: what a line that ends in `\` begins goes on in the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequirementLine {
    /// Bytes of the file: the first of its lines, without blanks around it.
    pub(crate) span: Range<usize>,
    /// What it says, or what is wrong with it.
    pub(crate) content: Result<LineContent, LineError>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LineContent {
    /// A requirement in normal form, its hashes behind it.
    Requirement(String),
    /// Another file, relative to this one.
    File { path: String, constraints: bool },
    /// `--require-hashes`.
    RequireHashes,
}

/// What is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineError {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl LineError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// The text of a file: UTF-8, or what its byte order mark says, as pip reads
/// it (`pip/_internal/utils/encoding.py`). PowerShell writes UTF-16 with a mark.
/// `None`: it is not such a text.
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let pairs = rest.chunks(2).map(|pair| Some(unit(pair.try_into().ok()?)));
        String::from_utf16(&pairs.collect::<Option<Vec<_>>>()?).ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// The lines of a file that say something. `constraints`: it was named with
/// `-c`.
pub(crate) fn lines(text: &str, constraints: bool, allowed: &AllowedAddresses) -> Vec<RequirementLine> {
    let said = logical(text).into_iter().map(|(span, line)| (span, without_comment(&line).to_owned()));
    let said = said.filter(|(_, line)| !line.is_empty());
    said.map(|(span, line)| RequirementLine { span, content: content(&line, constraints, allowed) }).collect()
}

/// Lines joined where one ends in `\`; a comment ends what went on.
fn logical(text: &str) -> Vec<(Range<usize>, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(Range<usize>, String)> = None;
    let mut start = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\n', '\r']);
        let from = start + (line.len() - line.trim_start().len());
        let span = from..from.max(start + line.trim_end().len());
        start += whole.len();
        let comment = line.trim_start().starts_with('#');
        if line.ends_with('\\') && !comment {
            open.get_or_insert((span, String::new())).1 += line.trim_matches('\\');
            continue;
        }
        // With a blank before it a comment stays one behind what it ends.
        let line = if comment { format!(" {line}") } else { line.to_owned() };
        lines.push(match open.take() {
            Some((first, begun)) => (first, begun + &line),
            None => (span, line),
        });
    }
    lines.extend(open);
    lines
}

/// A comment begins at a `#` that nothing or a blank stands before; in
/// `…#sha256=…` none does.
fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, char)| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    let comment = line.char_indices().filter(|(_, c)| *c == '#').find(begins);
    comment.map_or(line, |(at, _)| &line[..at]).trim()
}

fn content(line: &str, constraints: bool, allowed: &AllowedAddresses) -> Result<LineContent, LineError> {
    if let Some(variable) = VARIABLE.find(line) {
        return Err(LineError::new(
            format!("`{}` stands for a variable of the environment, which is not read", variable.as_str()),
            "write the value; credentials of an index belong into the file that `build.pip_index` names",
        ));
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let options = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
    let (wanted, options) = words.split_at(options);
    let given = read_options(options)?;
    if wanted.is_empty() {
        return alone(given);
    }
    requirement(&wanted.join(" "), &given, constraints, allowed)
}

/// An option with its value.
enum LineOption {
    Hash(String),
    File { path: String, constraints: bool },
    RequireHashes,
}

fn read_options(words: &[&str]) -> Result<Vec<LineOption>, LineError> {
    let mut given = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = split(word);
        let mut value = || {
            let value = value.or_else(|| words.next().copied()).filter(|value| !value.is_empty());
            value.map(unquoted).ok_or_else(|| {
                LineError::new(format!("`{name}` lacks its value"), format!("write it behind `{name}`"))
            })
        };
        given.push(match name {
            "--hash" => LineOption::Hash(hash(value()?)?),
            "-r" | "--requirement" => LineOption::File { path: file(value()?)?, constraints: false },
            "-c" | "--constraint" => LineOption::File { path: file(value()?)?, constraints: true },
            "--require-hashes" => LineOption::RequireHashes,
            _ if !word.starts_with('-') => {
                return Err(LineError::new(
                    format!("`{}` stands behind an option", short(word)),
                    "write one requirement or one option in each line",
                ));
            }
            _ => return Err(unread_option(name)),
        });
    }
    Ok(given)
}

/// `--name=value`, `-nvalue`, or a name alone.
fn split(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    }
    let end = word.char_indices().nth(2).map_or(word.len(), |(at, _)| at);
    let (name, value) = word.split_at(end);
    (name, Some(value).filter(|value| !value.is_empty()))
}

fn unquoted(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

fn hash(value: &str) -> Result<String, LineError> {
    let (algorithm, digits) = value.split_once(':').unwrap_or(("", value));
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => 0,
    };
    // Capitals mean the same, and newer pips take them so.
    let digits = digits.to_ascii_lowercase();
    if length > 0 && is_hex(&digits, length) {
        return Ok(format!("{algorithm}:{digits}"));
    }
    Err(LineError::new(
        format!("`{}` is no hash that pip takes", short(value)),
        "write `--hash=sha256:` and 64 digits of small hexadecimal, as `pip hash FILE` prints them",
    ))
}

fn file(path: &str) -> Result<String, LineError> {
    if path.contains("://") {
        return Err(LineError::new(
            format!("`{}` is an address: only files beside the spec are read", short(path)),
            "put a copy of the file into the repository and name it by its path",
        ));
    }
    Ok(path.to_owned())
}

/// A line without a requirement names one file, or says one thing.
fn alone(given: Vec<LineOption>) -> Result<LineContent, LineError> {
    let mut given = given.into_iter();
    match (given.next(), given.next()) {
        (Some(LineOption::File { path, constraints }), None) => Ok(LineContent::File { path, constraints }),
        (Some(LineOption::RequireHashes), None) => Ok(LineContent::RequireHashes),
        (Some(LineOption::Hash(_)), _) => Err(LineError::new(
            "a hash without a requirement",
            "write it behind its requirement; a line that goes on in the next ends in `\\`",
        )),
        _ => Err(LineError::new("several options in one line", "write one in each line")),
    }
}

fn requirement(
    text: &str,
    given: &[LineOption],
    constraints: bool,
    allowed: &AllowedAddresses,
) -> Result<LineContent, LineError> {
    let mut hashes = Vec::new();
    for given in given {
        let LineOption::Hash(hash) = given else {
            return Err(LineError::new(
                format!("an option behind the requirement `{}`", short(text)),
                "write it in a line of its own",
            ));
        };
        hashes.push(hash.as_str());
    }
    let what = if constraints { "pip constraint" } else { "pip requirement" };
    let normal = parse_pip_from(text, allowed)
        .map_err(|why| LineError::new(format!("`{}` is no {what}", short(text)), why))?;
    if constraints && normal.split([' ', ';']).next().is_some_and(|name| name.contains('[')) {
        return Err(LineError::new(
            format!("the constraint `{}` has extras, which pip refuses", short(text)),
            "leave them out here, and ask for them where the package is required",
        ));
    }
    if is_from_git(&normal) && !hashes.is_empty() {
        return Err(LineError::new(
            format!("a hash behind `{}`, which git fetches", short(text)),
            "remove it: the commit says what is installed",
        ));
    }
    hashes.sort_unstable();
    hashes.dedup();
    let hashes = hashes.iter().map(|hash| format!("{HASH}{hash}"));
    Ok(LineContent::Requirement(hashes.fold(normal, |line, hash| line + &hash)))
}

fn unread_option(option: &str) -> LineError {
    let help = match option {
        "-i" | "--index-url" | "--pypi-url" | "--no-index" => {
            "remove the line: the index is set for all images with `build.pip_index`"
        }
        "--extra-index-url" => {
            "remove the line: with two indexes anybody may publish a name that only the other should have; set `build.pip_index` to one that serves both"
        }
        "-f" | "--find-links" => {
            "remove the line: set `build.pip_index` to an index that has the files, or name the file as `name @ https://…` with its address in `build.allow_urls`"
        }
        "--trusted-host" => "remove the line: give the certificates of the site with `build.ca_bundle`",
        "-e" | "--editable" => "install code of your own in a Dockerfile, or mount it into the container",
        "--pre" => "ask for the pre-release by its version, as `name>=2.0rc1`",
        _ => {
            "keep requirements, `-r`, `-c`, `--hash` and `--require-hashes`; what needs more is a case for a Dockerfile"
        }
    };
    LineError::new(format!("the option `{}` is not read from requirements files", short(option)), help)
}
