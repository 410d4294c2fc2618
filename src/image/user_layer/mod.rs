//! The user layer: what is added to a base so that a person has an account in
//! it. A pure function from what the base has to files with owner and mode.
//!
//! No `useradd` runs: it would write `/var/log/lastlog` and `faillog` as
//! sparse files indexed by uid, and the same input would not give the same
//! bytes on another day. Knows nothing of engines, and not how files of the
//! base are read: [`missing_inputs`] says which ones, until there is nothing left.

mod base;
mod checks;
mod databases;
mod home;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::image::solve::ConfigChange;
use crate::model::account::Account;

pub(crate) use base::{BaseFacts, FactKind, FileFact, UserLayerInput, missing_inputs};
pub(crate) use checks::{AccountError, check_account, lacks_sudo, verify, verify_inputs};

/// Changes whenever the same base and account would give another layer, or
/// sudo would be brought to it in another way; part of the recipe, so that
/// images with the old layer are made anew.
pub(crate) const RULE_VERSION: u32 = 2;

/// Time of every file of the layer, of the image config and of its history
/// entries: 2000-01-01T00:00:00Z. Any fixed time makes equal inputs equal
/// images; this one is late enough for every archive format (zip begins in
/// 1980) and early enough that no build tool takes a file for newer than its
/// output. It is also a whole day, as `/etc/shadow` counts.
pub(crate) const FIXED_TIME_SECONDS: i64 = 946_684_800;

/// Where the person's files are mounted; also the working directory.
pub(crate) const WORKSPACE: &str = "/workspace";

/// Debian 12 and Ubuntu 24.04 mark their Python as managed, and pip then
/// refuses `--user` too, though that cannot touch what the system has (PEP 668).
const MANAGED_PYTHON: (&str, &str) = ("PIP_BREAK_SYSTEM_PACKAGES", "1");

/// The shell of an account whose own shell the base lacks.
const FALLBACK_SHELL: &str = "/bin/sh";

/// The files that are added to the base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LayerFiles {
    /// Folders before what is in them; every folder on the way is there too,
    /// with the mode and owner that the base has for it.
    pub(crate) nodes: Vec<FileNode>,
    /// What a person should know that is no error, one sentence each.
    pub(crate) notes: Vec<String>,
}

/// A folder or file of the layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileNode {
    /// Absolute.
    pub(crate) path: String,
    pub(crate) kind: FileKind,
    /// Permission bits, at most `0o777`.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Dir,
    File(Vec<u8>),
}

/// The account's home directory.
pub(crate) fn home_of(account: &Account) -> String {
    format!("/home/{}", account.name)
}

/// What changes in the image config. Depends on the account alone.
pub(crate) fn config(account: &Account) -> ConfigChange {
    let home = home_of(account);
    ConfigChange {
        env: [("HOME", home.as_str()), MANAGED_PYTHON].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        path_first: vec![format!("{home}/.local/bin")],
        user: Some(format!("{}:{}", account.uid, account.gid)),
        workdir: Some(WORKSPACE.to_owned()),
        ..ConfigChange::default()
    }
}

/// What must be added to a base for this account. Adding it twice changes
/// nothing: an account that is already there as asked for is left as it is.
///
/// A uid, gid or name that the base already has:
/// - same uid and name: shell, group and home are set, the rest stays;
/// - same uid, other name: the entry is renamed, if the old home holds nothing
///   but skeleton files. The old folder stays, unused: removing it would put
///   the present time into the layer;
/// - same name, other uid: refused;
/// - same gid: the group is used under the name it has.
///
/// # Errors
/// A [`AccountError`] if the account cannot or must not be in this base.
pub(crate) fn layer(base: &BaseFacts, account: &Account) -> Result<LayerFiles, AccountError> {
    check_account(account)?;
    if let Some(input) = missing_inputs(base, account).first() {
        return Err(AccountError::new(
            format!("`{}` of the base was not read", input.path()),
            "read everything that `wanted` asks for; this is a fault of the program",
        ));
    }
    let mut notes = Vec::new();
    let mut tree = Tree::new(base);
    let account_in_base = databases::account_in_base(base, account)?;
    home::check(base, account, &account_in_base, &mut notes)?;
    let shell = shell(base, account, &mut notes);
    let sudo = checks::sudo_rule(base, account)?;
    for (path, bytes) in databases::edit(base, account, &account_in_base, shell, &mut notes) {
        tree.system_file(path, bytes);
    }
    home::add_home(&mut tree, base, account, &mut notes);
    home::add_jupyter(&mut tree, account, |path| base.get(path).map(|fact| fact.mode));
    if let Some(text) = sudo {
        tree.file(&checks::sudo_rule_path(account), text.into_bytes(), 0o440, 0, 0);
    }
    tree.dir(WORKSPACE, 0o755, account.uid, account.gid);
    Ok(LayerFiles { nodes: tree.into_nodes()?, notes })
}

fn shell<'a>(base: &BaseFacts, account: &'a Account, notes: &mut Vec<String>) -> &'a str {
    if base.get(&account.shell).is_some() {
        return &account.shell;
    }
    notes.push(format!("the base has no `{}`, so the shell is `{FALLBACK_SHELL}`", account.shell));
    FALLBACK_SHELL
}

// The layer's files as a tree in which every folder is written down: a
// folder made in passing would belong to the wrong person.

/// Files by path. A folder's path sorts before those of its contents.
pub(super) struct Tree<'a> {
    base: &'a BaseFacts,
    nodes: BTreeMap<String, FileNode>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(base: &'a BaseFacts) -> Self {
        Self { base, nodes: BTreeMap::new() }
    }

    pub(crate) fn dir(&mut self, path: &str, mode: u32, uid: u32, gid: u32) {
        self.put(FileNode { path: path.to_owned(), kind: FileKind::Dir, mode, uid, gid });
    }

    pub(crate) fn file(&mut self, path: &str, bytes: Vec<u8>, mode: u32, uid: u32, gid: u32) {
        self.put(FileNode { path: path.to_owned(), kind: FileKind::File(bytes), mode, uid, gid });
    }

    /// A file that keeps the mode and owner the base has for it.
    pub(crate) fn system_file(&mut self, path: &str, bytes: Vec<u8>) {
        let (mode, uid, gid) = self.base.get(path).map_or((0o644, 0, 0), |f| (f.mode, f.uid, f.gid));
        self.file(path, bytes, mode, uid, gid);
    }

    /// The nodes, folders before their contents.
    ///
    /// # Errors
    /// If the base has something else where the layer has a folder: copying
    /// would go through the link, or fail.
    pub(crate) fn into_nodes(self) -> Result<Vec<FileNode>, AccountError> {
        for node in self.nodes.values().filter(|node| node.kind == FileKind::Dir) {
            let what = match self.base.get(&node.path).map(|fact| &fact.kind) {
                None | Some(FactKind::Dir(_)) => continue,
                Some(FactKind::Symlink(target)) => format!("a symbolic link to `{target}`"),
                Some(_) => "not a folder".to_owned(),
            };
            return Err(AccountError::new(
                format!("`{}` of the base is {what}", node.path),
                "use a base in which it is a folder, or make it one in an image between",
            ));
        }
        Ok(self.nodes.into_values().collect())
    }

    fn put(&mut self, node: FileNode) {
        for (end, _) in node.path.match_indices('/').skip(1) {
            let parent = &node.path[..end];
            if !self.nodes.contains_key(parent) {
                let fact = self.base.get(parent);
                let (mode, uid, gid) = fact.map_or((0o755, 0, 0), |f| (f.mode, f.uid, f.gid));
                self.insert(FileNode { path: parent.to_owned(), kind: FileKind::Dir, mode, uid, gid });
            }
        }
        self.insert(node);
    }

    /// The engine's file operations know permissions, but no setuid, setgid
    /// and sticky bits.
    fn insert(&mut self, mut node: FileNode) {
        node.mode &= 0o777;
        self.nodes.insert(node.path.clone(), node);
    }
}
