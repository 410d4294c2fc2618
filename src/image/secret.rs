//! What steps of a build may read and nobody may see: a value, and all that
//! must not be shown of it. Knows no file and no engine.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A value that steps may mount.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) value: Arc<[u8]>,
    /// What must not be shown, wherever a step prints it.
    pub(crate) hidden: Arc<[Vec<u8>]>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Bytes that BuildKit takes at most.
    pub(crate) const LARGEST: usize = 500 * 1024;

    /// Bytes of what is hidden: hiding less would blot out ordinary words.
    /// The help of `--secret` says it.
    const SHORTEST: usize = 6;

    /// A value of which everything is hidden: each of its lines, since a step
    /// may print them one by one, and as they stand in a web address.
    pub(crate) fn new(value: Vec<u8>) -> Self {
        let lines = value.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
        let lines = lines.filter(|line| line.len() >= Self::SHORTEST);
        let hidden: BTreeSet<Vec<u8>> =
            lines.flat_map(|line| percent_encoded(line).into_iter().chain([line.to_vec()])).collect();
        Self { value: value.into(), hidden: hidden.into_iter().collect() }
    }

    /// A value of which only this is hidden.
    pub(crate) fn hiding(value: impl Into<Vec<u8>>, hidden: Vec<String>) -> Self {
        Self { value: value.into().into(), hidden: hidden.into_iter().map(String::into_bytes).collect() }
    }
}

/// A text as programs write it into an address: with `/` encoded or not, in
/// small digits or capitals, a blank perhaps as `+`.
fn percent_encoded(text: &[u8]) -> Vec<Vec<u8>> {
    let encoded = |kept: &[u8], blank: &str, capitals: bool| {
        let mut out = String::new();
        for byte in text {
            match byte {
                b' ' => out.push_str(blank),
                byte if byte.is_ascii_alphanumeric() || kept.contains(byte) => out.push(char::from(*byte)),
                byte if capitals => out.push_str(&format!("%{byte:02X}")),
                byte => out.push_str(&format!("%{byte:02x}")),
            }
        }
        out.into_bytes()
    };
    // Unreserved; what Python's `quote` leaves too; what JavaScript and Go leave.
    let kept: [&[u8]; 4] = [b"-._~", b"-._~/", b"-._~!*'()", b"-._~$&+,/:;=@"];
    let ways =
        kept.iter().flat_map(|kept| [("%20", true), ("%20", false), ("+", true)].map(|way| (kept, way)));
    ways.map(|(kept, (blank, capitals))| encoded(kept, blank, capitals)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(value: &str) -> Vec<String> {
        let hidden = Secret::new(value.into()).hidden;
        hidden.iter().map(|text| String::from_utf8(text.clone()).unwrap()).collect()
    }

    #[test]
    fn a_value_is_hidden_by_its_lines_without_those_that_are_short() {
        assert_eq!(hidden("hunter2-a\n"), ["hunter2-a"]);
        assert_eq!(hidden("{\r\n  first-line\r\n\n12345\nsecond-line"), ["first-line", "second-line"]);
        assert!(hidden("12345\n").is_empty());
        assert_eq!(format!("{:?}", Secret::new(b"hunter2".to_vec())), "Secret(…)");
    }

    #[test]
    fn a_value_is_hidden_as_it_stands_in_an_address_too() {
        let hidden = hidden("a/b c@é:1");
        for text in [
            "a/b c@é:1",
            "a%2Fb%20c%40%C3%A9%3A1",
            "a%2fb%20c%40%c3%a9%3a1",
            "a/b+c%40%C3%A9%3A1",
            "a/b%20c@%C3%A9:1",
        ] {
            assert!(hidden.iter().any(|h| h == text), "{text}: {hidden:?}");
        }
    }
}
