//! Values that look secret, by the name they stand under.
//!
//! The recipe digest counts the value itself; whatever is written down or
//! shown has a digest in its place. Knows names only, no secrets.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{Digest, SHORT};

/// Anywhere in a name.
const WORDS: [&str; 5] = ["TOKEN", "PASSWORD", "PASSWD", "SECRET", "CREDENTIAL"];

/// `NAME=value`, quoted or not.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([A-Za-z_][A-Za-z0-9_.-]*)=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']+)"#).expect("a constant")
});

/// `ENV NAME value`, the old form.
static OLD_ENV: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)^(\s*ENV\s+([A-Za-z_][A-Za-z0-9_]*)\s+)(.+)$").expect("a constant"));

/// Whether a name says that its value is secret. Hugging Face's tokenizers
/// are none; a key may be `API_KEY` or `APIKEY`, but no `KEYBOARD`.
pub(crate) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace("TOKENIZ", "");
    let key = |part: &str| part.ends_with("KEY") || part.ends_with("KEYS");
    WORDS.iter().any(|word| name.contains(word)) || name.split(|c: char| !c.is_ascii_alphanumeric()).any(key)
}

/// What is shown of the value under this name.
pub(crate) fn masked(name: &str, value: &str) -> String {
    if looks_secret(name) { digest(value) } else { value.to_owned() }
}

fn digest(value: &str) -> String {
    format!("sha256:{}", Digest::of(value.as_bytes()).first(SHORT))
}

/// A Dockerfile's text with the values masked that it sets under such names.
pub(crate) fn masked_text(text: &str) -> String {
    let lines = text.lines().map(masked_line);
    let mut masked = lines.collect::<Vec<_>>().join("\n");
    if text.ends_with('\n') {
        masked.push('\n');
    }
    masked
}

fn masked_line(line: &str) -> String {
    if let Some(parts) = OLD_ENV.captures(line)
        && !parts[3].contains('=')
    {
        return format!("{}{}", &parts[1], masked(&parts[2], &parts[3]));
    }
    let replaced = ASSIGNED
        .replace_all(line, |parts: &Captures<'_>| format!("{}={}", &parts[1], masked(&parts[1], &parts[2])));
    replaced.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "TOKEN",
            "hf_token",
            "GitHubToken",
            "DB_PASSWORD",
            "dbpasswd",
            "CLIENT_SECRETS",
            "MY_CREDENTIALS",
            "API_KEY",
            "apikey",
            "SSH_KEYS",
            "KEY",
            "SIGNING-KEY-ID",
            "KEY_FILE",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["PANDAS_VERSION", "KEYBOARD", "KEYRING_VERSION", "TOKENIZERS_VERSION", "PATH", ""] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn a_dockerfile_keeps_everything_but_values_of_secrets() {
        let text = "ARG API_TOKEN=hunter2\nENV DB_PASSWORD hunter2 x\nENV A=1 MY_KEY=\"hunter2 b\" B=2\nRUN TOKEN='hunter2' ./x\n";
        let masked = masked_text(text);
        assert!(!masked.contains("hunter2"), "{masked}");
        assert!(masked.contains("ENV A=1 MY_KEY=sha256:") && masked.contains(" B=2\n"), "{masked}");
        let plain = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nENV A 1\nRUN make X=1\n";
        assert_eq!(masked_text(plain), plain);
    }
}
