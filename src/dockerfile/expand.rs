//! `$NAME` and `${NAME:-word}` in a Dockerfile's words, and their quotes.
//!
//! Knows nothing of where a variable comes from.

use regex::Regex;

/// Names of one character that are a shell's own; a Dockerfile has none of them.
pub(super) const SPECIAL: [char; 7] = ['@', '*', '#', '?', '-', '$', '!'];

/// What is known of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Set(String),
    Unset,
    /// Only the build knows: a base image may set it.
    Unknown,
}

/// Substitutions within substitutions, at most.
const DEPTH: usize = 32;
/// Bytes of a value, at most; a longer one is taken for unknown. `ENV A=$A$A`,
/// said forty times, would fill any memory.
const LENGTH: usize = 16 * 1024;

/// Expands one word; quotes and escapes are removed.
///
/// `Ok(None)`: the outcome hangs on an unknown variable.
///
/// # Errors
/// Says what is broken, as a lowercase fragment.
pub(super) fn expand(
    word: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Value,
) -> Result<Option<String>, String> {
    let mut expander = Expander { chars: word.chars().peekable(), escape, lookup, depth: 0 };
    expander.until(None, false)
}

struct Expander<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    escape: char,
    lookup: &'a dyn Fn(&str) -> Value,
    depth: usize,
}

/// `None` stands for "only the build knows" throughout.
type Text = Result<Option<String>, String>;

impl Expander<'_> {
    /// Up to `stop`, which is consumed, or the end. `raw` keeps escapes.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Text {
        let mut out = Some(String::new());
        while let Some(c) = self.chars.next() {
            let part = match c {
                c if Some(c) == stop => return Ok(out),
                '$' => self.dollar()?,
                '\'' => Some(self.single_quoted()?),
                '"' => self.double_quoted()?,
                c if c == self.escape => {
                    let next = self.chars.next().map(String::from).unwrap_or_default();
                    Some(if raw { format!("{c}{next}") } else { next })
                }
                c => Some(c.to_string()),
            };
            out = join(out, part);
        }
        match stop {
            None => Ok(out),
            Some(stop) => Err(format!("`${{` has no `{stop}`")),
        }
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        let mut out = String::new();
        for c in self.chars.by_ref() {
            if c == '\'' {
                return Ok(out);
            }
            out.push(c);
        }
        Err("a single quote is not closed".into())
    }

    fn double_quoted(&mut self) -> Text {
        let mut out = Some(String::new());
        while let Some(c) = self.chars.next() {
            let part = match c {
                '"' => return Ok(out),
                '$' => self.dollar()?,
                c if c == self.escape => {
                    let escape = self.escape;
                    let special = |c: &char| matches!(c, '"' | '$') || *c == escape;
                    Some(self.chars.next_if(special).unwrap_or(c).to_string())
                }
                c => Some(c.to_string()),
            };
            out = join(out, part);
        }
        Err("a double quote is not closed".into())
    }

    fn dollar(&mut self) -> Text {
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(if name.is_empty() { Some("$".into()) } else { plain((self.lookup)(&name)) });
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("`${…}` is nested too deeply".into());
        }
        let name = self.name();
        if name.is_empty() {
            return Err("`${` is not followed by a name".into());
        }
        let text = self.modified(&name);
        self.depth -= 1;
        text
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        if let Some(special) = self.chars.next_if(|c| SPECIAL.contains(c)) {
            return special.into();
        }
        let digits = self.chars.peek().is_some_and(char::is_ascii_digit);
        let part = |c: &char| if digits { c.is_ascii_digit() } else { c.is_alphanumeric() || *c == '_' };
        while let Some(c) = self.chars.next_if(part) {
            name.push(c);
        }
        name
    }

    /// What follows the name in `${name…}`.
    fn modified(&mut self, name: &str) -> Text {
        let value = (self.lookup)(name);
        let Some(mut operator) = self.chars.next() else { return Err("`${` has no `}`".into()) };
        let empty_counts = operator == ':';
        if empty_counts {
            operator = self.chars.next().ok_or("`${` has no `}`")?;
        }
        match operator {
            '}' if !empty_counts => Ok(plain(value)),
            '-' | '+' | '?' => {
                let word = self.until(Some('}'), false)?;
                choose(operator, empty_counts, name, value, word)
            }
            '#' | '%' if !empty_counts => {
                let greedy = self.chars.next_if_eq(&operator).is_some();
                let pattern = self.until(Some('}'), true)?;
                both(value, pattern, |value, pattern| trim(operator, greedy, value, pattern))
            }
            '/' if !empty_counts => {
                let all = self.chars.next_if_eq(&'/').is_some();
                let pattern = self.until(Some('/'), true)?;
                let by = self.until(Some('}'), true)?;
                let Some(by) = by else { return Ok(None) };
                both(value, pattern, |value, pattern| replace(all, value, pattern, &by))
            }
            other => {
                Err(format!("`${{{name}{}{other}` is no substitution", if empty_counts { ":" } else { "" }))
            }
        }
    }
}

fn join(out: Option<String>, part: Option<String>) -> Option<String> {
    Some(out? + &part?).filter(|text| text.len() <= LENGTH)
}

fn plain(value: Value) -> Option<String> {
    match value {
        Value::Set(text) => Some(text),
        Value::Unset => Some(String::new()),
        Value::Unknown => None,
    }
}

fn choose(operator: char, empty_counts: bool, name: &str, value: Value, word: Option<String>) -> Text {
    let set = match value {
        Value::Unknown => return Ok(None),
        Value::Set(text) if !(empty_counts && text.is_empty()) => Some(text),
        Value::Set(_) | Value::Unset => None,
    };
    match (operator, set) {
        ('-', Some(text)) | ('?', Some(text)) => Ok(Some(text)),
        ('-', None) | ('+', Some(_)) => Ok(word),
        ('+', None) => Ok(Some(String::new())),
        _ => {
            let why = word.filter(|w| !w.is_empty()).unwrap_or_else(|| "it must be set".into());
            Err(format!("`{name}` has no value: {why}"))
        }
    }
}

fn both(value: Value, pattern: Option<String>, work: impl FnOnce(&str, &str) -> Text) -> Text {
    match (plain(value), pattern) {
        (Some(value), Some(pattern)) => work(&value, &pattern),
        _ => Ok(None),
    }
}

/// A shell pattern (`*`, `?`, escapes) as a regular expression.
fn shell(pattern: &str) -> Result<String, String> {
    let mut text = String::from("(?s:");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            '\\' => text.push_str(&regex::escape(&chars.next().map(String::from).unwrap_or_default())),
            c => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    Ok(text + ")")
}

/// `${x#p}`, `${x##p}`, `${x%p}`, `${x%%p}`: the shortest (longest) head or
/// tail that the pattern matches is cut off.
fn trim(operator: char, greedy: bool, value: &str, pattern: &str) -> Text {
    let regex = Regex::new(&format!("^{}$", shell(pattern)?)).map_err(|e| e.to_string())?;
    let mut cuts: Vec<usize> = value.char_indices().map(|(i, _)| i).chain([value.len()]).collect();
    // A head is short when cut early, a tail when cut late.
    if greedy == (operator == '#') {
        cuts.reverse();
    }
    let found = cuts.into_iter().map(|i| value.split_at(i)).find_map(|(head, tail)| {
        let (cut, kept) = if operator == '#' { (head, tail) } else { (tail, head) };
        regex.is_match(cut).then_some(kept)
    });
    Ok(Some(found.unwrap_or(value).to_owned()))
}

fn replace(all: bool, value: &str, pattern: &str, by: &str) -> Text {
    let regex = Regex::new(&shell(pattern)?).map_err(|e| e.to_string())?;
    let count = if all { regex.find_iter(value).count() } else { 1 };
    if value.len() + count * by.len() > LENGTH {
        return Ok(None);
    }
    Ok(Some(regex.replacen(value, if all { 0 } else { 1 }, regex::NoExpand(by)).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Value {
        match name {
            "A" => Value::Set("one".into()),
            "E" => Value::Set(String::new()),
            "V" => Value::Set("3.12.4".into()),
            "U" => Value::Unknown,
            _ => Value::Unset,
        }
    }

    fn expanded(word: &str) -> Text {
        expand(word, '\\', &lookup)
    }

    #[test]
    fn words_expand_as_buildkit_expands_them() {
        for (word, expected) in [
            ("$A/x", "one/x"),
            ("${A}x$", "onex$"),
            ("$N", ""),
            ("${N:-two}", "two"),
            ("${E:-two}", "two"),
            ("${E-two}", ""),
            ("${N-two}", "two"),
            ("${A:+yes}", "yes"),
            ("${E:+yes}", ""),
            ("${E+yes}", "yes"),
            ("${N:+yes}", ""),
            ("${N:-${A}-$A}", "one-one"),
            ("${A:?why}", "one"),
            ("'$A'\"$A\"", "$Aone"),
            ("\\$A", "$A"),
            ("\"a\\\"b\\c\"", "a\"b\\c"),
            ("end\\", "end"),
            ("${V%.*}", "3.12"),
            ("${V%%.*}", "3"),
            ("${V#*.}", "12.4"),
            ("${V##*.}", "4"),
            ("${V%x}", "3.12.4"),
            ("${V/./_}", "3_12.4"),
            ("${V//./_}", "3_12_4"),
            ("py${V//[/x}", "py3.12.4"),
            ("$1x", "x"),
            ("run ${@}|${?:-none}|$@|$$x", "run |none||x"),
            ("${#:-a}${*+b}${-}", "a"),
        ] {
            assert_eq!(expanded(word).unwrap().as_deref(), Some(expected), "{word}");
        }
    }

    #[test]
    fn an_unknown_variable_leaves_the_word_unknown_only_where_it_counts() {
        for word in ["$U", "x${U:-y}", "${U:+y}", "${N:-$U}", "\"$U\"", "${U%x}"] {
            assert_eq!(expanded(word).unwrap(), None, "{word}");
        }
        assert_eq!(expanded("${A:-$U}").unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn broken_words_are_refused() {
        for word in [
            "${",
            "${A",
            "${}",
            "${#A}",
            "${@x}",
            "${:-x}",
            "${A:-x",
            "'a",
            "\"a",
            "${A!x}",
            "${N:?gone}",
            "${A:}",
        ] {
            assert!(expanded(word).is_err(), "{word}");
        }
        assert!(expanded(&"${N:-".repeat(100)).unwrap_err().contains("deeply"));
    }

    proptest::proptest! {
        #[test]
        fn no_word_makes_it_panic(word in "[$A{}:+?#%/'\"\\\\ab*é-]{0,24}") {
            let _ = expanded(&word);
        }
    }
}
