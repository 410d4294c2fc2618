//! The grammar of Python requirements, PEP 508. Addresses only where the site
//! allows them.
//!
//! Our own: the library for it (pep508_rs 0.9.2) panics on some texts, such
//! as `a-` with a letter outside ASCII after it, and a spec is not trusted.

use std::sync::LazyLock;

use regex::Regex;

use super::{check_text, marker};
use crate::model::digest::is_hex;

const KIND: &str = "a Python requirement";

/// What addresses of git begin with.
const GIT: &str = "git+https://";

/// The longest address, in bytes.
const LONGEST_ADDRESS: usize = 2000;

/// Addresses that requirements may name: all that begin with one of these,
/// which [`AllowedAddresses::add`] has checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AllowedAddresses(Vec<String>);

impl AllowedAddresses {
    /// Takes in `https://host/path/`: everything below it.
    ///
    /// # Errors
    /// Says what to write instead.
    pub(crate) fn add(&mut self, prefix: &str) -> Result<(), String> {
        check_address(prefix)?;
        let path = prefix.strip_prefix("https://").is_some_and(|rest| rest.contains('/'));
        if !path || !prefix.ends_with('/') || prefix.contains(['?', '#']) {
            return Err(format!(
                "end it in `/`, as `https://{}/`: all below it is allowed",
                prefix.trim_start_matches("https://").split(['/', '?', '#']).next().unwrap_or_default()
            ));
        }
        self.0.push(prefix.to_owned());
        Ok(())
    }

    fn has(&self, address: &str) -> bool {
        self.0.iter().any(|prefix| address.starts_with(prefix) && address.len() > prefix.len())
    }
}

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
pub(crate) fn parse_pip(text: &str) -> Result<String, String> {
    parse_pip_from(text, &AllowedAddresses::default())
}

/// The same, and `name @ https://…` and `name @ git+https://…@commit` where the
/// address is allowed.
///
/// # Errors
/// As [`parse_pip`].
pub(crate) fn parse_pip_from(text: &str, allowed: &AllowedAddresses) -> Result<String, String> {
    let text = text.trim_matches([' ', '\t']);
    if text.starts_with(GIT) {
        return parse_address("", text, allowed);
    }
    if let Some((head, address)) = text.split_once('@')
        && ["https://", GIT].iter().any(|scheme| address.trim_start().starts_with(scheme))
        && !head.contains("://")
    {
        check_text(head, KIND)?;
        return parse_address(head, address.trim_start(), allowed);
    }
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

/// `name[extras] @ https://… ; marker`.
fn parse_address(head: &str, rest: &str, allowed: &AllowedAddresses) -> Result<String, String> {
    // Only a blank ends an address: it may hold a `;` itself.
    let (address, marker) = rest.split_once([' ', '\t']).map_or((rest, ""), |(a, m)| (a, m.trim()));
    let web = address.strip_prefix("git+").unwrap_or(address);
    check_address(web)?;
    if !allowed.has(web) {
        let folder = web.rsplit_once('/').map_or(web, |(folder, _)| folder);
        return Err(format!(
            "{address:?} is an address that `build.allow_urls` does not name; write a name and a version, as `pandas==2.2.3`, or add `{folder}/` there"
        ));
    }
    let (mut address, mut head) = (address.to_owned(), head);
    if address.len() > web.len() {
        let (normal, egg) = parse_git(web)?;
        address = normal;
        if head.is_empty() {
            head =
                egg.ok_or_else(|| format!("{address:?} has no name before it; write `NAME @ {address}`"))?;
        }
    }
    let parts = HEAD.captures(head.trim()).filter(|parts| parts[3].is_empty());
    let parts = parts.ok_or_else(|| format!("{head:?} is no name of {KIND}; write `name @ {address}`"))?;
    let extras = parts.get(2).map(|extras| parse_extras(extras.as_str())).transpose()?.unwrap_or_default();
    let requirement = format!("{}{extras} @ {address}", normal_name(&parts[1]));
    if marker.is_empty() {
        return Ok(requirement);
    }
    let marker = marker
        .strip_prefix(';')
        .ok_or_else(|| format!("{marker:?} cannot follow an address; only ` ; ` and a marker can"))?;
    Ok(format!("{requirement} ; {}", marker::parse_marker(marker)?))
}

/// An address below `git+`: a repository and a whole commit, since branches
/// and tags move; maybe a folder in it. Gives its normal form, and the name
/// that older pips want in it as `egg`.
fn parse_git(web: &str) -> Result<(String, Option<&str>), String> {
    let (place, fragment) = web.split_once('#').unwrap_or((web, ""));
    let (repository, commit) = place.rsplit_once('@').unwrap_or((place, ""));
    let commit = commit.to_ascii_lowercase();
    if !(is_hex(&commit, 40) || is_hex(&commit, 64)) {
        return Err(format!(
            "{web:?} does not end in a whole commit, and a branch or tag may move; write `git+{repository}@` and \
             its 40 digits, as `git ls-remote {repository}` prints them"
        ));
    }
    let (mut folder, mut egg) = (String::new(), None);
    for part in fragment.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("egg", name)) if !name.is_empty() => egg = Some(name),
            Some(("subdirectory", path)) if !path.split('/').any(|part| part == "..") => {
                folder = format!("#subdirectory={path}");
            }
            _ => return Err(format!("{part:?} cannot follow a commit; only `#subdirectory=FOLDER` can")),
        }
    }
    Ok((format!("git+{repository}@{commit}{folder}"), egg))
}

/// HTTPS, without user and password, and without ways around a prefix.
fn check_address(address: &str) -> Result<(), String> {
    let rest = address.strip_prefix("https://").ok_or_else(|| {
        format!("{address:?} does not begin with `https://`, and nothing else is safe on the way")
    })?;
    if address.len() > LONGEST_ADDRESS || !address.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(
            "an address has at most 2000 letters, digits and signs of ASCII; write others as `%41`".into()
        );
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.contains('@') {
        return Err(
            "an address with a password; remove what stands before `@`: it would be in the image's labels"
                .into(),
        );
    }
    if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b)) {
        return Err(format!("{address:?} has no host; write `https://host/path/file`"));
    }
    let up = path
        .split(['/', '?', '#'])
        .any(|part| matches!(part.replace("%2e", ".").replace("%2E", ".").as_str(), "." | ".."));
    if up {
        return Err(format!("{address:?} goes up with `..`; write where the file really is"));
    }
    Ok(())
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
        Some(turned) if turned.starts_with(['>', '<', '~', '!']) => {
            let (sign, version) = turned.split_at(1);
            format!("{clause:?} has its signs turned; write `{sign}={}`", version.trim())
        }
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
pub(super) fn normal_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// The name that a requirement in normal form begins with.
pub(super) fn name_of(requirement: &str) -> &str {
    let end = requirement.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c));
    &requirement[..end.unwrap_or(requirement.len())]
}

/// Whether it is fetched by git, for which pip takes no hashes.
pub(crate) fn is_from_git(requirement: &str) -> bool {
    requirement.contains(" @ git+")
}

/// Whether a line of a requirements file has a hash, so that pip demands one
/// of every other.
pub(crate) fn is_hashed(requirement: &str) -> bool {
    let address = requirement.contains(" @ ");
    let fragment = ["#sha256=", "#sha384=", "#sha512=", "&sha256="].iter().any(|f| requirement.contains(f));
    requirement.contains(super::requirements::HASH) || (address && fragment)
}

/// Whether it can be one file only, as pip demands beside hashes: an exact
/// version, or an address.
pub(crate) fn is_pinned(requirement: &str) -> bool {
    let versions = requirement.split(" ;").next().unwrap_or_default();
    requirement.contains(" @ ")
        || (versions.contains("==") && !versions.contains(['*', ',', '<', '>', '~', '!']))
}
