//! Where files come from: an image, or a folder of the client.

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;

use super::{State, Step};
use crate::model::reference::Reference;

/// A folder that BuildKit fetches from us by file sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// What BuildKit asks us for, and what it keeps the last copy under.
    pub(crate) name: String,
    /// The session to ask on.
    pub(crate) session: String,
    /// Shown to people.
    pub(crate) title: String,
}

impl State {
    /// The files of an image. The engine's own store is asked first.
    pub(crate) fn image(reference: &Reference) -> Self {
        let source = pb::SourceOp {
            identifier: format!("docker-image://{}", reference.canonical()),
            attrs: BTreeMap::new(),
        };
        Self::scratch().with_op(pb::op::Op::Source(source), &[], &Step::default())
    }

    /// A folder of the client.
    pub(crate) fn local(local: &Local) -> Self {
        let attrs = BTreeMap::from([
            ("local.session".to_owned(), local.session.clone()),
            ("local.sharedkeyhint".to_owned(), local.name.clone()),
        ]);
        let source = pb::SourceOp { identifier: format!("local://{}", local.name), attrs };
        Self::scratch().with_op(pb::op::Op::Source(source), &[], &Step::new(&local.title))
    }
}
