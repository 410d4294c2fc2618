//! LLB, BuildKit's description of a build, written with a small typed builder.
//!
//! A [`State`] is one file system and everything it is based on. Building the
//! same thing twice gives the same bytes, and so the same digests, which is
//! what BuildKit's cache goes by. Knows nothing of connections or images.

mod ops;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bollard_buildkit_proto::pb;
use prost::Message;

use crate::model::digest::sha256;
use crate::model::reference::Reference;
pub(crate) use ops::{Exec, Mount};

/// How a step is shown, and whether an earlier result of it may stand in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Shown to people instead of the operation; empty: BuildKit's own name.
    pub(crate) title: String,
    /// Run it even when the cache has a result.
    pub(crate) no_cache: bool,
}

impl Step {
    /// A step that may come from the cache.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), no_cache: false }
    }

    fn metadata(&self) -> pb::OpMetadata {
        let mut description = BTreeMap::new();
        if !self.title.is_empty() {
            description.insert("llb.customname".to_owned(), self.title.clone());
        }
        pb::OpMetadata { ignore_cache: self.no_cache, description, ..Default::default() }
    }
}

/// One operation with the operations it reads from.
#[derive(Debug)]
struct Node {
    bytes: Vec<u8>,
    digest: String,
    metadata: pb::OpMetadata,
    inputs: Vec<Arc<Node>>,
}

/// One result of one operation.
#[derive(Clone, Debug)]
struct Output {
    node: Arc<Node>,
    index: i64,
}

impl Output {
    fn input(&self) -> pb::Input {
        pb::Input { digest: self.node.digest.clone(), index: self.index }
    }
}

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

/// A file system under construction; the empty one is `scratch`.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    output: Option<Output>,
    /// Which lines of a Dockerfile its operations come from.
    source: Option<Arc<pb::Source>>,
}

impl State {
    /// Nothing at all.
    pub(crate) fn scratch() -> Self {
        Self::default()
    }

    /// True for `scratch`.
    pub(crate) fn is_scratch(&self) -> bool {
        self.output.is_none()
    }

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

    fn with_op(&self, op: pb::op::Op, inputs: &[Output], step: &Step) -> Self {
        let op =
            pb::Op { inputs: inputs.iter().map(Output::input).collect(), op: Some(op), ..Default::default() };
        let bytes = op.encode_to_vec();
        let node = Node {
            digest: sha256(&bytes),
            bytes,
            metadata: step.metadata(),
            inputs: inputs.iter().map(|i| i.node.clone()).collect(),
        };
        Self { output: Some(Output { node: Arc::new(node), index: 0 }), source: self.source.clone() }
    }

    /// What is sent to BuildKit; `None` for `scratch`, which cannot be sent.
    pub(crate) fn definition(&self) -> Option<Definition> {
        let output = self.output.as_ref()?;
        let mut definition = pb::Definition { source: self.source.as_deref().cloned(), ..Default::default() };
        collect(&output.node, &mut BTreeSet::new(), &mut definition);
        // The last operation has no kind of its own: it says which result is meant.
        let last = pb::Op { inputs: vec![output.input()], ..Default::default() };
        definition.def.push(last.encode_to_vec());
        Some(Definition(definition))
    }

    /// Takes up a definition that BuildKit made, byte for byte.
    ///
    /// # Errors
    /// Says what is missing or broken in it.
    pub(crate) fn from_pb(definition: pb::Definition) -> Result<Self, String> {
        let mut nodes: BTreeMap<String, Arc<Node>> = BTreeMap::new();
        let (last, operations) = definition.def.split_last().ok_or("a definition without operations")?;
        for bytes in operations {
            let op = pb::Op::decode(bytes.as_slice()).map_err(|e| e.to_string())?;
            let inputs = op.inputs.iter().map(|i| find(&nodes, &i.digest)).collect::<Result<_, _>>()?;
            let digest = sha256(bytes);
            let metadata = definition.metadata.get(&digest).cloned().unwrap_or_default();
            nodes.insert(digest.clone(), Arc::new(Node { bytes: bytes.clone(), digest, metadata, inputs }));
        }
        let last = pb::Op::decode(last.as_slice()).map_err(|e| e.to_string())?;
        let input = last.inputs.first().ok_or("a definition that names no result")?;
        let output = Output { node: find(&nodes, &input.digest)?, index: input.index };
        Ok(Self { output: Some(output), source: definition.source.map(Arc::new) })
    }
}

fn find(nodes: &BTreeMap<String, Arc<Node>>, digest: &str) -> Result<Arc<Node>, String> {
    nodes.get(digest).cloned().ok_or_else(|| format!("no operation {digest} before its use"))
}

/// Inputs before what reads them, each once.
fn collect(node: &Arc<Node>, seen: &mut BTreeSet<String>, out: &mut pb::Definition) {
    if !seen.insert(node.digest.clone()) {
        return;
    }
    for input in &node.inputs {
        collect(input, seen, out);
    }
    out.def.push(node.bytes.clone());
    out.metadata.insert(node.digest.clone(), node.metadata.clone());
}

/// A state, serialized.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition(pb::Definition);

impl Definition {
    /// SHA-256 over all of it: `sha256:<64 hex>`.
    pub(crate) fn digest(&self) -> String {
        sha256(&self.0.encode_to_vec())
    }

    pub(crate) fn into_pb(self) -> pb::Definition {
        self.0
    }
}

#[cfg(test)]
mod tests;
