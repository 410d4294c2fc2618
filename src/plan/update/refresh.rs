//! Asks for fresh packages by a new stamp for each image, and says what that
//! rebuilds. Pure: the day is given to it, and others write what it changed.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::Rebuild;
use crate::host::people::Caller;
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::plan::SelectionError;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::{Lock, Stamp};
use crate::spec::{Spec, SpecEntry};

/// What a refresh did to the lock, and is to do to project files.
pub(crate) struct Refresh {
    pub(crate) stamps: Vec<NewStamp>,
    /// Images with a stamp that are no more.
    dropped: Vec<NodeName>,
    /// All that has another recipe now.
    pub(crate) affected: BTreeSet<NodeId>,
}

/// The new stamp of an image.
pub(crate) struct NewStamp {
    pub(crate) node: NodeId,
    name: NodeName,
    old: Option<Stamp>,
    pub(crate) new: Stamp,
}

/// Gives these images a new stamp each, in `lock` or in the spec's project;
/// none are named: every shared image, and stamps of images that are no more
/// go.
///
/// # Errors
/// One problem for each base, which has no stamp; or a project that the caller
/// may not change.
pub(crate) fn refresh(
    (spec, graph): (&mut Spec, &Graph),
    named: &[NodeId],
    caller: &Caller,
    lock: &mut Lock,
    today: Date,
) -> Result<Refresh, SelectionError> {
    let problems: Vec<_> = named.iter().filter_map(|node| is_base(spec, graph, *node)).collect();
    if !problems.is_empty() {
        return Err(SelectionError::Unknown(problems));
    }
    for node in named {
        if let SpecEntry::Project(project) = SpecEntry::of(spec, graph, *node) {
            project.check_access(caller, "refresh").map_err(SelectionError::Refused)?;
        }
    }
    let shared = |node: &NodeId| matches!(SpecEntry::of(spec, graph, *node), SpecEntry::Image(_));
    let chosen = |node: &NodeId| if named.is_empty() { shared(node) } else { named.contains(node) };
    let nodes: Vec<_> = graph.order().iter().copied().filter(chosen).collect();
    let mut dropped = Vec::new();
    if named.is_empty() {
        let names: BTreeSet<_> = nodes.iter().map(|node| &graph.node(*node).name).collect();
        dropped.extend(lock.refreshed.extract_if(.., |name, _| !names.contains(name)).map(|(name, _)| name));
    }
    let mut stamps = Vec::new();
    for &node in &nodes {
        let (name, at) = (graph.node(node).name.clone(), graph.node(node).spec_index);
        let is_project = matches!(SpecEntry::of(spec, graph, node), SpecEntry::Project(_));
        let old = if is_project { spec.projects[at].refreshed } else { lock.refreshed.get(&name).copied() };
        let new = Stamp::following(old, today);
        if is_project {
            spec.projects[at].refreshed = Some(new);
        } else {
            lock.refreshed.insert(name.clone(), new);
        }
        stamps.push(NewStamp { node, name, old, new });
    }
    let affected = graph.descendants(&nodes).into_iter().chain(nodes).collect();
    Ok(Refresh { stamps, dropped, affected })
}

fn is_base(spec: &Spec, graph: &Graph, node: NodeId) -> Option<Problem> {
    let entry = SpecEntry::of(spec, graph, node);
    entry.external()?;
    let name = entry.key();
    let problem = Problem::new(format!("`{name}` is a base, whose packages are not installed here"));
    let help = format!("`ds01-build update {name}` moves it to what its tag stands for now");
    Some(problem.at(entry.place()).help(help))
}

/// All of a refresh.
pub(crate) struct RefreshReport {
    pub(crate) refresh: Refresh,
    /// Whether the stamps are in their files now.
    pub(crate) written: bool,
    pub(crate) rebuild: Rebuild,
}

impl RefreshReport {
    /// The new stamps and what they rebuild, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Refresh { stamps, dropped, .. } = &self.refresh;
        let width = stamps.iter().map(|stamp| stamp.name.as_str().len()).max().unwrap_or(0);
        let line = |NewStamp { name, old, new, .. }: &NewStamp| match old {
            Some(old) => format!("{name:width$}  refreshed {old} → {new}"),
            None => format!("{name:width$}  refreshed {new}"),
        };
        let dropped =
            dropped.iter().map(|name| format!("dropped {name}: the spec has no such image any more"));
        stamps.iter().map(line).chain(dropped).chain(self.rebuild.line()).collect()
    }

    /// `{refreshed: [{image, old, new}], dropped, written, rebuild}`.
    pub(crate) fn to_json(&self) -> Value {
        let stamp = |NewStamp { name, old, new, .. }: &NewStamp| json!({"image": name, "old": old.map(|old| old.to_string()), "new": new.to_string()});
        json!({
            "refreshed": self.refresh.stamps.iter().map(stamp).collect::<Vec<_>>(),
            "dropped": self.refresh.dropped,
            "written": self.written,
            "rebuild": self.rebuild,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::Login;
    use crate::spec::files::memory::MemoryFiles;

    const SPEC: &str = "tag: {prefix: t}\ninclude: [projects.yml]\nbases: {os: {image: \"debian:12\"}}\n\
        images:\n  lib: {base: os, packages: {apt: [git]}}\n  app: {depend_on: lib, packages: {apt: [jq]}}\n\
        plans: {p: {tag_prefix: t-p}}\nusers: {ann: {uid: 1001, gid: 1001}}\n";

    fn stack() -> (Spec, Graph) {
        let projects =
            "maps: {user: ann, image: app}\nown: {user: ann, image: os, refreshed: 2026-11-02.3}\n";
        let files = MemoryFiles::default().file("/r/spec.yml", SPEC).file("/r/projects.yml", projects);
        let context = crate::spec::SpecContext::of(&files);
        let spec = crate::spec::read("/r".as_ref(), "spec.yml".as_ref(), &context).unwrap();
        let graph = Graph::build(&spec);
        (spec, graph)
    }

    fn today() -> Date {
        "2026-11-30".parse().unwrap()
    }

    fn caller(uid: u32) -> Caller {
        Caller { login: Login::new("x"), uid, in_administrators: uid == 7 }
    }

    /// What people are told, and what is affected.
    fn told(spec: &mut Spec, graph: &Graph, names: &[&str], lock: &mut Lock) -> (String, String) {
        let named: Vec<_> = names.iter().map(|name| graph.find(name).unwrap()).collect();
        let refresh = refresh((spec, graph), &named, &caller(1001), lock, today()).unwrap();
        let affected: Vec<_> = refresh.affected.iter().map(|id| graph.node(*id).name.as_str()).collect();
        let affected = affected.join(" ");
        let report = RefreshReport { refresh, written: false, rebuild: Rebuild::default() };
        (report.lines().join("; "), affected)
    }

    #[test]
    fn an_image_gets_a_stamp_and_what_is_based_on_it_another_recipe() {
        let ((mut spec, graph), mut lock) = (stack(), Lock::default());
        let (lines, affected) = told(&mut spec, &graph, &["app"], &mut lock);
        assert_eq!((lines.as_str(), affected.as_str()), ("app  refreshed 2026-11-30", "app ann/maps"));
        let (lines, _) = told(&mut spec, &graph, &["app", "own", "lib@p"], &mut lock);
        assert_eq!(
            lines,
            "lib@p    refreshed 2026-11-30; app      refreshed 2026-11-30 → 2026-11-30.2; \
             ann/own  refreshed 2026-11-02.3 → 2026-11-30"
        );
        assert_eq!(spec.projects.iter().filter_map(|project| project.refreshed).count(), 1);
        let stamps: Vec<_> = lock.refreshed.iter().map(|(name, stamp)| format!("{name} {stamp}")).collect();
        assert_eq!(stamps, ["app 2026-11-30.2", "lib@p 2026-11-30"], "a project's is in its own file");
    }

    #[test]
    fn without_names_every_shared_image_is_refreshed_and_no_project() {
        let ((mut spec, graph), mut lock) = (stack(), Lock::default());
        lock.refreshed.insert(NodeName::new("gone"), Stamp::parse("2026-01-01").unwrap());
        let (lines, _) = told(&mut spec, &graph, &[], &mut lock);
        assert!(lines.ends_with("dropped gone: the spec has no such image any more"), "{lines}");
        let names: Vec<_> = lock.refreshed.keys().map(NodeName::as_str).collect();
        assert_eq!(names, ["app", "app@p", "lib", "lib@p"]);
        assert_eq!(spec.projects[0].refreshed, None);
    }

    #[test]
    fn only_its_owner_or_an_administrator_refreshes_a_project() {
        for (uid, may) in [(0, true), (7, true), (1001, true), (1002, false)] {
            let ((mut spec, graph), mut lock) = (stack(), Lock::default());
            let named = [graph.find("lib").unwrap(), graph.find("maps").unwrap()];
            let refreshed = refresh((&mut spec, &graph), &named, &caller(uid), &mut lock, today());
            assert_eq!(!matches!(refreshed, Err(SelectionError::Refused(_))), may, "uid {uid}");
            assert_eq!(lock == Lock::default(), !may, "the image is not refreshed either");
        }
    }

    #[test]
    fn a_base_has_no_packages_of_ours() {
        let ((mut spec, graph), mut lock) = (stack(), Lock::default());
        let named = [graph.find("os").unwrap(), graph.find("lib").unwrap()];
        let refused = refresh((&mut spec, &graph), &named, &caller(1001), &mut lock, today()).err();
        let Some(SelectionError::Unknown(problems)) = refused else { panic!("{refused:?}") };
        assert!(problems[0].help.as_ref().unwrap().contains("`ds01-build update os`"), "{problems:?}");
        assert_eq!(lock, Lock::default());
    }
}
