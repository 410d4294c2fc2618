//! PLACEHOLDER, replaced at merge: the types of the user layer, and just enough
//! of its rule to prove the build side against an engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Account;

pub const FIXED_TIME_SECONDS: i64 = 946_684_800;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    pub nodes: Vec<FileNode>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNode {
    pub path: String,
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    Dir,
    File(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    Stat(String),
    Content(String),
    Entries(String),
}

impl Want {
    pub fn path(&self) -> &str {
        match self {
            Self::Stat(path) | Self::Content(path) | Self::Entries(path) => path,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    pub kind: FactKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactKind {
    Absent,
    File(Option<Vec<u8>>),
    Dir(Option<BTreeSet<String>>),
    Symlink(String),
    Other,
}

impl FileFact {
    pub fn absent() -> Self {
        Self { kind: FactKind::Absent, mode: 0, uid: 0, gid: 0 }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseFacts {
    pub files: BTreeMap<String, FileFact>,
}

impl BaseFacts {
    pub fn learn(&mut self, path: &str, fact: FileFact) {
        self.files.insert(path.to_owned(), fact);
    }

    pub fn learn_entries(&mut self, path: &str, mut folder: FileFact, entries: BTreeMap<String, FileFact>) {
        folder.kind = FactKind::Dir(Some(entries.keys().cloned().collect()));
        self.learn(path, folder);
        for (name, fact) in entries {
            let path = format!("{}/{name}", path.trim_end_matches('/'));
            self.files.entry(path).or_insert(fact);
        }
    }

    pub fn answers(&self, want: &Want) -> bool {
        let folder = want.path().rsplit_once('/').map(|(folder, name)| (folder, name.to_owned()));
        match (self.files.get(want.path()).map(|f| &f.kind), want) {
            (None, _) => folder.is_some_and(|(folder, name)| {
                let kind = self.files.get(folder).map(|f| &f.kind);
                matches!(kind, Some(FactKind::Dir(Some(names))) if !names.contains(&name))
            }),
            (Some(FactKind::File(None)), Want::Content(_)) => false,
            (Some(FactKind::Dir(None)), Want::Entries(_)) => false,
            _ => true,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub message: String,
    pub help: String,
}

pub fn wanted(known: &BaseFacts, account: &Account) -> Vec<Want> {
    let mut wants: Vec<Want> =
        ["/etc/passwd", "/etc/group", "/etc/gshadow"].map(|p| Want::Content(p.into())).into();
    wants.push(Want::Entries("/".into()));
    wants.push(Want::Entries(format!("/home/{}", account.name)));
    wants.retain(|want| !known.answers(want));
    wants
}

pub fn layer(base: &BaseFacts, account: &Account) -> Result<Layer, Refusal> {
    let Some(FactKind::File(Some(passwd))) = base.files.get("/etc/passwd").map(|f| &f.kind) else {
        return Err(Refusal { message: "the base has no accounts".into(), help: "use another base".into() });
    };
    let (uid, gid, name) = (account.uid, account.gid, &account.name);
    let entry = format!("{name}:x:{uid}:{gid}::/home/{name}:{}\n", account.shell);
    let dir = |path: String, mode, uid, gid| FileNode { path, kind: FileKind::Dir, mode, uid, gid };
    let passwd = [passwd.as_slice(), entry.as_bytes()].concat();
    let nodes = vec![
        dir("/etc".into(), 0o755, 0, 0),
        FileNode { path: "/etc/passwd".into(), kind: FileKind::File(passwd), mode: 0o644, uid: 0, gid: 0 },
        dir("/home".into(), 0o755, 0, 0),
        dir(format!("/home/{name}"), 0o755, uid, gid),
    ];
    Ok(Layer { nodes, notes: Vec::new() })
}

pub fn verify_wants(account: &Account) -> Vec<Want> {
    vec![Want::Content("/etc/passwd".into()), Want::Stat(format!("/home/{}", account.name))]
}

pub fn verify(read: &BaseFacts, account: &Account) -> Result<(), String> {
    match read.files.get(&format!("/home/{}", account.name)) {
        Some(home) if (home.uid, home.gid) == (account.uid, account.gid) => Ok(()),
        other => Err(format!("the home is {other:?}")),
    }
}
