//! `.dockerignore` with Docker's own semantics, which are not gitignore's.
//!
//! A pattern is anchored at the context's root, `*` never crosses a `/`, a
//! match on a folder takes everything below it, and the last pattern that
//! matches decides. The rules are those of moby's `patternmatcher` and of the
//! walk that BuildKit's clients do with it. Knows nothing of files.

pub(crate) mod glob;

use std::fmt::Write as _;

use regex::Regex;

use glob::{Element, Token};

/// Parsed rules; the default ignores nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    /// Cleaned, without `!`.
    text: String,
    /// Began with `!`: what it matches is taken back in.
    exception: bool,
    regex: Regex,
    /// Its parts at `/`, to say what can lie below a folder.
    reach: Vec<Affected>,
}

/// What an element of a pattern can match.
#[derive(Clone, Debug)]
enum Affected {
    /// One name.
    Name(Element),
    /// Any number of names: has `**`, or a class, which may match a `/`.
    Deep,
}

/// Which patterns matched a folder; handed down to what lies in it.
#[derive(Clone, Debug)]
pub(crate) struct Matched(Vec<bool>);

impl Ignore {
    /// Reads a `.dockerignore`.
    ///
    /// # Errors
    /// The first line that is not a pattern, counted from 1, and why.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (index, line) in text.lines().enumerate() {
            // Only at the very start of a line: ` # x` is a pattern.
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            patterns.push(Pattern::parse(line.trim()).map_err(|cause| (index + 1, cause))?);
        }
        Ok(Self { patterns })
    }

    /// Whether this path (relative, `/`-separated, clean) is left out.
    #[cfg(test)]
    pub(crate) fn ignores(&self, path: &str) -> bool {
        let mut ignored = false;
        let mut parent = None;
        let ends = path.match_indices('/').map(|(i, _)| i).chain([path.len()]);
        for end in ends {
            let (is, matched) = self.step(&path[..end], parent.as_ref());
            (ignored, parent) = (is, Some(matched));
        }
        ignored
    }

    /// As [`Self::ignores`] for a walk from the root downwards: takes what
    /// this gave for the folder the path lies in (`None` in the root), and
    /// gives what to hand to the path's own children.
    pub(crate) fn step(&self, path: &str, parent: Option<&Matched>) -> (bool, Matched) {
        let mut ignored = false;
        let mut own = vec![false; self.patterns.len()];
        for (i, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.is_some_and(|p| p.0[i]);
            // A pattern that could change nothing is not asked; that it is then
            // not handed down either is part of the semantics.
            if inherited || (pattern.exception == ignored && pattern.regex.is_match(path)) {
                own[i] = true;
                ignored = !pattern.exception;
            }
        }
        (ignored, Matched(own))
    }

    /// Whether a folder that is left out may be skipped with all it holds:
    /// no `!` pattern can reach below it.
    pub(crate) fn may_skip(&self, folder: &str) -> bool {
        !self.patterns.iter().any(|p| p.exception && p.reaches_below(folder))
    }

    /// The rules as a text that is equal for equal rules.
    pub(crate) fn canonical(&self) -> String {
        self.patterns.iter().fold(String::new(), |mut text, p| {
            let _ = writeln!(text, "{}{}", if p.exception { "!" } else { "" }, p.text);
            text
        })
    }
}

impl Pattern {
    fn parse(line: &str) -> Result<Self, String> {
        let (exception, rest) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let text = clean(rest);
        if exception && text.is_empty() {
            return Err("`!` takes nothing back in".into());
        }
        glob::tokens(&text)?;
        let regex = Regex::new(&expression(&text)?).map_err(|e| e.to_string())?;
        let reach = text.split('/').map(reach).collect();
        Ok(Self { text, exception, regex, reach })
    }

    /// Whether it can match something strictly below a folder that it does
    /// not match itself.
    fn reaches_below(&self, folder: &str) -> bool {
        let mut names = folder.split('/');
        for element in &self.reach {
            match (element, names.next()) {
                (Affected::Deep, _) | (_, None) => return true,
                (Affected::Name(element), Some(name)) if !element.matches(name) => return false,
                (Affected::Name(_), Some(_)) => {}
            }
        }
        false
    }
}

fn reach(element: &str) -> Affected {
    if element.contains("**") || element.contains('[') {
        return Affected::Deep;
    }
    Element::new(element).map_or(Affected::Deep, Affected::Name)
}

/// Go's `filepath.Clean`, then without the leading `/`. Unlike a source of
/// COPY, a pattern may begin with `..`; it then matches nothing.
fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() && !pattern.is_empty() && !rooted { ".".into() } else { parts.join("/") }
}

/// The pattern as a regular expression over whole paths.
fn expression(pattern: &str) -> Result<String, String> {
    let tokens = glob::tokens(pattern)?;
    let mut text = String::from("^");
    let mut i = 0;
    while i < tokens.len() {
        if tokens[i..].starts_with(&[Token::AnyRun, Token::AnyRun]) {
            let first = i == 0;
            i += 2;
            let slash = matches!(tokens.get(i), Some(Token::Literal { c: '/', .. }));
            i += usize::from(slash);
            let rest = &tokens[i..];
            // `**.go` takes `a.go` too, but `**.g?` only what follows a `/`.
            let suffix = first && !slash && rest.iter().all(plain);
            text.push_str(if rest.is_empty() || suffix { ".*" } else { "(.*/)?" });
        } else {
            text.push_str(&glob::expression(&tokens[i]));
            i += 1;
        }
    }
    text.push('$');
    Ok(text)
}

fn plain(token: &Token) -> bool {
    matches!(token, Token::Literal { escaped: false, .. })
}

#[cfg(test)]
mod tests;
