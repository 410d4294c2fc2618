//! The grammar of Debian packages: `name`, `name:arch`, `name=version`.

use super::check_text;

const KIND: &str = "a Debian package";

/// Checks one Debian package: a name (Debian policy 5.6.1), then maybe
/// `:architecture`, then maybe `=version` (policy 5.6.12). Blanks at the ends
/// are dropped.
///
/// # Errors
/// Says what is wrong and what to write instead.
pub(crate) fn parse_apt(text: &str) -> Result<String, String> {
    let text = text.trim_matches([' ', '\t']);
    check_text(text, KIND)?;
    let (package, version) = text.split_once('=').map_or((text, None), |(p, v)| (p, Some(v)));
    let (name, arch) = package.split_once(':').map_or((package, None), |(n, a)| (n, Some(a)));
    check_name(text, name)?;
    if let Some(arch) = arch
        && !(is_word(arch) && arch.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
    {
        return Err(format!("{arch:?} in {text:?} is not an architecture; write one such as `{name}:amd64`"));
    }
    if let Some(version) = version
        && !is_version(version)
    {
        return Err(format!(
            "{version:?} in {text:?} is not a Debian version; write all of it, as `{name}=1:2.3-4`, or leave it out"
        ));
    }
    Ok(text.to_owned())
}

fn check_name(text: &str, name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    if let Some(bad) = name.chars().find(|&c| !c.is_ascii() || !allowed(c as u8)) {
        let help = match bad {
            'A'..='Z' => format!("names are lower case, perhaps `{}`", name.to_lowercase()),
            '<' | '>' => "only an exact version can be asked for, as `name=1.2-3`".to_owned(),
            '/' => {
                "a release cannot be chosen; write the name, or an exact version as `name=1.2-3`".to_owned()
            }
            ' ' => "write one package for each entry".to_owned(),
            _ => "write a name as `apt-cache search` shows it".to_owned(),
        };
        return Err(format!("{text:?} is not {KIND}: {bad:?} cannot be in a name; {help}"));
    }
    if name.len() < 2 || !is_word(name) {
        return Err(format!(
            "{text:?} is not {KIND}: a name has two characters or more and begins with a letter or digit; write it as `apt-cache search` shows it"
        ));
    }
    // To apt-get, `name-` means: remove it.
    if name.ends_with('-') {
        return Err(format!(
            "{text:?} ends with `-`, which would remove a package; packages of the base cannot be removed here"
        ));
    }
    Ok(())
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-:~".contains(&b))
}
