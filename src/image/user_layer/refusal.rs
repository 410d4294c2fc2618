//! Accounts that cannot or must not be baked in.

use crate::model::account::Account;

/// The smallest uid of a person; below are system accounts (`UID_MIN` of
/// login.defs on Debian, Ubuntu, Fedora).
pub(super) const FIRST_PERSON: u32 = 1000;
/// `nobody`; nothing may belong to it.
const NOBODY: u32 = 65534;
/// Debian policy 9.2.2 gives gids below this out by hand (`shadow` 42, `sudo`
/// 27); the first one for people is `users`, 100.
const FIRST_GROUP: u32 = 100;
/// What `useradd` takes at most.
const LONGEST_NAME: usize = 32;

/// Why an account is not laid on a base.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// A lowercase fragment that names what collides.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: String,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// Whether this account may be in any image at all: its uid and gid are a
/// person's, and no field could break a line of `/etc/passwd`.
///
/// # Errors
/// Names the field and what it may be.
pub(crate) fn check_account(account: &Account) -> Result<(), Refusal> {
    check_uid(account)?;
    check_gid(account)?;
    check_name(&account.name)?;
    check_shell(&account.shell)
}

fn check_uid(account: &Account) -> Result<(), Refusal> {
    let uid = account.uid;
    let what = match uid {
        0 => "root",
        1..FIRST_PERSON => "a system account",
        NOBODY => "`nobody`",
        u32::MAX => "no uid at all (-1)",
        _ => return Ok(()),
    };
    Err(Refusal::new(
        format!("uid {uid} of `{}` is {what}", account.login),
        format!("use the uid that `id -u` shows for this person; it is {FIRST_PERSON} or above"),
    ))
}

fn check_gid(account: &Account) -> Result<(), Refusal> {
    let gid = account.gid;
    let what = match gid {
        0 => "root's group",
        1..FIRST_GROUP => "a system group",
        NOBODY => "`nogroup`",
        u32::MAX => "no gid at all (-1)",
        _ => return Ok(()),
    };
    Err(Refusal::new(
        format!("gid {gid} of `{}` is {what}", account.login),
        format!("use the gid that `id -g` shows for this person; it is {FIRST_GROUP} or above"),
    ))
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name == "root" {
        return Err(Refusal::new(
            "`root` is the account with uid 0, not a person's",
            "use the person's own login",
        ));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let numeric = name.bytes().all(|b| b.is_ascii_digit());
    if !numeric && name.len() <= LONGEST_NAME && !name.starts_with('-') && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Refusal::new(
        format!("{name:?} cannot be an account name"),
        format!(
            "write 1 to {LONGEST_NAME} of the characters A-Z, a-z, 0-9, `-` and `_`, not only digits and no `-` first"
        ),
    ))
}

fn check_shell(shell: &str) -> Result<(), Refusal> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
    if shell.len() > 1 && shell.starts_with('/') && !shell.ends_with('/') && shell.bytes().all(allowed) {
        return Ok(());
    }
    Err(Refusal::new(
        format!("{shell:?} cannot be a shell"),
        "write an absolute path of letters, digits and `/._+-`, such as `/bin/bash`",
    ))
}
