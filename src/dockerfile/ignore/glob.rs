//! Wildcards as Docker reads them: Go's `filepath.Match`, and `**` on top.
//!
//! Reads a pattern into tokens and compiles them; knows nothing of files,
//! negation or parents.

use regex::Regex;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
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
pub(crate) fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
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
pub(crate) fn expression(token: &Token) -> String {
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
        let body: String = tokens.iter().map(expression).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_match_as_go_matches_them() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("a*", "abc", true),
            ("a*c", "ab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.[ch]", "main.c", true),
            ("*.[^ch]", "main.c", false),
            ("[a-c]x", "bx", true),
            ("[!a]x", "bx", false),
            ("[!a]x", "!x", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("[\\]a]", "]", true),
            ("é?", "éü", true),
            ("[c-a]", "b", false),
            (".*", "xy", false),
            ("a+", "aa", false),
        ] {
            assert_eq!(Element::new(pattern).unwrap().matches(name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn broken_patterns_are_refused() {
        for pattern in ["[", "[a", "[]a]", "[-a]", "[a-]", "a\\", "[^]", "[a\\"] {
            assert!(Element::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn rooted_paths_do_not_leave_the_root() {
        for (path, expected) in
            [("", "."), ("/", "."), ("./a//b/", "a/b"), ("../../x", "x"), ("a/../..", "."), ("/a/./b", "a/b")]
        {
            assert_eq!(rooted(path), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn an_escaped_name_matches_itself_only(name in "[a\\*\\?\\[\\]\\\\b-]{1,6}", other in "[a\\*\\?\\[\\]\\\\b-]{1,6}") {
            let element = Element::new(&escape(&name)).unwrap();
            proptest::prop_assert!(element.matches(&name));
            proptest::prop_assert_eq!(element.matches(&other), name == other);
        }
    }
}
