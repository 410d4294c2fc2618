//! Graphs made from specs that are read from memory.

use std::fmt::Write;
use std::path::Path;

use proptest::prelude::*;

use super::{Graph, NodeId};
use crate::spec::files::memory::MemoryFiles;
use crate::spec::{Spec, read};

fn spec(text: &str, project: &str) -> Spec {
    let text = format!(
        "tag: {{prefix: a}}\ninclude: [p/*.yml]\nusers: {{j.doe@x: {{uid: 1001}}, ann: {{uid: 1002}}}}\n{text}"
    );
    let mut files = MemoryFiles::default().file("/r/spec.yml", text);
    if !project.is_empty() {
        files = files.file("/r/p/a.yml", project);
    }
    for name in ["a", "b", "c", "d"] {
        files = files.file(&format!("/r/images/{name}/Dockerfile"), "");
    }
    read(Path::new("/r"), Path::new("spec.yml"), &crate::spec::SpecContext::of(&files)).unwrap()
}

/// a is based on slim; b and c on a; d on b, and copies from c; variants of a and b.
fn diamond() -> Graph {
    let text = "
bases: {slim: {image: \"debian:12\"}}
plans: {py312: {tag_prefix: a-py312}}
images:
  d: {depend_on: [b, c], skip_plans: [py312]}
  b: {depend_on: a}
  c: {depend_on: a, skip_plans: [py312]}
  a: {base: slim}
";
    let projects = "thesis: {user: j.doe@x, image: d}\npaper: {user: j.doe@x, image: b@py312}\npaper2: {user: ann, image: d}\n";
    let more = "thesis2: {user: ann, image: d}\n";
    Graph::build(&spec(text, &format!("{projects}{more}")))
}

fn names<'g>(graph: &'g Graph, ids: &[NodeId]) -> Vec<&'g str> {
    ids.iter().map(|id| graph.node(*id).name.as_str()).collect()
}

#[test]
fn the_order_has_parents_first_and_then_follows_the_spec() {
    let graph = diamond();
    assert_eq!(
        names(&graph, graph.order()),
        [
            "slim",
            "a",
            "b",
            "c",
            "d",
            "a@py312",
            "b@py312",
            "j-doe/thesis",
            "j-doe/paper",
            "ann/paper2",
            "ann/thesis2"
        ]
    );
    assert_eq!(names(&graph, &graph.roots()), ["slim"]);
}

#[test]
fn ancestors_and_descendants_leave_siblings_out() {
    let graph = diamond();
    let of = |name: &str| [graph.find(name).unwrap()];
    assert_eq!(
        names(&graph, &graph.descendants(&of("c"))),
        ["d", "j-doe/thesis", "ann/paper2", "ann/thesis2"]
    );
    assert_eq!(names(&graph, &graph.ancestors(&of("d"))), ["slim", "a", "b", "c"]);
    assert_eq!(names(&graph, &graph.ancestors(&of("j-doe/paper"))), ["slim", "a@py312", "b@py312"]);
    assert_eq!(names(&graph, &graph.children(of("a")[0])), ["b", "c"]);
    assert!(graph.descendants(&of("thesis")).is_empty());
}

#[test]
fn names_are_found_also_without_the_account_where_that_is_clear() {
    let graph = diamond();
    assert_eq!(graph.find("thesis"), graph.find("j-doe/thesis"));
    assert_eq!(names(&graph, &graph.select(&["thesis", "a", "thesis"]).unwrap()), ["a", "j-doe/thesis"]);
    assert_eq!(graph.select::<&str>(&[]).unwrap().len(), graph.len());

    let help = |name: &str| graph.find(name).unwrap_err().help.unwrap();
    assert_eq!(help("b@py313"), "`b` has these plans: py312");
    assert_eq!(help("c@py312"), "`c` has no plan `py312`, nor any other");
    assert_eq!(help("j-doe/tesis"), "did you mean `j-doe/thesis`?");
    assert_eq!(help("nothing-like-it"), "`ds01-build graph` lists all names");
    assert_eq!(graph.select(&["x1", "x2", "a"]).unwrap_err().len(), 2);
}

#[test]
fn a_project_of_several_people_needs_the_account() {
    let projects = "t: {user: ann, image: slim}\n";
    let text = "bases: {slim: {image: \"debian:12\"}}\n";
    let mut spec = spec(text, projects);
    let mut other = spec.projects[0].clone();
    other.account.name = "j-doe".into();
    spec.projects.push(other);
    let problem = Graph::build(&spec).find("t").unwrap_err();
    assert_eq!(problem.help.as_deref(), Some("write one of: ann/t, j-doe/t"));
}

fn state(graph: &Graph) -> impl Fn(NodeId) -> String {
    |id| match graph.node(id).name.as_str() {
        "slim" => "external".into(),
        "a" => "up to date \"<now>\"".into(),
        _ => String::new(),
    }
}

#[test]
fn the_tree_shows_each_node_once_and_notes_it_elsewhere() {
    let graph = diamond();
    insta::assert_snapshot!(graph.to_tree(&state(&graph)));
}

#[test]
fn dot_mermaid_and_json_have_every_node_and_edge() {
    let graph = diamond();
    let json = serde_json::to_string_pretty(&graph.to_json(&state(&graph))).unwrap();
    let all = format!("{}\n{}\n{json}", graph.to_dot(&state(&graph)), graph.to_mermaid(&state(&graph)));
    insta::assert_snapshot!(all);
}

#[test]
fn a_chain_of_thousands_is_walked_and_drawn() {
    let mut text = String::from("bases: {slim: {image: \"debian:12\"}}\nimages:\n");
    for i in 0..3000 {
        let parent = if i == 0 { "slim".into() } else { format!("i{}", i - 1) };
        let _ = writeln!(text, "  i{i}: {{depend_on: {parent}, packages: {{apt: [git]}}}}");
    }
    let graph = Graph::build(&spec(&text, ""));
    assert_eq!(graph.ancestors(&[graph.find("i2999").unwrap()]).len(), 3000);
    assert_eq!(graph.to_tree(&|_| String::new()).lines().count(), 3001);
}

/// The text of a spec whose image `i` may be based on images before it in a
/// hidden order, so that the spec names children before parents too.
fn random_spec(order: &[usize], parents: &[Vec<usize>]) -> String {
    let mut text = String::from("bases: {slim: {image: \"debian:12\"}}\nimages:\n");
    for i in 0..order.len() {
        let mut above: Vec<usize> =
            parents[i].iter().map(|p| p % order.len()).filter(|p| order[*p] < order[i]).collect();
        above.sort_unstable();
        above.dedup();
        let above: Vec<String> = above.iter().map(|p| format!("i{p}")).collect();
        let above = if above.is_empty() { "slim".into() } else { above.join(", ") };
        let _ = writeln!(text, "  i{i}: {{depend_on: [{above}], dockerfile: images/a/Dockerfile}}");
    }
    text
}

fn dag() -> impl Strategy<Value = String> {
    (1usize..40)
        .prop_flat_map(|n| {
            let order = Just((0..n).collect::<Vec<_>>()).prop_shuffle();
            (order, prop::collection::vec(prop::collection::vec(any::<usize>(), 0..4), n))
        })
        .prop_map(|(order, parents)| random_spec(&order, &parents))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parents_always_come_before_children(text in dag()) {
        let graph = Graph::build(&spec(&text, ""));
        let mut place = vec![usize::MAX; graph.len()];
        for (at, id) in graph.order().iter().enumerate() {
            prop_assert_eq!(place[id.index()], usize::MAX);
            place[id.index()] = at;
        }
        for node in graph.nodes() {
            for parent in &node.parents {
                prop_assert!(place[parent.index()] < place[node.id.index()]);
                prop_assert!(graph.children(*parent).contains(&node.id));
                prop_assert!(graph.ancestors(&[node.id]).contains(parent));
                prop_assert!(graph.descendants(&[*parent]).contains(&node.id));
            }
        }
        let drawn = graph.to_tree(&|_| String::new());
        let full = drawn.lines().filter(|line| !line.contains("(shown under ")).count();
        prop_assert_eq!(full, graph.len());
    }

    #[test]
    fn the_same_spec_gives_the_same_order(text in dag()) {
        let first = Graph::build(&spec(&text, ""));
        let second = Graph::build(&spec(&text, ""));
        prop_assert_eq!(first.order(), second.order());
    }
}
