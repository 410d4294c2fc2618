//! The right to become root without a password: given where it is asked for,
//! and not inherited from the base where it is not.

use super::facts::{BaseFacts, FactKind, Want};
use super::refusal::Refusal;
use super::table::Table;
use crate::model::account::Account;

/// Where the program is on Debian, Ubuntu and Fedora.
const PROGRAM: &str = "/usr/bin/sudo";
/// What can install it.
const APT: &str = "/usr/bin/apt-get";
/// Where accounts have rule files of their own.
const RULES: &str = "/etc/sudoers.d";

/// Groups that the distributions' `/etc/sudoers` trust.
pub(super) const TRUSTED_GROUPS: [&str; 3] = ["sudo", "wheel", "admin"];

/// The account's own rule file.
pub(super) fn path_of(account: &Account) -> String {
    format!("{RULES}/{}", account.name)
}

/// What must be known of a base.
pub(super) fn wants(account: &Account) -> Vec<Want> {
    let programs = [PROGRAM, APT].into_iter().filter(|_| account.sudo);
    let programs = programs.map(|path| Want::Stat(path.to_owned()));
    programs.chain([Want::Entries(RULES.to_owned())]).collect()
}

/// The group whose members may use sudo: `sudo`, or `wheel` in a base that has
/// only that.
pub(super) fn group(base: &BaseFacts) -> Option<&'static str> {
    let table = Table::parse(base.content("/etc/group").unwrap_or_default());
    ["sudo", "wheel"].into_iter().find(|name| table.named(name.as_bytes()).is_some())
}

/// Whether sudo has to be installed into this base before the account is laid
/// on it. What [`wanted`](super::wanted) asks for must be known.
///
/// # Errors
/// If that cannot be done, since the base has no apt.
pub(crate) fn lacks_sudo(base: &BaseFacts, account: &Account) -> Result<bool, Refusal> {
    if !account.sudo || base.get(PROGRAM).is_some() {
        return Ok(false);
    }
    if base.get(APT).is_none() {
        return Err(Refusal::new(
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
pub(super) fn rule(base: &BaseFacts, account: &Account) -> Result<Option<String>, Refusal> {
    let name = &account.name;
    if !account.sudo {
        let inherited = base.get(&path_of(account)).is_some_and(|fact| fact.kind != FactKind::Dir(None));
        return Ok(inherited.then(|| format!("# {name} has no right to become root\n")));
    }
    if base.get(PROGRAM).is_none() {
        return Err(Refusal::new(
            format!("`{name}` is to have sudo, and the base has no `{PROGRAM}`"),
            "add sudo to the packages of the image below (`packages: {apt: [sudo]}`), or drop `sudo: true`",
        ));
    }
    Ok(Some(format!("# {name} may become root\n#{} ALL=(ALL:ALL) NOPASSWD: ALL\n", account.uid)))
}
