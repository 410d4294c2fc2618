//! Whether the base already has the account, under this or another name.

use super::facts::BaseFacts;
use super::refusal::Refusal;
use super::table::Table;
use crate::model::account::Account;

/// Columns of `/etc/passwd`.
pub(super) mod passwd {
    pub(crate) const UID: usize = 2;
    pub(crate) const GID: usize = 3;
    pub(crate) const FULL_NAME: usize = 4;
    pub(crate) const HOME: usize = 5;
    pub(crate) const SHELL: usize = 6;
}

/// How the base knows the uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not at all.
    New,
    /// By an entry under this name and with this home; the name may differ
    /// from the account's.
    Known { name: Vec<u8>, home: String },
}

/// Looks the account up.
///
/// # Errors
/// If the name belongs to another uid, the uid to several names, or the
/// group's name to another gid.
pub(super) fn standing(base: &BaseFacts, account: &Account) -> Result<Standing, Refusal> {
    let table = Table::parse(base.content("/etc/passwd").unwrap_or_default());
    let name = account.name.as_bytes();
    if let Some(row) = table.named(name).filter(|row| row.number(passwd::UID) != Some(account.uid)) {
        return Err(Refusal::new(
            format!(
                "the base has an account `{}` with uid {}, not {}",
                account.name,
                row.text(passwd::UID),
                account.uid
            ),
            "use a base without this account, or another login for this person",
        ));
    }
    check_group(base, account)?;
    let mut rows = table.rows().filter(|row| row.number(passwd::UID) == Some(account.uid));
    let Some(row) = rows.next() else { return Ok(Standing::New) };
    if let Some(other) = rows.next() {
        return Err(Refusal::new(
            format!(
                "uid {} has two names in the base: `{}` and `{}`",
                account.uid,
                row.text(0),
                other.text(0)
            ),
            "use a base in which a uid has one name",
        ));
    }
    Ok(Standing::Known { name: row.field(0).to_vec(), home: row.text(passwd::HOME) })
}

fn check_group(base: &BaseFacts, account: &Account) -> Result<(), Refusal> {
    let table = Table::parse(base.content("/etc/group").unwrap_or_default());
    if table.rows().any(|row| row.number(2) == Some(account.gid)) {
        return Ok(());
    }
    match table.named(account.name.as_bytes()) {
        None => Ok(()),
        Some(row) => Err(Refusal::new(
            format!(
                "the base has a group `{}` with gid {}, and none with gid {}",
                account.name,
                row.text(2),
                account.gid
            ),
            format!("add a group with gid {} in an image between, or use another base", account.gid),
        )),
    }
}
