//! A person's account as it is baked into images and shown in names.
//!
//! An [`Account`] is a person in all that is made for them. Beside it there
//! are what is known of a person elsewhere: `host::people` has an entry of the
//! user database (`Person`, which need not give an account) and who asks
//! (`Caller`, whose rights count and nothing else); `spec::User` and
//! `deploy::owner::Owner` are accounts with their group and their limits; an
//! `OwnerName` in `labels::read` is what a container says of whose it is.

use sha2::{Digest, Sha256};

use crate::model::names::{Login, ProjectName};

/// What the user layer needs to know of a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    /// The login as it is; goes onto labels.
    pub(crate) login: Login,
    /// The account name made from it by [`account_name`].
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Absolute path; `/bin/bash` if the spec says nothing.
    pub(crate) shell: String,
    pub(crate) sudo: bool,
    /// The project whose JupyterLab kernel and settings lie in the home.
    pub(crate) jupyter: Option<ProjectName>,
}

/// The shell where nobody says another.
const SHELL: &str = "/bin/bash";

impl Account {
    /// The account of a login, without JupyterLab.
    ///
    /// # Errors
    /// As [`account_name`].
    pub(crate) fn new(
        login: Login,
        (uid, gid): (u32, u32),
        shell: Option<String>,
        sudo: bool,
    ) -> Result<Self, String> {
        let name = account_name(&login)?;
        Ok(Self { login, name, uid, gid, shell: shell.unwrap_or_else(|| SHELL.into()), sudo, jupyter: None })
    }
}

/// Below it are a system's own accounts.
pub(crate) const FIRST_UID: u32 = 1000;

/// Longest name that useradd and utmp take.
const MAX: usize = 32;
/// What a shortened name keeps of the login; the rest is `-` and four digits.
const KEPT: usize = 27;

/// The account name that a login gives, the same everywhere: of letters,
/// digits, `_` and `-`, at most 32, not beginning with `-`, never only digits
/// (such a name would be taken for a uid).
///
/// # Errors
/// When no usable character is left.
pub(crate) fn account_name(login: &Login) -> Result<String, String> {
    let local = login.as_str().split('@').next().unwrap_or_default();
    let mut name = String::with_capacity(local.len());
    for c in local.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        if c != '-' || !name.ends_with('-') {
            name.push(c);
        }
    }
    let mut name = shortened(name.trim_matches('-').to_owned(), login);
    if name.is_empty() {
        return Err(format!("the login `{login}` has no letter or digit that an account name may have"));
    }
    if name.bytes().all(|b| b.is_ascii_digit()) {
        // 32 digits are too long once more with the letter.
        name = shortened(format!("u{name}"), login);
    }
    Ok(name)
}

fn shortened(name: String, login: &Login) -> String {
    if name.len() <= MAX {
        return name;
    }
    let hash = Sha256::digest(login.as_str().as_bytes());
    format!("{}-{:02x}{:02x}", name[..KEPT].trim_end_matches('-'), hash[0], hash[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(login: &str) -> Result<String, String> {
        account_name(&Login::new(login))
    }

    #[test]
    fn logins_give_the_names_that_people_know() {
        for (login, expected) in [
            ("c.fusarbassini@hertie-school.lan", "c-fusarbassini"),
            ("john.doe", "john-doe"),
            ("christopher.vandenbergenstein@hertie-school.lan", "christopher-vandenbergenstein"),
            ("204214@x", "u204214"),
            ("a..b--c@x@y", "a-b-c"),
            (".a_B-.", "a_B"),
            ("DOMAIN\\jane", "DOMAIN-jane"),
        ] {
            assert_eq!(name(login).as_deref(), Ok(expected), "{login}");
        }
    }

    #[test]
    fn a_login_without_usable_characters_is_an_error_that_names_it() {
        for login in ["李雷@x", "", "@x", "..."] {
            assert!(name(login).unwrap_err().contains(&format!("`{login}`")), "{login}");
        }
    }

    #[test]
    fn a_long_login_is_shortened_with_a_hash_of_the_whole_login() {
        let long = "abcdefghijklmnopqrstuvwxyz-abcdefgh";
        let here = name(&format!("{long}@x")).unwrap();
        // printf %s '<login>' | sha256sum
        assert_eq!(here, "abcdefghijklmnopqrstuvwxyz-f634");
        assert_ne!(here, name(&format!("{long}@y")).unwrap());
        assert_eq!(name(&"a".repeat(32)).unwrap(), "a".repeat(32));
        let digits = name(&"7".repeat(32)).unwrap();
        assert!(digits.starts_with(&format!("u{}-", "7".repeat(26))) && digits.len() == 32, "{digits}");
    }

    proptest! {
        #[test]
        fn every_name_can_be_an_account(login in prop_oneof![any::<String>(), "[0-9.@-]{0,40}", "[a-zA-Z0-9._@-]{0,60}"]) {
            let grammar = regex::Regex::new("^[a-z_A-Z0-9][A-Za-z0-9_-]{0,31}$").unwrap();
            if let Ok(first) = name(&login) {
                prop_assert!(grammar.is_match(&first), "{first}");
                prop_assert!(!first.bytes().all(|b| b.is_ascii_digit()), "{first}");
                prop_assert!(!first.ends_with('-') && !first.contains("--"), "{first}");
                prop_assert_eq!(Ok(first), name(&login));
            } else {
                let local = login.split('@').next().unwrap_or_default();
                prop_assert!(!local.bytes().any(|b| b.is_ascii_alphanumeric() || b == b'_'), "{login}");
            }
        }
    }
}
