//! What the base has: the part of its file system that the user layer's rules
//! depend on, and what of it must be read for an account. Knows nothing of how
//! it is read.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::sudo_inputs;
use super::databases::{AccountInBase, DATABASES, account_in_base};
use super::home::{SKELETON, home_contents, jupyter_folders, old_home, skeleton};
use super::home_of;
use crate::model::account::Account;

/// Something that must be read from the base. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UserLayerInput {
    /// Kind, mode and owner; a symbolic link may be followed.
    Stat(String),
    /// A file's mode, owner and bytes; a symbolic link may be followed.
    Content(String),
    /// A folder's mode, owner and entries, each entry with its kind, mode and
    /// owner, symbolic links not followed.
    Entries(String),
}

impl UserLayerInput {
    /// The path that is asked about.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Stat(path) | Self::Content(path) | Self::Entries(path) => path,
        }
    }
}

/// One path of the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileFact {
    pub(crate) kind: FactKind,
    /// Permission bits as in `chmod`, at most `0o7777`.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What a path of the base is, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FactKind {
    /// There is nothing.
    Absent,
    /// A regular file; its bytes, if they were asked for.
    File(Option<Vec<u8>>),
    /// A folder; the names in it, if they were asked for.
    Dir(Option<BTreeSet<String>>),
    /// A symbolic link and where it points.
    Symlink(String),
    /// A device, socket or pipe.
    Other,
}

impl FileFact {
    /// Nothing is there.
    pub(crate) fn absent() -> Self {
        Self { kind: FactKind::Absent, mode: 0, uid: 0, gid: 0 }
    }

    /// How much this says, to keep the fuller of two facts.
    fn detail(&self) -> u8 {
        match self.kind {
            FactKind::File(None) | FactKind::Dir(None) | FactKind::Symlink(_) => 0,
            _ => 1,
        }
    }
}

/// What is known of a base. Of one base it can be kept and reused for all its
/// users: [`missing_inputs`](super::wanted) asks only for what is still missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BaseFacts {
    /// By absolute path. A path that is in no entry is unknown, unless its
    /// folder's entries are known.
    pub(crate) files: BTreeMap<String, FileFact>,
}

impl BaseFacts {
    /// Takes the answer to a `Stat` or `Content`, or the folder's part of the
    /// answer to an `Entries`. A fuller fact is never replaced by a lesser one,
    /// and a link to a folder stays a link: nothing is written into it.
    pub(crate) fn learn(&mut self, path: &str, fact: FileFact) {
        let folder = matches!(fact.kind, FactKind::Dir(_));
        match self.files.get(path) {
            Some(known) if known.detail() > fact.detail() => {}
            Some(FileFact { kind: FactKind::Symlink(_), .. }) if folder => {}
            _ => {
                self.files.insert(path.to_owned(), fact);
            }
        }
    }

    /// Takes the answer to an `Entries`: mode and owner of the folder, and
    /// the entries by name, files and folders in them without content.
    pub(crate) fn learn_entries(
        &mut self,
        path: &str,
        mut folder: FileFact,
        entries: BTreeMap<String, FileFact>,
    ) {
        folder.kind = FactKind::Dir(Some(entries.keys().cloned().collect()));
        self.learn(path, folder);
        for (name, fact) in entries {
            self.learn(&join(path, &name), fact);
        }
    }

    /// Whether nothing more is to be read for `input`.
    pub(crate) fn answers(&self, input: &UserLayerInput) -> bool {
        match (self.files.get(input.path()).map(|fact| &fact.kind), input) {
            (None, _) => self.is_left_out_of_its_folder(input.path()),
            (Some(FactKind::File(None) | FactKind::Symlink(_)), UserLayerInput::Content(_)) => false,
            (Some(FactKind::Dir(None)), UserLayerInput::Entries(_)) => false,
            (Some(_), _) => true,
        }
    }

    /// The fact of a path that exists.
    pub(super) fn get(&self, path: &str) -> Option<&FileFact> {
        self.files.get(path).filter(|fact| fact.kind != FactKind::Absent)
    }

    /// The bytes of a file that exists and was read.
    pub(super) fn content(&self, path: &str) -> Option<&[u8]> {
        match &self.get(path)?.kind {
            FactKind::File(Some(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The full paths in a folder; empty where there is none.
    pub(super) fn children(&self, path: &str) -> Vec<String> {
        match self.get(path).map(|fact| &fact.kind) {
            Some(FactKind::Dir(Some(names))) => names.iter().map(|name| join(path, name)).collect(),
            _ => Vec::new(),
        }
    }

    fn is_left_out_of_its_folder(&self, path: &str) -> bool {
        let Some((parent, name)) = path.rsplit_once('/') else { return false };
        let parent = if parent.is_empty() { "/" } else { parent };
        match self.files.get(parent).map(|fact| &fact.kind) {
            Some(FactKind::Dir(Some(names))) => !names.contains(name),
            Some(FactKind::Absent | FactKind::File(_)) => true,
            _ => false,
        }
    }
}

/// A path below a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}

// Which parts of a base must be read before a layer can be made.

/// Where the databases are.
const ETC: &str = "/etc";

/// What is still to be read for this account, given what is known; empty when
/// [`layer`](super::layer) can be called. Read all of it at once, add it to
/// `known` with `learn` and `learn_entries` (a missing path as
/// [`FileFact::absent`](super::FileFact::absent)), and ask again: three rounds
/// are enough unless homes collide.
pub(crate) fn missing_inputs(known: &BaseFacts, account: &Account) -> Vec<UserLayerInput> {
    // The root's entries show links that a `Stat` would follow, those of
    // `/etc` which databases there are.
    let mut inputs: Vec<UserLayerInput> =
        ["/", ETC, SKELETON].map(|path| UserLayerInput::Entries(path.to_owned())).into();
    if known.answers(&inputs[1]) {
        inputs.extend(DATABASES.map(|path| UserLayerInput::Content(path.to_owned())));
    }
    inputs.push(UserLayerInput::Stat(account.shell.clone()));
    inputs.extend(sudo_inputs(account));
    inputs.extend(skeleton(known).into_iter().filter_map(|(name, fact)| {
        let path = join(SKELETON, &name);
        match fact.kind {
            FactKind::File(None) => Some(UserLayerInput::Content(path)),
            FactKind::Dir(None) => Some(UserLayerInput::Entries(path)),
            _ => None,
        }
    }));
    inputs.extend(home_inputs(known, account));
    if known.answers(&UserLayerInput::Content("/etc/passwd".into())) {
        inputs.extend(old_home_inputs(known, account));
    }
    inputs.retain(|input| !known.answers(input));
    inputs.sort();
    inputs.dedup();
    inputs
}

/// The folder that will be the home, as far as the layer writes into it.
fn home_inputs(known: &BaseFacts, account: &Account) -> Vec<UserLayerInput> {
    let home = home_of(account);
    let Some(fact) = known.get(&home) else { return vec![UserLayerInput::Entries(home)] };
    let mut inputs = vec![UserLayerInput::Entries(home.clone())];
    if fact.uid != account.uid {
        inputs.extend(home_contents(known, &home).inputs);
    }
    let below = skeleton(known)
        .into_iter()
        .map(|(name, _)| name)
        .chain([".local".to_owned()])
        .chain(jupyter_folders(account));
    for path in below.map(|name| join(&home, &name)) {
        if let Some(FactKind::Dir(None)) = known.get(&path).map(|fact| &fact.kind) {
            inputs.push(UserLayerInput::Entries(path));
        }
    }
    let bashrc = join(&home, ".bashrc");
    if let Some(FactKind::File(None)) = known.get(&bashrc).map(|fact| &fact.kind) {
        inputs.push(UserLayerInput::Content(bashrc));
    }
    inputs
}

/// The home of the base's own account with this uid.
fn old_home_inputs(known: &BaseFacts, account: &Account) -> Vec<UserLayerInput> {
    let Ok(account_in_base) = account_in_base(known, account) else { return Vec::new() };
    match (&account_in_base, old_home(known, account, &account_in_base)) {
        (_, Some(home)) => home_contents(known, home).inputs,
        (AccountInBase::Known { home, .. }, None) if home.starts_with('/') => {
            vec![UserLayerInput::Entries(home.clone())]
        }
        _ => Vec::new(),
    }
}
