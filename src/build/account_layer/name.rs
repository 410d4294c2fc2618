//! Names for containers and repositories, from names of images.

/// Longest name; a container's name also holds the owner's uid.
const LONGEST: usize = 63;

fn is_mark(c: char) -> bool {
    matches!(c, '.' | '_' | '-')
}

/// What a text comes to as a name: small letters, digits, and single `.`, `_`
/// or `-` between them. `None`: nothing is left.
///
/// Every such name can also be a repository's, which is why marks never stand
/// side by side.
pub(crate) fn named(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.trim().chars() {
        let c = if c.is_whitespace() { '-' } else { c.to_ascii_lowercase() };
        let usable = c.is_ascii_lowercase() || c.is_ascii_digit() || is_mark(c);
        if usable && !(is_mark(c) && name.ends_with(is_mark)) && name.len() < LONGEST {
            name.push(c);
        }
    }
    let name = name.trim_matches(is_mark);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The name that an image's repository or its key in a spec gives: of
/// `aimehub/pytorch-2.8.0` the last part, of `vision@py312` `vision-py312`.
pub(crate) fn derived(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    named(&last.replace('@', "-")).unwrap_or_else(|| "image".to_owned())
}
