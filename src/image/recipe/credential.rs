//! Texts that are credentials whatever they are called, by their form: what a
//! name does not say, the value may. Knows no names and no places.

use std::sync::LazyLock;

use regex::Regex;

/// Password of a web address, but no variable in its place; tokens by the way
/// their makers begin them; a private key, whole or broken off.
static CREDENTIAL: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r#"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@"']*:[^/\s@"'$][^/\s@"']*@"#,
        r"\bgh[opsur]_[A-Za-z0-9]{10,}",
        r"\bgithub_pat_[A-Za-z0-9_]{10,}",
        r"\bgl(?:pat|dt|ptt|rt|cbt)-[A-Za-z0-9_.-]{10,}",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b",
        r"\bxox[abeprs]-[A-Za-z0-9-]{8,}",
        r"\bhf_[A-Za-z0-9]{20,}",
        r"\bpypi-AgEI[A-Za-z0-9_-]{20,}",
        r"\bnpm_[A-Za-z0-9]{30,}",
        r"\bdckr_pat_[A-Za-z0-9_-]{10,}",
        r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_]{20,}",
        r"\bnvapi-[A-Za-z0-9_-]{20,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)",
    ];
    Regex::new(&forms.join("|")).expect("a constant")
});

/// Whether there is a credential in a text.
pub(crate) fn has_credential(text: &str) -> bool {
    CREDENTIAL.is_match(text)
}

/// A text with something else in the place of each credential in it, lines and
/// all, so that what is around it keeps its place.
pub(super) fn replace(text: &str, instead: impl Fn(&str) -> String) -> String {
    let with = |found: &regex::Captures<'_>| {
        let found = &found[0];
        let lines = "\n".repeat(found.matches('\n').count());
        match found.split_once("://") {
            Some((scheme, login)) => format!("{scheme}://{}@", instead(login.trim_end_matches('@'))),
            None => instead(found) + &lines,
        }
    };
    CREDENTIAL.replace_all(text, with).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_known_by_their_form() {
        for text in [
            "https://jane:geheim@pypi.example.org/simple",
            "postgres://:geheim@db/x",
            "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
            "https://ghp_0123456789abcdef@github.com/x",
            "github_pat_11ABCDEFG0abcdefghijkl_xyz",
            "glpat-abcdefghij0123456789",
            "AKIAIOSFODNN7EXAMPLE",
            "xoxb-123456789012-abcdef",
            "xoxp-123456789012-abcdef",
            "-----BEGIN RSA PRIVATE KEY-----\\nMIIE",
            "-----BEGIN PRIVATE KEY-----",
        ] {
            assert!(has_credential(text), "{text}");
        }
        for text in [
            "https://pypi.example.org:8443/simple",
            "ssh://git@github.com/x",
            "https://host/a:b@c",
            "https://${USER}:${PASSWORD}@host/",
            "https://u:@host",
            "ghp_short",
            "2026.4",
            "sk-learn",
            "AKIAIOSFODNN7EXAMPLEx",
            "-----BEGIN CERTIFICATE-----",
            "debian:12",
        ] {
            assert!(!has_credential(text), "{text}");
        }
    }

    #[test]
    fn what_is_around_a_credential_stays_where_it_is() {
        let key = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----";
        let text = format!("RUN pip -i https://a:b@host/x && B=ghp_0123456789\nRUN x <<E\n{key}\nE\n");
        let replaced = replace(&text, |found| format!("<{}>", found.len()));
        assert_eq!(replaced, "RUN pip -i https://<3>@host/x && B=<14>\nRUN x <<E\n<57>\n\n\nE\n");
    }
}
