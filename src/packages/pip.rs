//! The grammar of Python requirements, PEP 508, without addresses.
//!
//! Our own: the library for it (pep508_rs 0.9.2) panics on some texts, such
//! as `a-` with a letter outside ASCII after it, and a spec is not trusted.

use std::sync::LazyLock;

use regex::Regex;

use super::{check_text, marker};

const KIND: &str = "a Python requirement";

/// A name (PEP 508), maybe extras, then the rest: versions or an address.
static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)[ \t]*(?:\[([^\]]*)\])?[ \t]*(.*)$")
        .expect("a fixed pattern")
});

/// A name alone.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$").expect("a fixed pattern"));

/// One version clause: operator and version.
static CLAUSE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(===|~=|==|!=|<=|>=|<|>)[ \t]*(.*)$").expect("a fixed pattern"));

/// A version (PEP 440, in its tolerant form): epoch, release, then maybe pre-,
/// post- and development release, and a local part; the last group is `.*`.
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?xi-u) ^ v? (?:\d+!)? \d+ (?:\.\d+)*
          (?: [-_.]? (?:alpha|beta|preview|pre|rc|a|b|c) [-_.]? \d* )?
          (?: -\d+ | [-_.]? (?:post|rev|r) [-_.]? \d* )?
          (?: [-_.]? dev [-_.]? \d* )?
          (\+ [a-z0-9]+ (?: [-_.] [a-z0-9]+ )* )?
          (\.\*)? $",
    )
    .expect("a fixed pattern")
});

/// Checks one Python requirement and brings it into its normal form: name and
/// extras in lower case with `-` (PEP 503), extras sorted, no blanks in
/// versions, one blank around each word of the marker.
///
/// # Errors
/// Says what is wrong and what to write instead. Addresses and options are
/// refused: what they would fetch is not fixed by the recipe.
pub fn parse_pip(text: &str) -> Result<String, String> {
    let text = text.trim_matches([' ', '\t']);
    check_text(text, KIND)?;
    if text.contains("://") || text.starts_with(['.', '/']) {
        return Err(format!(
            "{text:?} names a file or an address; write a name and a version, as `pandas` or `pandas==2.2.3`"
        ));
    }
    parse(text).map_err(|reason| {
        format!(
            "{text:?} is not {KIND}: {reason}; write it as `pandas`, `pandas>=2,<3` or `uvicorn[standard]==0.30.1`"
        )
    })
}

fn parse(text: &str) -> Result<String, String> {
    let (package, marker) = text.split_once(';').map_or((text, None), |(p, m)| (p, Some(m)));
    let parts = HEAD
        .captures(package.trim_end_matches([' ', '\t']))
        .ok_or("a name begins with a letter or digit, and holds besides these only `.`, `_` and `-`")?;
    let mut requirement = normal_name(&parts[1]);
    if let Some(extras) = parts.get(2) {
        requirement += &parse_extras(extras.as_str())?;
    }
    requirement += &parse_versions(&parts[3])?;
    if let Some(marker) = marker {
        requirement += " ; ";
        requirement += &marker::parse_marker(marker)?;
    }
    Ok(requirement)
}

fn parse_extras(text: &str) -> Result<String, String> {
    let mut extras = Vec::new();
    for extra in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        if !NAME.is_match(extra) {
            return Err(format!("{extra:?} cannot be an extra"));
        }
        extras.push(normal_name(extra));
    }
    extras.sort();
    extras.dedup();
    Ok(if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) })
}

fn parse_versions(text: &str) -> Result<String, String> {
    // PEP 508 still knows the old form with parentheses.
    let inner = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
    if inner.is_empty() {
        return Ok(String::new());
    }
    let clauses: Result<Vec<String>, String> =
        inner.split(',').map(|clause| parse_clause(clause.trim())).collect();
    Ok(clauses?.join(","))
}

fn parse_clause(clause: &str) -> Result<String, String> {
    let parts = CLAUSE.captures(clause).ok_or_else(|| match clause.strip_prefix('=') {
        Some(version) => format!("{clause:?} has one `=`; an exact version is `=={}`", version.trim()),
        None => format!("{clause:?} cannot follow the name"),
    })?;
    let (operator, version) = (&parts[1], &parts[2]);
    let read = VERSION.captures(version).ok_or_else(|| format!("{version:?} is not a version"))?;
    let (local, wildcard) = (read.get(1).is_some(), read.get(2).is_some());
    if wildcard && (local || !matches!(operator, "==" | "!=")) {
        return Err(format!("{clause:?} has a `*`, which goes with `==` and `!=` only"));
    }
    if local && !matches!(operator, "==" | "!=" | "===") {
        return Err(format!("{clause:?} has a local part (`+…`), which goes with `==` and `!=` only"));
    }
    if operator == "~=" && !version.contains('.') {
        return Err(format!("{clause:?} needs two parts of a version, as `~=1.4`"));
    }
    Ok(format!("{operator}{}", version.to_ascii_lowercase()))
}

/// Lower case, and each run of `-`, `_` and `.` one `-` (PEP 503).
fn normal_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}
