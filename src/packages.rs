//! Declared packages, and the exec steps they become.
//!
//! A requirement is parsed before it is used and goes into an argument
//! vector, never into a shell string: `pandas>=1.5` is a version, not a
//! redirect. Knows nothing of users: package layers stand below them.

/// `packages:` of an image or a project, each list sorted and without doubles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// Debian package names.
    pub apt: Vec<String>,
    /// PEP 508 requirements in normal form.
    pub pip: Vec<String>,
}

// PLACEHOLDER: at the merge take the other side's `parse_apt` and `parse_pip`.

/// A Debian package name in normal form.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_apt(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let inner = text.bytes().all(|b| plain(b) || matches!(b, b'+' | b'-' | b'.'));
    if inner && text.len() > 1 && text.bytes().next().is_some_and(plain) {
        Ok(text.to_owned())
    } else {
        Err("a Debian package name has small letters, digits, `+`, `-` and `.`".into())
    }
}

/// A PEP 508 requirement in normal form.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_pip(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if plain && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(text.trim().to_owned())
    } else {
        Err("a requirement begins with the name of a package".into())
    }
}
