//! `.dockerignore` with Docker's own semantics, which are not gitignore's.
//!
//! A pattern is anchored at the context's root, `*` never crosses a `/`, a
//! match on a folder takes everything below it, and the last pattern that
//! matches decides. The rules are those of moby's `patternmatcher` and of the
//! walk that BuildKit's clients do with it. Knows nothing of files.

use std::fmt::Write as _;

use regex::Regex;

/// Patterns at most: each is asked for each file.
const MOST: usize = 2000;

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
    parts: Vec<PatternPart>,
}

/// What an element of a pattern can match.
#[derive(Clone, Debug)]
enum PatternPart {
    /// One name.
    Name(Element),
    /// Any number of names: has `**`, or a class, which may match a `/`.
    Deep,
}

/// Which patterns matched a folder; handed down to what lies in it.
#[derive(Clone, Debug)]
pub(crate) struct MatchedPatterns(Vec<bool>);

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
            if patterns.len() == MOST {
                return Err((index + 1, format!("there are more than {MOST} patterns")));
            }
            patterns.push(Pattern::parse(line.trim()).map_err(|cause| (index + 1, cause))?);
        }
        Ok(Self { patterns })
    }

    /// The same of patterns that stand one by one.
    ///
    /// # Errors
    /// The first that is not a pattern.
    pub(crate) fn of(patterns: &[String]) -> Result<Self, String> {
        let patterns = patterns.iter().map(|pattern| Pattern::parse(pattern.trim()));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether this path (relative, `/`-separated, clean) is left out.
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
    pub(crate) fn step(&self, path: &str, parent: Option<&MatchedPatterns>) -> (bool, MatchedPatterns) {
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
        (ignored, MatchedPatterns(own))
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
        tokens(&text)?;
        let regex = Regex::new(&expression(&text)?).map_err(|e| e.to_string())?;
        let parts = text.split('/').map(parts).collect();
        Ok(Self { text, exception, regex, parts })
    }

    /// Whether it can match something strictly below a folder that it does
    /// not match itself.
    fn reaches_below(&self, folder: &str) -> bool {
        let mut names = folder.split('/');
        for element in &self.parts {
            match (element, names.next()) {
                (PatternPart::Deep, _) | (_, None) => return true,
                (PatternPart::Name(element), Some(name)) if !element.matches(name) => return false,
                (PatternPart::Name(_), Some(_)) => {}
            }
        }
        false
    }
}

fn parts(element: &str) -> PatternPart {
    if element.contains("**") || element.contains('[') {
        return PatternPart::Deep;
    }
    Element::new(element).map_or(PatternPart::Deep, PatternPart::Name)
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
    let tokens = tokens(pattern)?;
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
            text.push_str(&token_expression(&tokens[i]));
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

// Wildcards as Docker reads them: Go's `filepath.Match`, and `**` on top.
// Reads a pattern into tokens and compiles them; knows nothing of files,
// negation or parents.

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// One character; `escaped` when a backslash stood before it.
    Literal { c: char, escaped: bool },
    /// `?`: any character but `/`.
    AnyChar,
    /// `*`: any run without `/`.
    AnyRun,
    /// `[a-z]`, `[^a-z]`.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// Reads a pattern. The errors are those of `filepath.Match`: a `[` without
/// end, an empty or half class, a backslash at the end.
///
/// # Errors
/// Says what is broken, as a lowercase fragment.
fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::AnyRun,
            '?' => Token::AnyChar,
            '[' => class(&mut chars)?,
            '\\' => {
                let c = chars.next().ok_or("a backslash at the end escapes nothing")?;
                Token::Literal { c, escaped: true }
            }
            c => Token::Literal { c, escaped: false },
        });
    }
    Ok(tokens)
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, String> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = class_end(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_end(chars)? } else { low };
        ranges.push((low, high));
    }
}

fn class_end(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, String> {
    match chars.next() {
        None => Err("`[` has no `]`".into()),
        Some('-' | ']') => Err("a class in `[…]` is empty or half a range".into()),
        Some('\\') => chars.next().ok_or_else(|| "`[` has no `]`".into()),
        Some(c) => Ok(c),
    }
}

/// The regular expression of one token.
fn token_expression(token: &Token) -> String {
    match token {
        Token::Literal { c, .. } => regex::escape(c.encode_utf8(&mut [0; 4])),
        Token::AnyChar => "[^/]".into(),
        Token::AnyRun => "[^/]*".into(),
        Token::Class { negated, ranges } => {
            let mut text = String::from(if *negated { "[^" } else { "[" });
            // A range that runs backwards matches nothing; the regex crate would refuse it.
            for (low, high) in ranges.iter().filter(|(low, high)| low <= high) {
                text.push_str(&format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*low), u32::from(*high)));
            }
            match (text.as_str(), negated) {
                ("[", _) => r"[^\s\S]".into(),
                ("[^", _) => r"[\s\S]".into(),
                _ => text + "]",
            }
        }
    }
}

/// One element of a path pattern (no `/` in it) against one name.
#[derive(Clone, Debug)]
pub(crate) enum Element {
    /// Matches this name only.
    Name(String),
    /// Has wildcards.
    Wild(Regex),
}

impl Element {
    /// Compiles one element.
    ///
    /// # Errors
    /// As [`tokens`].
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let tokens = tokens(pattern)?;
        let name: Option<String> =
            tokens.iter().map(|t| if let Token::Literal { c, .. } = t { Some(*c) } else { None }).collect();
        if let Some(name) = name {
            return Ok(Self::Name(name));
        }
        let body: String = tokens.iter().map(token_expression).collect();
        Regex::new(&format!("^(?s:{body})$")).map(Self::Wild).map_err(|e| e.to_string())
    }

    /// Whether it matches this name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Wild(regex) => regex.is_match(name),
        }
    }
}

/// Writes a name as a pattern that matches only it.
pub(crate) fn escape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Go's `path.Clean` of a path that is taken as standing below the context's
/// root: no `.`, no `//`, and `..` stops at the root. The root itself is `.`.
pub(crate) fn rooted(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}
