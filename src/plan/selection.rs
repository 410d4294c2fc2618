//! From what a person asked for to the images that a run is about, and whose
//! projects they may build. Pure: what changed and which branch it is, others
//! say.

use std::collections::HashSet;

use crate::host::people::{Caller, may_act_for};
use crate::model::human;
use crate::model::problem::Problem;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::{Spec, SpecEntry};

/// What a run is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The images and all they are based on, parents first.
    pub(crate) nodes: Vec<NodeId>,
    /// Built again whether up to date or not.
    pub(crate) forced: HashSet<NodeId>,
    /// Names the branch tags; `None`: no branch tag moves.
    pub(crate) branch: Option<String>,
    /// Registries are to have what is done.
    pub(crate) push: bool,
}

impl Selection {
    /// Every image of the spec.
    pub(crate) fn all(graph: &Graph) -> Self {
        Self { nodes: graph.order().to_vec(), ..Self::default() }
    }

    /// These nodes and all that they are based on.
    pub(crate) fn with_bases(graph: &Graph, wanted: &[NodeId]) -> Self {
        let mut all: HashSet<_> = graph.ancestors(wanted).into_iter().collect();
        all.extend(wanted);
        let nodes = graph.order().iter().copied().filter(|node| all.contains(node)).collect();
        Self { nodes, ..Self::default() }
    }
}

/// What a person asked for.
pub(crate) struct SelectionRequest<'a> {
    /// Names; none: everything.
    pub(crate) images: &'a [String],
    pub(crate) force: &'a [String],
    pub(crate) force_all: bool,
    /// Only what differs from this revision, and what does.
    pub(crate) since: Option<(&'a str, &'a [NodeId])>,
    /// The branch, or why there is none.
    pub(crate) branch: Result<String, String>,
    pub(crate) caller: &'a Caller,
    /// What is selected will be built, and not only looked at.
    pub(crate) builds: bool,
}

/// Why nothing is selected.
#[derive(Debug)]
pub(crate) enum SelectionError {
    /// Names that the spec does not have.
    Unknown(Vec<Problem>),
    /// The caller may not build it.
    Refused(Problem),
}

impl From<Vec<Problem>> for SelectionError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Unknown(problems)
    }
}

/// What a request selects.
pub(crate) struct Selected {
    pub(crate) selection: Selection,
    /// Why no branch tag will be put, if none will.
    pub(crate) branchless: Option<String>,
    /// Says that nothing is selected, since nothing differs.
    pub(crate) unchanged: Option<String>,
    /// Says how many projects of others are not selected.
    pub(crate) left_out: Option<String>,
}

impl SelectionRequest<'_> {
    /// The images, with what they are based on.
    ///
    /// # Errors
    /// Names that the spec does not have; projects of others are to be built,
    /// whose `latest` would move under them.
    pub(crate) fn select(self, spec: &Spec, graph: &Graph) -> Result<Selected, SelectionError> {
        let mut named = graph.select(self.images)?;
        let forced = if self.force.is_empty() { Vec::new() } else { graph.select(self.force)? };
        let others = |node: &NodeId| match SpecEntry::of(spec, graph, *node) {
            SpecEntry::Project(project) => {
                (!may_act_for(self.caller, project.account.uid)).then_some(&project.account)
            }
            _ => None,
        };
        let explicit = if self.images.is_empty() { &[][..] } else { &named };
        if let Some((node, owner)) =
            explicit.iter().chain(&forced).filter(|_| self.builds).find_map(|n| Some((n, others(n)?)))
        {
            let (name, login, uid) = (&graph.node(*node).name, &owner.login, owner.uid);
            let problem = Problem::new(format!("`{name}` belongs to {login} (uid {uid})"));
            return Err(SelectionError::Refused(
                problem.help("only its owner or an administrator builds it"),
            ));
        }
        if let Some((_, changed)) = self.since {
            named.retain(|node| changed.contains(node));
        }
        let mut left_out = 0;
        if self.images.is_empty() {
            let before = named.len();
            named.retain(|node| others(node).is_none());
            left_out = before - named.len();
        }
        if left_out > 0 && named.is_empty() && forced.is_empty() && self.builds {
            let problem = Problem::new("there are only other people's projects to build");
            return Err(SelectionError::Refused(
                problem.help("only their owners or an administrator build them"),
            ));
        }
        let mut unchanged = None;
        if let Some((revision, _)) = self.since {
            let none = named.is_empty() && forced.is_empty();
            let what = if self.images.is_empty() { "nothing" } else { "nothing of what is named" };
            unchanged = none.then(|| format!("{what} changed since {revision}"));
        }
        let wanted = [named, forced.clone()].concat();
        let mut selection = Selection::with_bases(graph, &wanted);
        let forced = if self.force_all { selection.nodes.clone() } else { forced };
        selection.forced = forced.into_iter().collect();
        // Who builds a project of theirs only does not care for tags of what it is based on.
        let is_shared = |node: &NodeId| matches!(SpecEntry::of(spec, graph, *node), SpecEntry::Image(_));
        let told =
            |why| format!("no branch tags are put, since {why}; --branch NAME or DS01_BRANCH names one");
        let branchless = match self.branch {
            Ok(branch) => {
                selection.branch = Some(branch);
                None
            }
            Err(why) => wanted.iter().any(is_shared).then(|| told(why)),
        };
        let left_out = (left_out > 0).then(|| {
            let projects = human::count(left_out as u64, "project");
            format!("left out: {projects} of others, which only their owners and administrators build")
        });
        Ok(Selected { selection, branchless, unchanged, left_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::Login;
    use crate::spec::files::memory::MemoryFiles;

    fn stack() -> (Spec, Graph) {
        let text = "version: 1\ntag: {prefix: t}\ninclude: [projects.yml]\n\
            bases: {os: {image: \"debian:12\"}}\nimages: {lib: {base: os, packages: {apt: [git]}}}\n\
            users: {ann: {uid: 1001, gid: 1001}, bob: {uid: 1002, gid: 1002}}\n";
        let projects = "maps: {user: ann, image: lib}\nthesis: {user: bob, image: lib}\n";
        let files = MemoryFiles::default().file("/r/spec.yml", text).file("/r/projects.yml", projects);
        let context = crate::spec::SpecContext::of(&files);
        let spec = crate::spec::read("/r".as_ref(), "spec.yml".as_ref(), &context).unwrap();
        let graph = Graph::build(&spec);
        (spec, graph)
    }

    /// Names of what a run of this uid is about and what is said, or the refusal.
    fn selected(uid: u32, images: &[&str], force: &[&str], builds: bool) -> Result<String, String> {
        let (spec, graph) = stack();
        let caller = Caller { login: Login::new("x"), uid, in_administrators: uid == 7 };
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (images, force) = (owned(images), owned(force));
        let request = SelectionRequest {
            images: &images,
            force: &force,
            force_all: false,
            since: None,
            branch: Ok("main".into()),
            caller: &caller,
            builds,
        };
        match request.select(&spec, &graph) {
            Ok(Selected { selection, left_out, .. }) => {
                let names: Vec<_> = selection.nodes.iter().map(|n| graph.node(*n).name.as_str()).collect();
                Ok([names.join(" "), left_out.unwrap_or_default()].join("; "))
            }
            Err(SelectionError::Refused(problem)) => Err(problem.message),
            Err(SelectionError::Unknown(problems)) => panic!("{problems:?}"),
        }
    }

    #[test]
    fn only_its_owner_or_an_administrator_builds_a_project() {
        let all = "os lib ann/maps bob/thesis; ";
        assert_eq!(selected(0, &[], &[], true).unwrap(), all);
        assert_eq!(selected(7, &[], &[], true).unwrap(), all);
        let own = selected(1002, &[], &[], true).unwrap();
        let others = "left out: 1 project of others, which only their owners and administrators build";
        assert_eq!(own, format!("os lib bob/thesis; {others}"));
        assert_eq!(selected(1002, &["thesis"], &[], true).unwrap(), "os lib bob/thesis; ");
        let refused = "`ann/maps` belongs to ann (uid 1001)";
        assert_eq!(selected(1002, &["maps"], &[], true).unwrap_err(), refused);
        assert_eq!(selected(1002, &["lib"], &["maps"], true).unwrap_err(), refused);
        assert_eq!(selected(1002, &["maps"], &[], false).unwrap(), "os lib ann/maps; ", "anybody may look");
    }

    #[test]
    fn a_run_with_nothing_but_others_projects_is_refused() {
        let (spec, graph) = stack();
        let maps = graph.find("maps").unwrap();
        let caller = Caller { login: Login::new("x"), uid: 1003, in_administrators: false };
        let request = SelectionRequest {
            images: &[],
            force: &[],
            force_all: false,
            since: Some(("HEAD~1", &[maps])),
            branch: Ok("main".into()),
            caller: &caller,
            builds: true,
        };
        let refused = request.select(&spec, &graph);
        assert!(matches!(refused, Err(SelectionError::Refused(_))));
    }
}
