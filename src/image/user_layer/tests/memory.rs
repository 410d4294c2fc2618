//! A base in memory for tests: answers wants and takes layers.

use std::collections::BTreeMap;

use crate::image::user_layer::base::join;
use crate::image::user_layer::*;
use crate::model::account::Account;
use crate::model::names::Login;

/// Everything on it by path, folders without their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemoryBase(BTreeMap<String, FileFact>);

impl MemoryBase {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new()).dir("/", 0o755, 0, 0).dir("/etc", 0o755, 0, 0)
    }

    pub(crate) fn dir(self, path: &str, mode: u32, uid: u32, gid: u32) -> Self {
        self.put(path, FactKind::Dir(None), mode, uid, gid)
    }

    pub(crate) fn file(self, path: &str, text: &str, mode: u32, uid: u32, gid: u32) -> Self {
        self.put(path, FactKind::File(Some(text.into())), mode, uid, gid)
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.put(path, FactKind::Symlink(target.into()), 0o777, 0, 0)
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        self.0.retain(|p, _| p != path && !p.starts_with(&format!("{path}/")));
        self
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        match &self.0.get(path)?.kind {
            FactKind::File(Some(bytes)) => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        }
    }

    fn put(mut self, path: &str, kind: FactKind, mode: u32, uid: u32, gid: u32) -> Self {
        self.0.insert(path.to_owned(), FileFact { kind, mode, uid, gid });
        self
    }

    fn answer(&self, input: &UserLayerInput, facts: &mut BaseFacts) {
        let path = input.path();
        let Some(fact) = self.0.get(path) else { return facts.learn(path, FileFact::absent()) };
        match (input, &fact.kind) {
            (UserLayerInput::Content(_), _) => facts.learn(path, fact.clone()),
            (UserLayerInput::Entries(_), FactKind::Dir(_)) => {
                let inside = self.0.iter().filter_map(|(p, fact)| {
                    let name = p.strip_prefix(&join(path, ""))?;
                    (!name.is_empty() && !name.contains('/')).then(|| (name.to_owned(), stat(fact)))
                });
                facts.learn_entries(path, fact.clone(), inside.collect());
            }
            _ => facts.learn(path, stat(fact)),
        }
    }

    /// Reads until nothing more is wanted, in at most eight rounds.
    pub(crate) fn facts(&self, account: &Account) -> BaseFacts {
        let mut facts = BaseFacts::default();
        for _ in 0..8 {
            let inputs = missing_inputs(&facts, account);
            if inputs.is_empty() {
                return facts;
            }
            inputs.iter().for_each(|input| self.answer(input, &mut facts));
        }
        panic!("still wanted: {:?}", missing_inputs(&facts, account));
    }

    /// What an engine does with a layer.
    pub(crate) fn with(&self, layer: &LayerFiles) -> Self {
        let mut disk = self.clone();
        for node in &layer.nodes {
            let kind = match &node.kind {
                FileKind::Dir => FactKind::Dir(None),
                FileKind::File(bytes) => FactKind::File(Some(bytes.clone())),
            };
            disk = disk.put(&node.path, kind, node.mode, node.uid, node.gid);
        }
        disk
    }

    /// Lays the account on and verifies the result.
    pub(crate) fn baked(&self, account: &Account) -> Self {
        let disk = self.with(&layer(&self.facts(account), account).unwrap());
        assert_eq!(disk.verified(account), Ok(()));
        disk
    }

    pub(crate) fn verified(&self, account: &Account) -> Result<(), String> {
        let mut facts = BaseFacts::default();
        verify_inputs(account).iter().for_each(|input| self.answer(input, &mut facts));
        verify(&facts, account)
    }
}

fn stat(fact: &FileFact) -> FileFact {
    let kind = match &fact.kind {
        FactKind::File(_) => FactKind::File(None),
        kind => kind.clone(),
    };
    FileFact { kind, ..fact.clone() }
}

pub(crate) fn account(name: &str, uid: u32, gid: u32) -> Account {
    Account {
        login: Login::new(format!("{name}@example.org")),
        name: name.into(),
        uid,
        gid,
        shell: "/bin/bash".into(),
        sudo: false,
        jupyter: None,
    }
}

/// A small Debian.
pub(crate) fn debian() -> MemoryBase {
    MemoryBase::new()
        .file("/bin/bash", "", 0o755, 0, 0)
        .file("/bin/sh", "", 0o755, 0, 0)
        .dir("/home", 0o755, 0, 0)
        .dir("/etc/skel", 0o755, 0, 0)
        .file("/etc/skel/.profile", "# profile\n", 0o644, 0, 0)
        .file("/etc/skel/.bashrc", "# not interactive: return\n", 0o644, 0, 0)
        .file(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
            0o644,
            0,
            0,
        )
        .file("/etc/group", "root:x:0:\nadm:x:4:\nsudo:x:27:\nusers:x:100:\nnogroup:x:65534:\n", 0o644, 0, 0)
        .file("/etc/shadow", "root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n", 0o640, 0, 42)
        .file("/etc/gshadow", "root:*::\nadm:*::\nsudo:*::\nusers:*::\nnogroup:*::\n", 0o640, 0, 42)
        .file("/etc/subuid", "", 0o644, 0, 0)
        .file("/etc/subgid", "", 0o644, 0, 0)
}

/// An Ubuntu of 2024, with its account `ubuntu`.
pub(crate) fn ubuntu() -> MemoryBase {
    let debian = debian();
    let more = |path: &str, text: &str| debian.text(path).unwrap() + text;
    debian
        .clone()
        .file(
            "/etc/passwd",
            &more("/etc/passwd", "ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash\n"),
            0o644,
            0,
            0,
        )
        .file(
            "/etc/group",
            "root:x:0:\nadm:x:4:syslog,ubuntu\nsudo:x:27:ubuntu\nubuntu:x:1000:\n",
            0o644,
            0,
            0,
        )
        .file("/etc/shadow", &more("/etc/shadow", "ubuntu:!:19900:0:99999:7:::\n"), 0o640, 0, 42)
        .file(
            "/etc/gshadow",
            "root:*::\nadm:*::syslog,ubuntu\nsudo:*:ubuntu:ubuntu\nubuntu:!::\n",
            0o640,
            0,
            42,
        )
        .file("/etc/subuid", "ubuntu:100000:65536\n", 0o644, 0, 0)
        .file("/etc/subgid", "ubuntu:100000:65536\n", 0o644, 0, 0)
        .dir("/home/ubuntu", 0o750, 1000, 1000)
        .file("/home/ubuntu/.profile", "# profile\n", 0o644, 1000, 1000)
        .file("/home/ubuntu/.bashrc", "# not interactive: return\n", 0o644, 1000, 1000)
        .dir("/home/ubuntu/.cache", 0o700, 1000, 1000)
}

/// Nothing but a shell and two lines.
pub(crate) fn busybox() -> MemoryBase {
    MemoryBase::new()
        .file("/bin/sh", "", 0o755, 0, 0)
        .file(
            "/etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false",
            0o644,
            0,
            0,
        )
        .file("/etc/group", "root:x:0:\nwww-data:x:33:", 0o644, 0, 0)
}
