//! Whether an image has the account that it was made for.

use super::facts::{BaseFacts, FactKind, Want};
use super::standing::passwd;
use super::table::Table;
use super::{WORKSPACE, home_of, sudo};
use crate::model::account::Account;

/// What must be read back from the image for [`verify`].
pub(crate) fn verify_wants(account: &Account) -> Vec<Want> {
    let contents = ["/etc/passwd", "/etc/group", "/etc/shadow"].map(|path| Want::Content(path.to_owned()));
    let folders = folders(account).map(Want::Stat);
    let rule = account.sudo.then(|| Want::Stat(sudo::path_of(account)));
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
        let path = sudo::path_of(account);
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
    let accounts = Table::parse(read.content("/etc/passwd").ok_or("`/etc/passwd` is not in the image")?);
    // The first entry of a uid is the one that `whoami` shows.
    let row = accounts
        .rows()
        .find(|row| row.number(passwd::UID) == Some(account.uid))
        .ok_or_else(|| format!("`/etc/passwd` has no uid {}", account.uid))?;
    let shown = (row.field(0), row.number(passwd::GID), row.field(passwd::HOME));
    if shown != (name, Some(account.gid), home_of(account).as_bytes()) {
        return Err(format!(
            "`/etc/passwd` says that uid {} is `{}` with gid {} and home `{}`",
            account.uid,
            row.text(0),
            row.text(passwd::GID),
            row.text(passwd::HOME)
        ));
    }
    let groups = Table::parse(read.content("/etc/group").ok_or("`/etc/group` is not in the image")?);
    if !groups.rows().any(|row| row.number(2) == Some(account.gid)) {
        return Err(format!("`/etc/group` has no gid {}", account.gid));
    }
    match read.content("/etc/shadow") {
        Some(shadow) if Table::parse(shadow).named(name).is_none() => {
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
