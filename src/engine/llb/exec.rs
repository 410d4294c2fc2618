//! A process run on a state.

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;

use super::{Change, Output, State, Step};

/// BuildKit's word for "no input" and "no output".
const NONE: i64 = -1;

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
}

fn place(mount: &Mount, inputs: &mut Vec<Output>) -> pb::Mount {
    let empty = pb::Mount { input: NONE, output: NONE, ..Default::default() };
    match mount {
        Mount::Cache { target, id, locked } => {
            let sharing = if *locked { pb::CacheSharingOpt::Locked } else { pb::CacheSharingOpt::Shared };
            pb::Mount {
                dest: target.clone(),
                mount_type: pb::MountType::Cache.into(),
                cache_opt: Some(pb::CacheOpt { id: id.clone(), sharing: sharing.into() }),
                ..empty
            }
        }
        Mount::Secret { target, id } => pb::Mount {
            dest: target.clone(),
            mount_type: pb::MountType::Secret.into(),
            secret_opt: Some(pb::SecretOpt { id: id.clone(), mode: 0o400, ..Default::default() }),
            ..empty
        },
        Mount::Tmpfs { target } => pb::Mount {
            dest: target.clone(),
            mount_type: pb::MountType::Tmpfs.into(),
            tmpfs_opt: Some(pb::TmpfsOpt::default()),
            ..empty
        },
        Mount::File { target, content } => {
            let file = Change::File {
                path: "/file".into(),
                content: content.clone().into_bytes(),
                mode: 0o444,
                owner: (0, 0),
            };
            let state = State::scratch().files(&[file], &Step::new(format!("write {target}")));
            inputs.extend(state.output);
            pb::Mount {
                input: inputs.len() as i64 - 1,
                selector: "/file".into(),
                dest: target.clone(),
                readonly: true,
                ..empty
            }
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
