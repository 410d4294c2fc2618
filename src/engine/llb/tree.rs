//! A whole small tree laid on a state, the same bytes on any day.
//!
//! One operation: the tree is made on scratch, every owner, mode and time
//! given, then copied onto the base. Writing into the base directly would
//! leave its folders with the present as their time; the copy sets the time
//! of the folders it passes through.

use bollard_buildkit_proto::pb;

use super::file::{NONE, copy, mkdir, mkfile};
use super::{State, Step};
use crate::image::user_layer::{FileKind, FileNode};

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

const WRITABLE: u32 = 0o755;

impl State {
    /// This state with the nodes (parents first) on it, all of them and the
    /// folders above them with one time, in seconds since 1970.
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
