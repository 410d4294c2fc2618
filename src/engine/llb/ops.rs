//! Operations on a state: a process, one file, a whole small tree.

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;
use pb::file_action::Action;

use super::{Output, State, Step};
use crate::image::user_layer::{FileKind, FileNode};

/// BuildKit's word for "no input", "no output", "no mode" and "no time".
const NONE: i64 = -1;
/// Bits of a mode that file operations give.
const WRITABLE: u32 = 0o755;

/// A process, run as root in `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exec {
    /// The argument vector.
    pub(crate) argv: Vec<String>,
    /// The whole environment, `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Proxy variables, names in any case. They do not count for the cache.
    pub(crate) proxy: BTreeMap<String, String>,
    /// What is mounted besides the root, in this order.
    pub(crate) mounts: Vec<Mount>,
}

/// Something that is there while the process runs and not in the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// A folder kept from build to build. `locked`: one user at a time.
    Cache { target: String, id: String, locked: bool },
    /// A secret as a file, readable by root only; it must exist.
    Secret { target: String, id: String },
    /// An empty folder in memory.
    Tmpfs { target: String },
    /// A small file, read-only.
    File { target: String, content: String },
}

/// Why a tree cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TreeError {
    /// The engine runs with umask 022 and knows no setuid, setgid or sticky bits here.
    #[error("`{path}` cannot be written with mode {mode:04o}: file operations give at most 0755")]
    Mode { path: String, mode: u32 },
    /// A tree has at least one node.
    #[error("there is nothing to write")]
    Empty,
}

impl State {
    /// What the process leaves behind.
    pub(crate) fn exec(&self, exec: &Exec, step: &Step) -> Self {
        let mut inputs: Vec<Output> = self.output.iter().cloned().collect();
        let root = if self.is_scratch() { NONE } else { 0 };
        let mut mounts = vec![pb::Mount { input: root, dest: "/".into(), output: 0, ..Default::default() }];
        mounts.extend(exec.mounts.iter().map(|mount| place(mount, &mut inputs)));
        let meta = pb::Meta {
            args: exec.argv.clone(),
            env: exec.env.clone(),
            cwd: "/".into(),
            proxy_env: proxy(&exec.proxy),
            ..Default::default()
        };
        let op = pb::ExecOp { meta: Some(meta), mounts, ..Default::default() };
        self.with_op(pb::op::Op::Exec(op), &inputs, step)
    }

    /// One file of root's and nothing else; its time is when it was written.
    pub(crate) fn file(path: &str, content: &[u8], mode: u32, step: &Step) -> Self {
        let action = pb::FileAction {
            input: NONE,
            secondary_input: NONE,
            output: 0,
            action: Some(mkfile(path, content, mode, (0, 0), NONE)),
        };
        Self::scratch().with_op(pb::op::Op::File(pb::FileOp { actions: vec![action] }), &[], step)
    }

    /// This state with the nodes (parents first) on it, all of them and the
    /// folders above them with one time, in seconds since 1970: the same bytes
    /// on any day.
    ///
    /// One operation: the tree is made on scratch, every owner, mode and time
    /// given, then copied onto the base. Writing into the base directly would
    /// leave its folders with the present as their time; the copy sets the
    /// time of the folders it passes through.
    ///
    /// # Errors
    /// When a mode cannot be expressed, or there are no nodes.
    pub(crate) fn with_tree(&self, nodes: &[FileNode], seconds: i64, step: &Step) -> Result<Self, TreeError> {
        if nodes.is_empty() {
            return Err(TreeError::Empty);
        }
        let time = seconds * 1_000_000_000;
        let inputs: Vec<_> = self.output.iter().cloned().collect();
        let first = inputs.len() as i64;
        let mut actions = Vec::with_capacity(nodes.len() + 1);
        for (at, node) in nodes.iter().enumerate() {
            if node.mode & !WRITABLE != 0 {
                return Err(TreeError::Mode { path: node.path.clone(), mode: node.mode });
            }
            let owner = (node.uid, node.gid);
            let action = match &node.kind {
                FileKind::Dir => mkdir(&node.path, node.mode, owner, time),
                FileKind::File(content) => mkfile(&node.path, content, node.mode, owner, time),
            };
            actions.push(pb::FileAction {
                input: if at == 0 { NONE } else { first + at as i64 - 1 },
                secondary_input: NONE,
                output: NONE,
                action: Some(action),
            });
        }
        actions.push(pb::FileAction {
            input: if self.is_scratch() { NONE } else { 0 },
            secondary_input: first + nodes.len() as i64 - 1,
            output: 0,
            action: Some(copy("/", "/", time)),
        });
        Ok(self.with_op(pb::op::Op::File(pb::FileOp { actions }), &inputs, step))
    }
}

fn place(mount: &Mount, inputs: &mut Vec<Output>) -> pb::Mount {
    let at = |target: &str, kind: pb::MountType| pb::Mount {
        input: NONE,
        output: NONE,
        dest: target.to_owned(),
        mount_type: kind.into(),
        ..Default::default()
    };
    match mount {
        Mount::Cache { target, id, locked } => {
            let sharing = if *locked { pb::CacheSharingOpt::Locked } else { pb::CacheSharingOpt::Shared };
            let cache = pb::CacheOpt { id: id.clone(), sharing: sharing.into() };
            pb::Mount { cache_opt: Some(cache), ..at(target, pb::MountType::Cache) }
        }
        Mount::Secret { target, id } => {
            let secret = pb::SecretOpt { id: id.clone(), mode: 0o400, ..Default::default() };
            pb::Mount { secret_opt: Some(secret), ..at(target, pb::MountType::Secret) }
        }
        Mount::Tmpfs { target } => {
            let tmpfs = pb::TmpfsOpt::default();
            pb::Mount { tmpfs_opt: Some(tmpfs), ..at(target, pb::MountType::Tmpfs) }
        }
        Mount::File { target, content } => {
            let step = Step::new(format!("write {target}"));
            inputs.extend(State::file("/file", content.as_bytes(), 0o444, &step).output);
            let (input, selector) = (inputs.len() as i64 - 1, "/file".into());
            pb::Mount { input, selector, readonly: true, ..at(target, pb::MountType::Bind) }
        }
    }
}

fn proxy(variables: &BTreeMap<String, String>) -> Option<pb::ProxyEnv> {
    let mut env = pb::ProxyEnv::default();
    for (name, value) in variables {
        let slot = match name.to_ascii_lowercase().as_str() {
            "http_proxy" => &mut env.http_proxy,
            "https_proxy" => &mut env.https_proxy,
            "ftp_proxy" => &mut env.ftp_proxy,
            "no_proxy" => &mut env.no_proxy,
            "all_proxy" => &mut env.all_proxy,
            _ => continue,
        };
        slot.clone_from(value);
    }
    (env != pb::ProxyEnv::default()).then_some(env)
}

/// A folder without its parents; `time` in nanoseconds since 1970.
fn mkdir(path: &str, mode: u32, owner: (u32, u32), time: i64) -> Action {
    Action::Mkdir(pb::FileActionMkDir {
        path: path.to_owned(),
        mode: mode as i32,
        make_parents: false,
        owner: Some(by_id(owner)),
        timestamp: time,
    })
}

/// A file; `time` in nanoseconds since 1970.
fn mkfile(path: &str, content: &[u8], mode: u32, owner: (u32, u32), time: i64) -> Action {
    Action::Mkfile(pb::FileActionMkFile {
        path: path.to_owned(),
        mode: mode as i32,
        data: content.to_vec(),
        owner: Some(by_id(owner)),
        timestamp: time,
    })
}

/// A copy that keeps owners and modes; `time` in nanoseconds since 1970.
fn copy(from: &str, to: &str, time: i64) -> Action {
    Action::Copy(pb::FileActionCopy {
        src: from.to_owned(),
        dest: to.to_owned(),
        mode: NONE as i32,
        dir_copy_contents: true,
        create_dest_path: true,
        timestamp: time,
        ..Default::default()
    })
}

fn by_id((uid, gid): (u32, u32)) -> pb::ChownOpt {
    let id = |id| Some(pb::UserOpt { user: Some(pb::user_opt::User::ById(id)) });
    pb::ChownOpt { user: id(uid), group: id(gid) }
}
