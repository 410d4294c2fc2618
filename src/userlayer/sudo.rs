//! The right to become root without a password.

use super::facts::BaseFacts;
use super::refusal::Refusal;
use super::table::Table;
use crate::account::Account;

/// Where the program is on Debian, Ubuntu and Fedora.
pub(super) const PROGRAM: &str = "/usr/bin/sudo";

/// Groups that the distributions' `/etc/sudoers` trust.
pub(super) const TRUSTED_GROUPS: [&str; 3] = ["sudo", "wheel", "admin"];

/// The account's own rule file.
pub(super) fn path_of(account: &Account) -> String {
    format!("/etc/sudoers.d/{}", account.name)
}

/// The group whose members may use sudo: `sudo`, or `wheel` in a base that has
/// only that.
pub(super) fn group(base: &BaseFacts) -> Option<&'static str> {
    let table = Table::parse(base.content("/etc/group").unwrap_or_default());
    ["sudo", "wheel"].into_iter().find(|name| table.named(name.as_bytes()).is_some())
}

/// Text of the rule file; `None` if no right is asked for.
///
/// The rule names the uid, since some account names have a meaning of their
/// own in sudoers (`ALL`, `Defaults`, every upper-case alias).
///
/// # Errors
/// If the base has no sudo.
pub(super) fn rule(base: &BaseFacts, account: &Account) -> Result<Option<String>, Refusal> {
    if !account.sudo {
        return Ok(None);
    }
    if base.get(PROGRAM).is_none() {
        return Err(Refusal::new(
            format!("`{}` is to have sudo, and the base has no `{PROGRAM}`", account.name),
            "add sudo to the packages of the image below (`packages: {apt: [sudo]}`), or drop `sudo: true`",
        ));
    }
    Ok(Some(format!("# {} may become root\n#{} ALL=(ALL:ALL) NOPASSWD: ALL\n", account.name, account.uid)))
}
