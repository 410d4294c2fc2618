//! The grammars of names, build args, tags and other short texts of a spec.
//!
//! A spec is untrusted input: what passes here later stands in file paths,
//! image references, labels and argument vectors.

use super::reader::short;
use crate::model::reference::Repository;

/// Longest name of an image, base, plan or project.
const MAX_NAME: usize = 63;
/// Longest prefix, so that a branch of the same length still fits a tag (128).
const MAX_PREFIX: usize = 63;
/// Longest build arg value, in bytes.
const MAX_VALUE: usize = 32 * 1024;

/// What is wrong with a text, and what to write.
#[derive(Debug)]
pub(crate) struct GrammarError {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl GrammarError {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

type Check = Result<(), GrammarError>;

/// The name of an image, base or project; `what` says which, for the message.
pub(crate) fn name(what: &str, text: &str) -> Check {
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    id(what, text, lower, "small letters, digits and `.`, `_`, `-` between them")
}

/// The name of a plan; old stacks write them in capitals.
pub(crate) fn plan_name(text: &str) -> Check {
    id("plan", text, |c| c.is_ascii_alphanumeric(), "letters, digits and `.`, `_`, `-` between them")
}

/// The name of a group of users.
pub(crate) fn group_name(text: &str) -> Check {
    id("group", text, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), "small letters, digits, `_` and `-`")
}

fn id(what: &str, text: &str, plain: impl Fn(char) -> bool, grammar: &str) -> Check {
    if text.is_empty() {
        return Err(GrammarError::new(format!("an empty {what} name"), format!("use {grammar}")));
    }
    if text.len() > MAX_NAME {
        let message = format!("the {what} name `{}` has {} characters", short(text), text.chars().count());
        return Err(GrammarError::new(message, format!("use at most {MAX_NAME}")));
    }
    let inner = text.chars().all(|c| plain(c) || matches!(c, '.' | '_' | '-'));
    let right = inner && text.starts_with(&plain) && text.ends_with(&plain) && !text.contains("..");
    right_if(right, text, &format!("is no {what} name"), &format!("use {grammar}"))
}

/// What all the other grammars say: `text` is right, or cannot be `what`.
fn right_if(right: bool, text: &str, what: &str, help: &str) -> Check {
    if right { Ok(()) } else { Err(GrammarError::new(format!("`{}` {what}", short(text)), help)) }
}

fn all_of(text: &str, punctuation: &[u8]) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || punctuation.contains(&b))
}

/// The key of a build arg: an identifier.
pub(crate) fn build_arg_key(text: &str) -> Check {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let right = begins && all_of(text, b"_") && text.len() <= 128;
    let help = "use letters, digits and `_`, beginning with a letter";
    right_if(right, text, "cannot be the name of a build arg", help)
}

/// The value of a build arg: one line.
pub(crate) fn build_arg_value(text: &str) -> Check {
    if let Some(bad) = text.chars().find(|c| c.is_control() && *c != '\t') {
        let what = if bad == '\n' { "a line break".into() } else { format!("the control character {bad:?}") };
        return Err(GrammarError::new(format!("a build arg with {what}"), "a build arg is one line"));
    }
    if text.len() > MAX_VALUE {
        let message = format!("a build arg of {} bytes", text.len());
        return Err(GrammarError::new(
            message,
            format!("a build arg has at most {MAX_VALUE} bytes; copy a file instead"),
        ));
    }
    Ok(())
}

/// `tag.prefix` and `tag_prefix`: begins a tag, with room for a branch.
pub(crate) fn tag_prefix(text: &str) -> Check {
    tag(text)?;
    if text.len() > MAX_PREFIX {
        let message =
            format!("the tag prefix has {} characters, which leaves no room for a branch", text.len());
        return Err(GrammarError::new(message, format!("use at most {MAX_PREFIX}")));
    }
    Ok(())
}

/// A whole tag, by the distribution grammar.
pub(crate) fn tag(text: &str) -> Check {
    if text.is_empty() {
        return Err(GrammarError::new("an empty tag", "write at least one letter or digit"));
    }
    let right = all_of(text, b"._-") && text.len() <= 128 && !text.starts_with(['.', '-']);
    let help = "use letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most 128";
    right_if(right, text, "cannot be a tag", help)
}

/// The id of a secret, the name of an info command, a stage of a Dockerfile.
pub(crate) fn word(what: &str, text: &str) -> Check {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let right = begins && all_of(text, b"._-") && text.len() <= 128;
    right_if(right, text, &format!("cannot be {what}"), "use letters, digits, `.`, `_` and `-`")
}

/// One line without blanks around it, as a user database may hold.
fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.trim() == text && !text.is_empty() && text.len() <= 256
}

/// A login: anything a user database may hold that fits on one line of a label.
pub(crate) fn login(text: &str) -> Check {
    let help = "write it as the user database has it: one line of at most 256 bytes without blanks around";
    right_if(is_one_line(text), text, "cannot be a login", help)
}

/// A group of the machine: some directories allow blanks in it.
pub(crate) fn system_group(text: &str) -> Check {
    let help = "write it as `id -Gn` shows it: one line without `:` and `,`";
    right_if(is_one_line(text) && !text.contains([':', ',']), text, "cannot be a group of the machine", help)
}

/// A shell: an absolute path that may stand in `/etc/passwd`.
pub(crate) fn shell(text: &str) -> Check {
    let parts = text.split('/').skip(1).all(|part| !part.is_empty() && part != "." && part != "..");
    let right = parts && text.starts_with('/') && all_of(text, b"._-/") && text.len() <= 256;
    right_if(right, text, "cannot be a shell", "write an absolute path, such as /bin/bash")
}

/// The host of a registry, with or without a port.
pub(crate) fn registry_host(text: &str) -> Check {
    let repository = Repository::parse(&format!("{text}/name"));
    let right = repository.is_ok_and(|repository| repository.host() == Some(text));
    let help = "write host:port, or a host with a dot, without http:// and path";
    right_if(right, text, "is no host of a registry", help)
}

/// A web address without user and password: it is shown in logs.
pub(crate) fn url(text: &str) -> Check {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|r| !r.is_empty() && r.bytes().all(|b| b.is_ascii_graphic())) else {
        let shown = if text.contains('@') { "…".into() } else { short(text) };
        return Err(GrammarError::new(format!("`{shown}` is not a web address"), "write https://host/path"));
    };
    if rest.split('/').next().is_some_and(|host| host.contains('@')) {
        return Err(GrammarError::new(
            "a web address with a password",
            "nothing secret belongs into a spec: put the address into a file that only builders can read, and write `{file: PATH}`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths_and_references() {
        for good in ["a", "vision", "scipy-ml-notebook", "py3.12", "0x", "a_b", &"a".repeat(63)] {
            assert!(name("image", good).is_ok(), "{good}");
        }
        for bad in
            ["", "A", "a/b", "..", ".a", "a.", "-a", "a-", "a..b", "a b", "ä", "a\n", "a@b", &"a".repeat(64)]
        {
            assert!(name("image", bad).is_err(), "{bad}");
        }
        assert!(plan_name("PYTHON38").is_ok());
    }

    #[test]
    fn a_prefix_leaves_room_for_a_branch() {
        assert!(tag_prefix("2026.4-py312").is_ok());
        assert!(tag_prefix(&"a".repeat(63)).is_ok());
        assert!(tag_prefix(&"a".repeat(64)).is_err());
        for bad in ["", "-a", ".a", "a:b", "a/b", "a b"] {
            assert!(tag_prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn build_args_are_identifiers_with_one_line() {
        assert!(build_arg_key("PY_VER").is_ok() && build_arg_key("_x1").is_ok());
        for bad in ["", "1A", "A-B", "A B", "A=B", "ä"] {
            assert!(build_arg_key(bad).is_err(), "{bad}");
        }
        assert!(build_arg_value("a b\tc $d \"").is_ok() && build_arg_value("").is_ok());
        assert!(build_arg_value("a\nb").is_err() && build_arg_value("a\0").is_err());
    }

    #[test]
    fn shells_logins_and_addresses_have_grammars() {
        assert!(shell("/usr/bin/zsh").is_ok());
        for bad in ["bash", "/", "/bin/ba sh", "/bin/bash:x", "/bin/../x", "/bin//sh"] {
            assert!(shell(bad).is_err(), "{bad}");
        }
        assert!(login("h.baker@hertie-school.lan").is_ok() && login("李雷@x").is_ok());
        assert!(login("").is_err() && login(" a").is_err() && login("a\nb").is_err());
        assert!(url("https://pypi.example.org/simple").is_ok());
        assert!(url("ftp://x").is_err() && url("https://u:p@x/").is_err() && url("https://").is_err());
    }
}
