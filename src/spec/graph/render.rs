//! The graph as a tree for people, and as Dot, Mermaid and JSON for programs.
//!
//! What state a node is in is asked for with a function; an empty answer
//! writes nothing.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Graph, Node, NodeId, NodeKind};

/// A node's state in a few words.
pub(crate) type NodeState<'f> = &'f dyn Fn(NodeId) -> String;

/// A line of the tree that is still to be drawn.
struct TreeLine {
    id: NodeId,
    /// The parent it is drawn under; `None` for a root.
    under: Option<NodeId>,
    /// What stands before its branch.
    before: String,
    /// No sibling follows.
    last: bool,
}

impl Graph {
    /// A tree from the roots down, a line for each node. A node with several
    /// parents stands in full under its first one, and is noted under the others.
    pub(crate) fn to_tree(&self, state: NodeState) -> String {
        let mut text = String::new();
        // Deep chains are legal, so the walk has a stack of its own.
        let root = |id| TreeLine { id, under: None, before: String::new(), last: true };
        let mut stack: Vec<TreeLine> = self.roots().into_iter().rev().map(root).collect();
        while let Some(TreeLine { id, under, before, last }) = stack.pop() {
            let node = self.node(id);
            let here = under.is_none() || node.parents.first() == under.as_ref();
            let (branch, below) = match (under, last) {
                (None, _) => ("", ""),
                (_, true) => ("└── ", "    "),
                (_, false) => ("├── ", "│   "),
            };
            let _ = writeln!(text, "{before}{branch}{}", self.line(node, here, state));
            if here {
                let children = self.children(id);
                let last = children.last().copied();
                let before = before + below;
                stack.extend(children.into_iter().rev().map(|child| TreeLine {
                    id: child,
                    under: Some(id),
                    before: before.clone(),
                    last: Some(child) == last,
                }));
            }
        }
        text
    }

    fn line(&self, node: &Node, here: bool, state: NodeState) -> String {
        let names = |ids: &[NodeId]| {
            let names: Vec<&str> = ids.iter().map(|id| self.node(*id).name.as_str()).collect();
            names.join(", ")
        };
        let mut line = node.name.to_string();
        if !here {
            let _ = write!(line, "  (shown under {})", names(&node.parents[..1]));
            return line;
        }
        let state = state(node.id);
        if !state.is_empty() {
            let _ = write!(line, "  {state}");
        }
        if let Some(others @ [_, ..]) = node.parents.get(1..) {
            let _ = write!(line, "  (also on {})", names(others));
        }
        line
    }

    /// A Graphviz graph; further parents have dashed edges.
    pub(crate) fn to_dot(&self, state: NodeState) -> String {
        let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut text = String::from("digraph images {\n  rankdir=LR;\n  node [shape=box];\n");
        for node in self.nodes() {
            let label = label(node, state(node.id), "\n");
            let style = if matches!(node.kind, NodeKind::Base(_)) { ", style=dashed" } else { "" };
            let _ =
                writeln!(text, "  \"{}\" [label=\"{}\"{style}];", quote(node.name.as_str()), quote(&label));
        }
        for (parent, child, first) in self.edges() {
            let (parent, child) = (quote(parent.name.as_str()), quote(child.name.as_str()));
            let style = if first { "" } else { " [style=dashed]" };
            let _ = writeln!(text, "  \"{parent}\" -> \"{child}\"{style};");
        }
        text + "}\n"
    }

    /// A Mermaid flowchart; further parents have dotted edges.
    pub(crate) fn to_mermaid(&self, state: NodeState) -> String {
        // Mermaid reads HTML entities with `#` in place of `&`.
        let quote = |text: &str| {
            text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
        };
        let mut text = String::from("flowchart LR\n");
        for node in self.nodes() {
            let label = quote(&label(node, state(node.id), "\n")).replace('\n', "<br/>");
            let (open, close) =
                if matches!(node.kind, NodeKind::Base(_)) { ("([", "])") } else { ("[", "]") };
            let _ = writeln!(text, "  n{}{open}\"{label}\"{close}", node.id.index());
        }
        for (parent, child, first) in self.edges() {
            let arrow = if first { "-->" } else { "-.->" };
            let _ = writeln!(text, "  n{} {arrow} n{}", parent.id.index(), child.id.index());
        }
        text
    }

    /// `{"nodes": [...], "edges": [{"from", "to", "copies_only"}]}`, nodes in
    /// the order of the spec.
    pub(crate) fn to_json(&self, state: NodeState) -> Value {
        let nodes: Vec<Value> = self
            .nodes()
            .map(|node| {
                let parents: Vec<&str> = node.parents.iter().map(|id| self.node(*id).name.as_str()).collect();
                json!({
                    "name": node.name,
                    "kind": kind(node),
                    "plan": node.plan,
                    "repository": node.repository.as_ref().map(|r| r.as_str()),
                    "tag_prefix": node.tag_prefix,
                    "parents": parents,
                    "state": state(node.id),
                })
            })
            .collect();
        let edges: Vec<Value> = self
            .edges()
            .map(|(parent, child, first)| {
                json!({"from": parent.name, "to": child.name, "copies_only": !first})
            })
            .collect();
        json!({"nodes": nodes, "edges": edges})
    }

    /// Parent, child, and whether the child is built from that parent.
    fn edges(&self) -> impl Iterator<Item = (&Node, &Node, bool)> {
        self.nodes().flat_map(move |child| {
            let parents = child.parents.iter().enumerate();
            parents.map(move |(i, parent)| (self.node(*parent), child, i == 0))
        })
    }
}

fn label(node: &Node, state: String, between: &str) -> String {
    if state.is_empty() { node.name.to_string() } else { format!("{}{between}{state}", node.name) }
}

fn kind(node: &Node) -> &'static str {
    match node.kind {
        NodeKind::Base(_) => "base",
        NodeKind::Image(_) => "image",
        NodeKind::Project(..) => "project",
    }
}
