//! File operations on a state, without a container.

use bollard_buildkit_proto::pb;
use pb::file_action::Action;

use super::{Output, State, Step};

/// BuildKit's word for "no input", "no output", "no mode" and "no time".
pub(super) const NONE: i64 = -1;

/// One change to the files of a state. Paths are absolute. The time of what
/// is written is when it was written.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "a part of what LLB can"))]
pub(crate) enum Change {
    /// A folder whose parent exists; an existing one stays as it is.
    Dir { path: String, mode: u32, owner: (u32, u32) },
    /// A file with this content, replacing what is there.
    File { path: String, content: Vec<u8>, mode: u32, owner: (u32, u32) },
    /// A file or folder of another state; a folder gives what is in it.
    Copy { from: State, path: String, to: String },
    /// Gone, with all that is in it; it need not exist.
    Remove { path: String },
}

impl State {
    /// The changes one after the other, as one operation.
    pub(crate) fn files(&self, changes: &[Change], step: &Step) -> Self {
        let base = self.output.iter().cloned();
        let sources = changes.iter().filter_map(|c| match c {
            Change::Copy { from, .. } => from.output.clone(),
            _ => None,
        });
        let inputs: Vec<Output> = base.chain(sources).collect();
        let first = inputs.len() as i64;
        let mut source = i64::from(!self.is_scratch());
        let mut actions = Vec::new();
        for (at, change) in changes.iter().enumerate() {
            let at = at as i64;
            let before = if at > 0 {
                first + at - 1
            } else if self.is_scratch() {
                NONE
            } else {
                0
            };
            let secondary = match change {
                Change::Copy { from, .. } if !from.is_scratch() => {
                    source += 1;
                    source - 1
                }
                _ => NONE,
            };
            let last = at + 1 == changes.len() as i64;
            actions.push(pb::FileAction {
                input: before,
                secondary_input: secondary,
                output: if last { 0 } else { NONE },
                action: Some(change.action()),
            });
        }
        if actions.is_empty() {
            return self.clone();
        }
        self.with_op(pb::op::Op::File(pb::FileOp { actions }), &inputs, step)
    }
}

impl Change {
    fn action(&self) -> Action {
        match self {
            Self::Dir { path, mode, owner } => mkdir(path, *mode, *owner, NONE),
            Self::File { path, content, mode, owner } => mkfile(path, content, *mode, *owner, NONE),
            Self::Copy { path, to, .. } => copy(path, to, NONE),
            Self::Remove { path } => Action::Rm(pb::FileActionRm {
                path: path.clone(),
                allow_not_found: true,
                allow_wildcard: false,
            }),
        }
    }
}

/// A folder without its parents; `time` in nanoseconds since 1970.
pub(super) fn mkdir(path: &str, mode: u32, owner: (u32, u32), time: i64) -> Action {
    Action::Mkdir(pb::FileActionMkDir {
        path: path.to_owned(),
        mode: mode as i32,
        make_parents: false,
        owner: Some(by_id(owner)),
        timestamp: time,
    })
}

/// A file; `time` in nanoseconds since 1970.
pub(super) fn mkfile(path: &str, content: &[u8], mode: u32, owner: (u32, u32), time: i64) -> Action {
    Action::Mkfile(pb::FileActionMkFile {
        path: path.to_owned(),
        mode: mode as i32,
        data: content.to_vec(),
        owner: Some(by_id(owner)),
        timestamp: time,
    })
}

/// A copy that keeps owners and modes; `time` in nanoseconds since 1970.
pub(super) fn copy(from: &str, to: &str, time: i64) -> Action {
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
