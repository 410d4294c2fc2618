//! Where packages come from on a site: a web address, maybe with credentials,
//! as the files that pip and apt read. It is a secret from its first to its
//! last byte: it is printed nowhere, not even by `Debug`.

use std::fmt;

/// A package index or mirror.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PackageIndex {
    /// `http` or `https`.
    scheme: String,
    /// `user:password` or `token`, percent-encoded as written; may be empty.
    login: String,
    /// Host, port and path.
    rest: String,
}

impl fmt::Debug for PackageIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Site(…)")
    }
}

impl PackageIndex {
    /// Reads `https://user:password@host/path`; blanks and line ends around
    /// it are dropped, since files end in one.
    ///
    /// # Errors
    /// Says what is wrong, without the text itself.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let address = "is no web address in one line; write `https://host/path`, with `user:password@` before the host where it needs a login";
        let (scheme, rest) = text.split_once("://").ok_or(address)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = host.rsplit_once('@').unwrap_or(("", host));
        let graphic = text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\#?".contains(&b));
        let named = !matches!(host.bytes().next(), None | Some(b':'))
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        if !matches!(scheme, "http" | "https") || !graphic || !named || login.contains('@') {
            return Err(address.into());
        }
        let site = Self { scheme: scheme.into(), login: login.into(), rest: format!("{host}/{path}") };
        if site.words().iter().any(|word| word.chars().any(|c| c.is_whitespace() || c.is_control())) {
            return Err("has a blank in its user or password, which apt cannot be told; change it".into());
        }
        Ok(site)
    }

    /// A configuration for pip that makes this its index.
    pub(crate) fn pip_conf(&self) -> String {
        let at = if self.login.is_empty() { "" } else { "@" };
        let index = format!("index-url = {}://{}{at}{}", self.scheme, self.login, self.rest);
        // Whoever writes http:// here has decided to trust the way to it; pip
        // would leave the index out without a word of error.
        let trust = format!("trusted-host = {}\n", self.host());
        format!("[global]\n{index}\n{}", if self.scheme == "http" { trust.as_str() } else { "" })
    }

    /// The address without credentials, as a line of apt's sources has it.
    pub(crate) fn apt_mirror(&self) -> String {
        format!("{}://{}", self.scheme, self.rest.trim_end_matches('/'))
    }

    /// Whether there are credentials in it.
    pub(crate) fn has_login(&self) -> bool {
        !self.login.is_empty()
    }

    /// The credentials as apt reads them; `None`: there are none.
    pub(crate) fn apt_auth(&self) -> Option<String> {
        let mut words = self.words().into_iter();
        let user = words.next()?;
        let password = words.next().unwrap_or_default();
        Some(format!("machine {} login {user} password {password}\n", self.apt_mirror()))
    }

    /// Everything that must not be shown, in all the ways it is written: the
    /// user goes too, since a token may stand there.
    pub(crate) fn hidden(&self) -> Vec<String> {
        use base64::Engine;

        if self.login.is_empty() {
            return Vec::new();
        }
        let encoded = self.login.split(':').map(str::to_owned);
        let header = base64::prelude::BASE64_STANDARD.encode(self.words().join(":"));
        let mut hidden: Vec<String> =
            encoded.chain(self.words()).chain([self.login.clone(), header]).collect();
        hidden.retain(|text| text.len() >= SHORTEST);
        hidden
    }

    fn host(&self) -> &str {
        self.rest.split('/').next().unwrap_or_default()
    }

    /// User and password, decoded.
    fn words(&self) -> Vec<String> {
        if self.login.is_empty() {
            return Vec::new();
        }
        self.login.splitn(2, ':').map(decoded).collect()
    }
}

/// Shorter texts are no secret, and hiding them would blot out ordinary words.
const SHORTEST: usize = 4;

/// `%41` as `A`.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_gets_the_address_as_it_is_and_apt_gets_it_in_two_parts() {
        let site = PackageIndex::parse("https://jane:p%40ss%25@pypi.example.org:8443/simple/\n").unwrap();
        assert_eq!(
            site.pip_conf(),
            "[global]\nindex-url = https://jane:p%40ss%25@pypi.example.org:8443/simple/\n"
        );
        assert_eq!(site.apt_mirror(), "https://pypi.example.org:8443/simple");
        let auth = "machine https://pypi.example.org:8443/simple login jane password p@ss%\n";
        assert_eq!(site.apt_auth().as_deref(), Some(auth));
        assert_eq!(format!("{site:?}"), "Site(…)");
    }

    #[test]
    fn a_site_without_credentials_hides_nothing_and_http_is_trusted_as_written() {
        let site = PackageIndex::parse("http://mirror.example.org:3141/root").unwrap();
        assert_eq!((site.apt_auth(), site.hidden(), site.has_login()), (None, Vec::new(), false));
        assert!(site.pip_conf().ends_with("trusted-host = mirror.example.org:3141\n"));
    }

    #[test]
    fn every_writing_of_a_password_is_hidden_but_no_short_word() {
        let hidden = PackageIndex::parse("https://abc:se%40cret@host/").unwrap().hidden();
        for text in ["se%40cret", "se@cret", "abc:se%40cret", "YWJjOnNlQGNyZXQ="] {
            assert!(hidden.iter().any(|h| h == text), "{text}: {hidden:?}");
        }
        assert!(!hidden.iter().any(|h| h == "abc"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for bad in [
            "",
            "host/path",
            "ftp://host",
            "https://",
            "https://a:b@",
            "https://h\nx",
            "https://h/?a",
            "https://a:b%20c@h/",
            "https://a:b%0ac@h/",
            "https://u:secret@h@x/",
            "https://u:secret@:8080/simple",
        ] {
            let why = PackageIndex::parse(bad).expect_err(bad);
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
