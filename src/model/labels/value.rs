//! Whether a label's value is of its key's type. Says what is wrong, not where.

use super::Kind;

/// Hex digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

impl Kind {
    /// What is wrong with a value, as the end of a sentence about it.
    pub(crate) fn fault(self, value: &str) -> Option<String> {
        let is_wrong = |right: bool, rule: &str| (!right).then(|| rule.to_owned());
        if value.is_empty() {
            return Some("is empty: a key without a value is left out".into());
        }
        match self {
            Self::Text => None,
            Self::Bool => is_wrong(value == "true", "is not `true`: a bool that is not is left out"),
            Self::Integer => is_wrong(digits(value) && value.parse::<u32>().is_ok(), "is no integer"),
            Self::Decimal => is_wrong(is_decimal(value), "is no decimal number"),
            Self::Sha256 => is_wrong(is_sha256(value), "is not 64 hexadecimal digits"),
            Self::List => is_wrong(value.split(',').all(is_item), "is no list separated by commas"),
            Self::Path => is_wrong(value.starts_with('/'), "is no absolute path"),
            Self::Time => is_wrong(is_time(value), "is no time of RFC 3339 in UTC"),
            Self::Json => is_wrong(is_json(value), "is no JSON"),
            Self::Choice(words) => {
                is_wrong(words.contains(&value), &format!("is none of {}", words.join(", ")))
            }
        }
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_decimal(value: &str) -> bool {
    let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
    digits(whole) && digits(part)
}

fn is_sha256(value: &str) -> bool {
    value.len() == SHA256_DIGITS && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_item(item: &str) -> bool {
    !item.is_empty() && item.trim() == item
}

fn is_time(value: &str) -> bool {
    value.ends_with('Z') && value.parse::<jiff::Timestamp>().is_ok()
}

fn is_json(value: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_takes_its_values_and_no_others() {
        let hex = "ab".repeat(32);
        let upper = hex.to_uppercase();
        let cases: [(Kind, &[&str], &[&str]); 10] = [
            (Kind::Bool, &["true"], &["false", "True", "1", "yes", " true", ""]),
            (Kind::Text, &["x", "ann@x"], &[""]),
            (Kind::Integer, &["0", "1722830498"], &["-1", "+1", "1.5", "x", "4294967296", ""]),
            (Kind::Decimal, &["1", "2.142857", "0.5"], &["1.", ".5", "1e3", "-1", "NaN", "1,5", ""]),
            (Kind::Sha256, &[&hex], &[&upper, "ab", "sha256:ab", ""]),
            (Kind::List, &["GPU-1", "0,0.1"], &["a,", ",a", "a, b", ""]),
            (Kind::Path, &["/workspace"], &["work", "~/x", ""]),
            (
                Kind::Time,
                &["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z"],
                &["2026-01-02T03:04:05+01:00", "2026-01-02", "yesterday", ""],
            ),
            (Kind::Json, &["{}", r#"{"a":[1]}"#], &["{", "", "x"]),
            (Kind::Choice(&["api", "docker"]), &["api"], &["API", "compose", ""]),
        ];
        for (kind, right, wrong) in cases {
            for value in right {
                assert_eq!(kind.fault(value), None, "{kind:?}: {value:?}");
            }
            for value in wrong {
                assert!(kind.fault(value).is_some(), "{kind:?}: {value:?}");
            }
        }
    }
}
