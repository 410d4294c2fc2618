//! Accounts that cannot or must not be in an image, the right to become root,
//! and whether an image has the account that it was made for.

use super::base::{BaseFacts, FactKind, UserLayerInput};
use super::databases::{Database, passwd};
use super::{WORKSPACE, home_of};
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

/// Why an account cannot be in an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct AccountError {
    /// A lowercase fragment that names what collides.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: String,
}

impl AccountError {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// Whether this account may be in any image at all: its uid and gid are a
/// person's, and no field could break a line of `/etc/passwd`.
///
/// # Errors
/// Names the field and what it may be.
pub(crate) fn check_account(account: &Account) -> Result<(), AccountError> {
    check_id(account, "uid", account.uid, FIRST_PERSON, ["root", "a system account", "`nobody`"])?;
    check_id(account, "gid", account.gid, FIRST_GROUP, ["root's group", "a system group", "`nogroup`"])?;
    check_name(&account.name)?;
    check_shell(&account.shell)
}

/// The names: whose 0 is, whose the ids below `first` are, and whose 65534 is.
fn check_id(
    account: &Account,
    kind: &str,
    id: u32,
    first: u32,
    [root, system, nobody]: [&str; 3],
) -> Result<(), AccountError> {
    let whose = match id {
        0 => root,
        _ if id < first => system,
        NOBODY => nobody,
        u32::MAX => &format!("no {kind} at all (-1)"),
        _ => return Ok(()),
    };
    Err(AccountError::new(
        format!("{kind} {id} of `{}` is {whose}", account.login),
        format!("use the {kind} that `id -{}` shows for this person; it is {first} or above", &kind[..1]),
    ))
}

fn check_name(name: &str) -> Result<(), AccountError> {
    if name == "root" {
        return Err(AccountError::new(
            "`root` is the account with uid 0, not a person's",
            "use the person's own login",
        ));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let numeric = name.bytes().all(|b| b.is_ascii_digit());
    if !numeric && name.len() <= LONGEST_NAME && !name.starts_with('-') && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(AccountError::new(
        format!("{name:?} cannot be an account name"),
        format!(
            "write 1 to {LONGEST_NAME} of the characters A-Z, a-z, 0-9, `-` and `_`, not only digits and no `-` first"
        ),
    ))
}

fn check_shell(shell: &str) -> Result<(), AccountError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
    if shell.len() > 1 && shell.starts_with('/') && !shell.ends_with('/') && shell.bytes().all(allowed) {
        return Ok(());
    }
    Err(AccountError::new(
        format!("{shell:?} cannot be a shell"),
        "write an absolute path of letters, digits and `/._+-`, such as `/bin/bash`",
    ))
}

// Whether an image has the account that it was made for.

/// What must be read back from the image for [`verify`].
pub(crate) fn verify_inputs(account: &Account) -> Vec<UserLayerInput> {
    let contents =
        ["/etc/passwd", "/etc/group", "/etc/shadow"].map(|path| UserLayerInput::Content(path.to_owned()));
    let folders = folders(account).map(UserLayerInput::Stat);
    let rule = account.sudo.then(|| UserLayerInput::Stat(sudo_rule_path(account)));
    contents.into_iter().chain(folders).chain(rule).collect()
}

fn folders(account: &Account) -> [String; 3] {
    let home = home_of(account);
    [home.clone(), format!("{home}/.local/bin"), WORKSPACE.to_owned()]
}

/// Checks what was read back from an image with the user layer.
///
/// # Errors
/// The first thing that is not as it should be, as a lowercase fragment.
pub(crate) fn verify(read: &BaseFacts, account: &Account) -> Result<(), String> {
    verify_entries(read, account)?;
    for folder in folders(account) {
        let fact = read.get(&folder).ok_or_else(|| format!("`{folder}` is not in the image"))?;
        if !matches!(fact.kind, FactKind::Dir(_)) {
            return Err(format!("`{folder}` is not a folder"));
        }
        verify_owner(&folder, (fact.uid, fact.gid), (account.uid, account.gid))?;
    }
    if account.sudo {
        let path = sudo_rule_path(account);
        let fact = read.get(&path).ok_or_else(|| format!("`{path}` is not in the image"))?;
        verify_owner(&path, (fact.uid, fact.gid), (0, 0))?;
        if fact.mode != 0o440 {
            return Err(format!("`{path}` has mode {:o}, not 440", fact.mode));
        }
    }
    Ok(())
}

fn verify_entries(read: &BaseFacts, account: &Account) -> Result<(), String> {
    let name = account.name.as_bytes();
    let accounts = Database::parse(read.content("/etc/passwd").ok_or("`/etc/passwd` is not in the image")?);
    // The first entry of a uid is the one that `whoami` shows.
    let entry = accounts
        .entries()
        .find(|entry| entry.number(passwd::UID) == Some(account.uid))
        .ok_or_else(|| format!("`/etc/passwd` has no uid {}", account.uid))?;
    let shown = (entry.field(0), entry.number(passwd::GID), entry.field(passwd::HOME));
    if shown != (name, Some(account.gid), home_of(account).as_bytes()) {
        return Err(format!(
            "`/etc/passwd` says that uid {} is `{}` with gid {} and home `{}`",
            account.uid,
            entry.text(0),
            entry.text(passwd::GID),
            entry.text(passwd::HOME)
        ));
    }
    let groups = Database::parse(read.content("/etc/group").ok_or("`/etc/group` is not in the image")?);
    if !groups.entries().any(|entry| entry.number(2) == Some(account.gid)) {
        return Err(format!("`/etc/group` has no gid {}", account.gid));
    }
    match read.content("/etc/shadow") {
        Some(shadow) if Database::parse(shadow).named(name).is_none() => {
            Err(format!("`/etc/shadow` has no `{}`", account.name))
        }
        _ => Ok(()),
    }
}

fn verify_owner(path: &str, is: (u32, u32), should: (u32, u32)) -> Result<(), String> {
    if is == should {
        return Ok(());
    }
    Err(format!("`{path}` belongs to {}:{}, not {}:{}", is.0, is.1, should.0, should.1))
}

// The right to become root without a password: given where it is asked for,
// and not inherited from the base where it is not.

/// Where the program is on Debian, Ubuntu and Fedora.
const PROGRAM: &str = "/usr/bin/sudo";
/// What can install it.
const APT: &str = "/usr/bin/apt-get";
/// Where accounts have rule files of their own.
const RULES: &str = "/etc/sudoers.d";

/// Groups that the distributions' `/etc/sudoers` trust.
pub(super) const TRUSTED_GROUPS: [&str; 3] = ["sudo", "wheel", "admin"];

/// The account's own rule file.
pub(super) fn sudo_rule_path(account: &Account) -> String {
    format!("{RULES}/{}", account.name)
}

/// What must be known of a base.
pub(super) fn sudo_inputs(account: &Account) -> Vec<UserLayerInput> {
    let programs = [PROGRAM, APT].into_iter().filter(|_| account.sudo);
    let programs = programs.map(|path| UserLayerInput::Stat(path.to_owned()));
    programs.chain([UserLayerInput::Entries(RULES.to_owned())]).collect()
}

/// The group whose members may use sudo: `sudo`, or `wheel` in a base that has
/// only that.
pub(super) fn sudo_group(base: &BaseFacts) -> Option<&'static str> {
    let table = Database::parse(base.content("/etc/group").unwrap_or_default());
    ["sudo", "wheel"].into_iter().find(|name| table.named(name.as_bytes()).is_some())
}

/// Whether sudo has to be installed into this base before the account is
/// added. What [`missing_inputs`](super::wanted) asks for must be known.
///
/// # Errors
/// If that cannot be done, since the base has no apt.
pub(crate) fn lacks_sudo(base: &BaseFacts, account: &Account) -> Result<bool, AccountError> {
    if !account.sudo || base.get(PROGRAM).is_some() {
        return Ok(false);
    }
    if base.get(APT).is_none() {
        return Err(AccountError::new(
            format!(
                "`{}` is to have sudo, and the base has neither `{PROGRAM}` nor `{APT}` to install it with",
                account.name
            ),
            "build on an image that has sudo, or drop `sudo: true`",
        ));
    }
    Ok(true)
}

/// Text of the account's rule file; `None` if there is to be none.
///
/// The rule names the uid, since some account names have a meaning of their
/// own in sudoers (`ALL`, `Defaults`, every upper-case alias). A rule that the
/// base has under the account's name says nothing any more if no right is
/// asked for: it may be from an earlier life of the same account.
///
/// # Errors
/// If the base has no sudo.
pub(super) fn sudo_rule(base: &BaseFacts, account: &Account) -> Result<Option<String>, AccountError> {
    let name = &account.name;
    if !account.sudo {
        let inherited =
            base.get(&sudo_rule_path(account)).is_some_and(|fact| fact.kind != FactKind::Dir(None));
        return Ok(inherited.then(|| format!("# {name} has no right to become root\n")));
    }
    if base.get(PROGRAM).is_none() {
        return Err(AccountError::new(
            format!("`{name}` is to have sudo, and the base has no `{PROGRAM}`"),
            "add sudo to the packages of the image below (`packages: {apt: [sudo]}`), or drop `sudo: true`",
        ));
    }
    Ok(Some(format!("# {name} may become root\n#{} ALL=(ALL:ALL) NOPASSWD: ALL\n", account.uid)))
}
