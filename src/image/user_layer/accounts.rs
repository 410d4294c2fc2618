//! The account's entries in the databases under `/etc`.

use super::facts::BaseFacts;
use super::refusal::FIRST_PERSON;
use super::standing::{Standing, passwd};
use super::table::Table;
use super::{FIXED_TIME_SECONDS, home_of, sudo};
use crate::model::account::Account;

/// Every database, in the order in which they are edited.
pub(super) const DATABASES: [&str; 6] =
    ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid"];

/// Column of the members in group and gshadow.
const MEMBERS: usize = 3;
/// Column of the administrators in gshadow.
const ADMINS: usize = 2;
/// First uid of the subordinate ranges, and how many each account gets:
/// `SUB_UID_MIN` and `SUB_UID_COUNT` of login.defs.
const FIRST_SUB_ID: u64 = 100_000;
const SUB_IDS: u64 = 65_536;

/// The databases that change, with their new bytes. The standing must be the
/// account's in this base.
pub(super) fn edit(
    base: &BaseFacts,
    account: &Account,
    standing: &Standing,
    shell: &str,
    notes: &mut Vec<String>,
) -> Vec<(&'static str, Vec<u8>)> {
    let edit = Edit { base, account, shell, old_name: old_name(account, standing) };
    if let Some(old) = edit.old_name {
        let old = String::from_utf8_lossy(old);
        notes.push(format!("uid {} was `{old}` in the base and is now `{}`", account.uid, account.name));
    }
    let tables = [
        Some(edit.passwd(standing)),
        Some(edit.group()),
        edit.shadow(standing),
        edit.gshadow(),
        edit.sub_ids("/etc/subuid"),
        edit.sub_ids("/etc/subgid"),
    ];
    let changed = DATABASES.into_iter().zip(tables).filter_map(|(path, table)| {
        let table = table?;
        let old = base.content(path);
        (old.is_none() || old.map(Table::parse) != Some(table.clone())).then(|| (path, table.bytes()))
    });
    changed.collect()
}

/// The name under which the base knows the uid, if that is another one.
fn old_name<'a>(account: &Account, standing: &'a Standing) -> Option<&'a [u8]> {
    match standing {
        Standing::Known { name, .. } if name != account.name.as_bytes() => Some(name),
        _ => None,
    }
}

struct Edit<'a> {
    base: &'a BaseFacts,
    account: &'a Account,
    shell: &'a str,
    old_name: Option<&'a [u8]>,
}

impl Edit<'_> {
    fn table(&self, path: &str) -> Option<Table> {
        self.base.content(path).map(Table::parse)
    }

    fn passwd(&self, standing: &Standing) -> Table {
        let mut table = self.table("/etc/passwd").unwrap_or_default();
        let account = self.account;
        let (uid, gid, home) = (account.uid.to_string(), account.gid.to_string(), home_of(account));
        let Standing::Known { name, .. } = standing else {
            let password = if self.base.content("/etc/shadow").is_some() { "x" } else { "*" };
            table.add(&[&account.name, password, &uid, &gid, full_name(account), &home, self.shell]);
            return table;
        };
        if let Some(line) = table.named(name).map(|row| row.line) {
            table.set(line, 0, account.name.as_bytes());
            table.set(line, passwd::GID, gid.as_bytes());
            if self.old_name.is_some() {
                table.set(line, passwd::FULL_NAME, full_name(account).as_bytes());
            }
            table.set(line, passwd::HOME, home.as_bytes());
            table.set(line, passwd::SHELL, self.shell.as_bytes());
        }
        table
    }

    fn group(&self) -> Table {
        let mut table = self.table("/etc/group").unwrap_or_default();
        if self.needs_group() {
            table.add(&[&self.account.name, "x", &self.account.gid.to_string(), ""]);
        }
        self.edit_members(&mut table, MEMBERS);
        table
    }

    fn shadow(&self, standing: &Standing) -> Option<Table> {
        let mut table = self.table("/etc/shadow")?;
        let name = self.account.name.as_bytes();
        let entry = match standing {
            Standing::Known { name, .. } => table.named(name),
            Standing::New => table.named(name),
        };
        match entry.map(|row| row.line) {
            Some(line) => table.set(line, 0, name),
            // No password, as system accounts have it: not locked, so that
            // other ways in (keys, sudo) go on working.
            None => {
                let day = (FIXED_TIME_SECONDS / 86_400).to_string();
                table.add(&[&self.account.name, "*", &day, "0", "99999", "7", "", "", ""]);
            }
        }
        Some(table)
    }

    fn gshadow(&self) -> Option<Table> {
        let mut table = self.table("/etc/gshadow")?;
        if self.needs_group() && table.named(self.account.name.as_bytes()).is_none() {
            table.add(&[&self.account.name, "!", "", ""]);
        }
        self.edit_members(&mut table, ADMINS);
        self.edit_members(&mut table, MEMBERS);
        Some(table)
    }

    /// An entry whose range follows from the uid, so that it is the same in
    /// every base. None for a uid so high that the range would not fit, and
    /// none where the range overlaps one that is there.
    fn sub_ids(&self, path: &str) -> Option<Table> {
        let mut table = self.table(path)?;
        let (name, uid) = (self.account.name.as_bytes(), self.account.uid.to_string());
        if let Some(line) = self.old_name.and_then(|old| table.named(old)).map(|row| row.line) {
            table.set(line, 0, name);
        }
        if table.named(name).is_some() || table.named(uid.as_bytes()).is_some() {
            return Some(table);
        }
        let start = FIRST_SUB_ID + u64::from(self.account.uid - FIRST_PERSON) * SUB_IDS;
        let overlaps = table.rows().any(|row| {
            let (first, count) = (row.number(1).unwrap_or(0), row.number(2).unwrap_or(0));
            u64::from(first) < start + SUB_IDS && start < u64::from(first) + u64::from(count)
        });
        if start + SUB_IDS <= u64::from(u32::MAX) && !overlaps {
            table.add(&[&self.account.name, &start.to_string(), &SUB_IDS.to_string()]);
        }
        Some(table)
    }

    fn needs_group(&self) -> bool {
        let table = self.table("/etc/group").unwrap_or_default();
        !table.rows().any(|row| row.number(2) == Some(self.account.gid))
    }

    /// Renames the account in the lists of members, and puts it into or out
    /// of the groups that sudo trusts: a renamed account must not bring along
    /// rights that were not asked for.
    fn edit_members(&self, table: &mut Table, column: usize) {
        let name = self.account.name.as_bytes();
        let sudo_group = sudo::group(self.base);
        table.edit_lists(column, |row, names| {
            let mut names = self.renamed(names);
            if column == MEMBERS && self.account.sudo && Some(row.field(0)) == sudo_group.map(str::as_bytes) {
                if !names.iter().any(|member| member == name) {
                    names.push(name.to_vec());
                }
            } else if !self.account.sudo && sudo::TRUSTED_GROUPS.iter().any(|g| g.as_bytes() == row.field(0))
            {
                names.retain(|member| member != name);
            }
            names
        });
    }

    fn renamed(&self, mut names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let (Some(old), new) = (self.old_name, self.account.name.as_bytes()) else { return names };
        if names.iter().any(|name| name == new) {
            names.retain(|name| name != old);
        }
        for name in names.iter_mut().filter(|name| *name == old) {
            *name = new.to_vec();
        }
        names
    }
}

/// The login, so that an administrator sees whose account it is; nothing if a
/// character of it has a meaning in `/etc/passwd`.
fn full_name(account: &Account) -> &str {
    let login = account.login.as_str();
    let plain = login.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@+-".contains(&b));
    if plain { login } else { "" }
}
