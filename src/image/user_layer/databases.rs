//! The databases under `/etc`: how the base knows an account, and the entries
//! that it gets.

use super::base::BaseFacts;
use super::checks::{AccountError, FIRST_PERSON, TRUSTED_GROUPS, sudo_group};
use super::{FIXED_TIME_SECONDS, home_of};
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
    account_in_base: &AccountInBase,
    shell: &str,
    notes: &mut Vec<String>,
) -> Vec<(&'static str, Vec<u8>)> {
    let edit = Edit { base, account, shell, old_name: old_name(account, account_in_base) };
    if let Some(old) = edit.old_name {
        let old = String::from_utf8_lossy(old);
        notes.push(format!("uid {} was `{old}` in the base and is now `{}`", account.uid, account.name));
    }
    let tables = [
        Some(edit.passwd(account_in_base)),
        Some(edit.group()),
        edit.shadow(account_in_base),
        edit.gshadow(),
        edit.sub_ids("/etc/subuid"),
        edit.sub_ids("/etc/subgid"),
    ];
    let changed = DATABASES.into_iter().zip(tables).filter_map(|(path, table)| {
        let table = table?;
        let old = base.content(path);
        (old.is_none() || old.map(Database::parse) != Some(table.clone())).then(|| (path, table.bytes()))
    });
    changed.collect()
}

/// The name under which the base knows the uid, if that is another one.
fn old_name<'a>(account: &Account, account_in_base: &'a AccountInBase) -> Option<&'a [u8]> {
    match account_in_base {
        AccountInBase::Known { name, .. } if name != account.name.as_bytes() => Some(name),
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
    fn table(&self, path: &str) -> Option<Database> {
        self.base.content(path).map(Database::parse)
    }

    fn passwd(&self, account_in_base: &AccountInBase) -> Database {
        let mut table = self.table("/etc/passwd").unwrap_or_default();
        let account = self.account;
        let (uid, gid, home) = (account.uid.to_string(), account.gid.to_string(), home_of(account));
        let AccountInBase::Known { name, .. } = account_in_base else {
            let password = if self.base.content("/etc/shadow").is_some() { "x" } else { "*" };
            table.add(&[&account.name, password, &uid, &gid, full_name(account), &home, self.shell]);
            return table;
        };
        if let Some(line) = table.named(name).map(|entry| entry.line) {
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

    fn group(&self) -> Database {
        let mut table = self.table("/etc/group").unwrap_or_default();
        if self.needs_group() {
            table.add(&[&self.account.name, "x", &self.account.gid.to_string(), ""]);
        }
        self.edit_members(&mut table, MEMBERS);
        table
    }

    fn shadow(&self, account_in_base: &AccountInBase) -> Option<Database> {
        let mut table = self.table("/etc/shadow")?;
        let name = self.account.name.as_bytes();
        let entry = match account_in_base {
            AccountInBase::Known { name, .. } => table.named(name),
            AccountInBase::New => table.named(name),
        };
        match entry.map(|entry| entry.line) {
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

    fn gshadow(&self) -> Option<Database> {
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
    fn sub_ids(&self, path: &str) -> Option<Database> {
        let mut table = self.table(path)?;
        let (name, uid) = (self.account.name.as_bytes(), self.account.uid.to_string());
        if let Some(line) = self.old_name.and_then(|old| table.named(old)).map(|entry| entry.line) {
            table.set(line, 0, name);
        }
        if table.named(name).is_some() || table.named(uid.as_bytes()).is_some() {
            return Some(table);
        }
        let start = FIRST_SUB_ID + u64::from(self.account.uid - FIRST_PERSON) * SUB_IDS;
        let overlaps = table.entries().any(|entry| {
            let (first, count) = (entry.number(1).unwrap_or(0), entry.number(2).unwrap_or(0));
            u64::from(first) < start + SUB_IDS && start < u64::from(first) + u64::from(count)
        });
        if start + SUB_IDS <= u64::from(u32::MAX) && !overlaps {
            table.add(&[&self.account.name, &start.to_string(), &SUB_IDS.to_string()]);
        }
        Some(table)
    }

    fn needs_group(&self) -> bool {
        let table = self.table("/etc/group").unwrap_or_default();
        !table.entries().any(|entry| entry.number(2) == Some(self.account.gid))
    }

    /// Renames the account in the lists of members, and puts it into or out
    /// of the groups that sudo trusts: a renamed account must not bring along
    /// rights that were not asked for.
    fn edit_members(&self, table: &mut Database, column: usize) {
        let name = self.account.name.as_bytes();
        let sudo_group = sudo_group(self.base);
        table.edit_lists(column, |entry, names| {
            let mut names = self.renamed(names);
            if column == MEMBERS && self.account.sudo && Some(entry.field(0)) == sudo_group.map(str::as_bytes)
            {
                if !names.iter().any(|member| member == name) {
                    names.push(name.to_vec());
                }
            } else if !self.account.sudo && TRUSTED_GROUPS.iter().any(|g| g.as_bytes() == entry.field(0)) {
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

// The account databases: lines of fields with `:` between them.
// Bytes, not text, since a name field may be in any encoding. A line that is
// not edited stays byte for byte; only a missing last newline is added.

/// A file such as `/etc/passwd`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Database {
    /// Without their newlines.
    lines: Vec<Vec<u8>>,
}

/// A line that is an entry.
#[derive(Clone, Debug)]
pub(super) struct DatabaseEntry<'a> {
    pub(crate) line: usize,
    fields: Vec<&'a [u8]>,
}

impl<'a> DatabaseEntry<'a> {
    /// A field; empty where the line is too short.
    pub(crate) fn field(&self, column: usize) -> &'a [u8] {
        self.fields.get(column).copied().unwrap_or_default()
    }

    /// A field for people to read.
    pub(crate) fn text(&self, column: usize) -> String {
        String::from_utf8_lossy(self.field(column)).into_owned()
    }

    /// A field that is a number.
    pub(crate) fn number(&self, column: usize) -> Option<u32> {
        std::str::from_utf8(self.field(column)).ok()?.parse().ok()
    }
}

impl Database {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut lines: Vec<Vec<u8>> = bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        lines.pop_if(|last| last.is_empty());
        Self { lines }
    }

    /// The file's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
    }

    /// The entries; comments, blank lines and NIS lines (`+`, `-`) are none.
    pub(crate) fn entries(&self) -> impl Iterator<Item = DatabaseEntry<'_>> {
        self.lines
            .iter()
            .enumerate()
            .filter(|(_, line)| is_entry(line))
            .map(|(line, bytes)| DatabaseEntry { line, fields: bytes.split(|&b| b == b':').collect() })
    }

    /// The first entry whose first field is `name`.
    pub(crate) fn named(&self, name: &[u8]) -> Option<DatabaseEntry<'_>> {
        self.entries().find(|entry| entry.field(0) == name)
    }

    /// Sets one field of a line, which is lengthened if it is too short.
    pub(crate) fn set(&mut self, line: usize, column: usize, value: &[u8]) {
        let mut fields: Vec<&[u8]> = self.lines[line].split(|&b| b == b':').collect();
        fields.resize(fields.len().max(column + 1), b"");
        fields[column] = value;
        self.lines[line] = fields.join(&b':');
    }

    /// Adds an entry after the last one, but before NIS lines: what follows
    /// those may never be read.
    pub(crate) fn add(&mut self, fields: &[&str]) {
        let at = self.lines.iter().position(|line| line.starts_with(b"+")).unwrap_or(self.lines.len());
        self.lines.insert(at, fields.join(":").into_bytes());
    }

    /// Changes a comma-separated list of names in every entry.
    pub(crate) fn edit_lists(
        &mut self,
        column: usize,
        edit: impl Fn(&DatabaseEntry<'_>, Vec<Vec<u8>>) -> Vec<Vec<u8>>,
    ) {
        let changes: Vec<_> = self
            .entries()
            .filter_map(|entry| {
                let old = list(entry.field(column));
                let new = edit(&entry, old.clone());
                (new != old).then(|| (entry.line, new.join(&b',')))
            })
            .collect();
        for (line, value) in changes {
            self.set(line, column, &value);
        }
    }
}

fn is_entry(line: &[u8]) -> bool {
    let first = line.trim_ascii_start().first();
    first.is_some_and(|first| !b"#+-".contains(first)) && line.contains(&b':')
}

fn list(field: &[u8]) -> Vec<Vec<u8>> {
    field.split(|&b| b == b',').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

// Whether the base already has the account, under this or another name.

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
pub(super) enum AccountInBase {
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
pub(super) fn account_in_base(base: &BaseFacts, account: &Account) -> Result<AccountInBase, AccountError> {
    let table = Database::parse(base.content("/etc/passwd").unwrap_or_default());
    let name = account.name.as_bytes();
    if let Some(entry) = table.named(name).filter(|entry| entry.number(passwd::UID) != Some(account.uid)) {
        return Err(AccountError::new(
            format!(
                "the base has an account `{}` with uid {}, not {}",
                account.name,
                entry.text(passwd::UID),
                account.uid
            ),
            "use a base without this account, or another login for this person",
        ));
    }
    check_group(base, account)?;
    let mut entries = table.entries().filter(|entry| entry.number(passwd::UID) == Some(account.uid));
    let Some(entry) = entries.next() else { return Ok(AccountInBase::New) };
    if let Some(other) = entries.next() {
        return Err(AccountError::new(
            format!(
                "uid {} has two names in the base: `{}` and `{}`",
                account.uid,
                entry.text(0),
                other.text(0)
            ),
            "use a base in which a uid has one name",
        ));
    }
    Ok(AccountInBase::Known { name: entry.field(0).to_vec(), home: entry.text(passwd::HOME) })
}

fn check_group(base: &BaseFacts, account: &Account) -> Result<(), AccountError> {
    let table = Database::parse(base.content("/etc/group").unwrap_or_default());
    if table.entries().any(|entry| entry.number(2) == Some(account.gid)) {
        return Ok(());
    }
    match table.named(account.name.as_bytes()) {
        None => Ok(()),
        Some(entry) => Err(AccountError::new(
            format!(
                "the base has a group `{}` with gid {}, and none with gid {}",
                account.name,
                entry.text(2),
                account.gid
            ),
            format!("add a group with gid {} in an image between, or use another base", account.gid),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_entries_are_kept_and_not_read() {
        let bytes = b"# users: all\n\nroot:x:0:0::/root:/bin/sh\n-bad:::\n+::::::\n";
        let table = Database::parse(bytes);
        let names: Vec<String> = table.entries().map(|entry| entry.text(0)).collect();
        assert_eq!(names, ["root"]);
        assert_eq!(table.bytes(), bytes);
    }

    #[test]
    fn a_missing_last_newline_is_added() {
        let mut table = Database::parse(b"a:x:1");
        table.add(&["b", "x", "2"]);
        assert_eq!(table.bytes(), b"a:x:1\nb:x:2\n");
    }

    #[test]
    fn an_entry_goes_before_nis_lines() {
        let mut table = Database::parse(b"a:x:1\n+@staff::\n+::\n");
        table.add(&["b", "x", "2"]);
        assert_eq!(table.bytes(), b"a:x:1\nb:x:2\n+@staff::\n+::\n");
    }

    #[test]
    fn a_short_line_is_lengthened_when_a_field_is_set() {
        let mut table = Database::parse(b"a:x\n");
        table.set(0, 3, b"z");
        assert_eq!(table.bytes(), b"a:x::z\n");
    }

    #[test]
    fn only_changed_lists_are_written_anew() {
        let mut table = Database::parse(b"adm:x:4:,b,\nsudo:x:27:a,b\n");
        table.edit_lists(3, |_, names| names.into_iter().filter(|name| name != b"a").collect());
        assert_eq!(table.bytes(), b"adm:x:4:,b,\nsudo:x:27:b\n");
    }
}
