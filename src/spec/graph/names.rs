//! From what people type to nodes.

use super::{Graph, NodeId, NodeKind};
use crate::model::problem::Problem;
use crate::spec::nearest;

impl Graph {
    /// The node of that name: `pytorch`, `vision`, `vision@py312`,
    /// `h-baker/thesis`, or `thesis` where only one person has such a project.
    ///
    /// # Errors
    /// A problem without a place that lists what was perhaps meant.
    pub(crate) fn find(&self, name: &str) -> Result<NodeId, Problem> {
        if let Some(id) = self.by_name.get(name) {
            return Ok(*id);
        }
        match self.by_project.get(name).map(Vec::as_slice) {
            Some([id]) => Ok(*id),
            Some(several) => {
                let all: Vec<&str> = several.iter().map(|id| self.node(*id).name.as_str()).collect();
                Err(Problem::new(format!("`{name}` is a project of several people"))
                    .help(format!("write one of: {}", all.join(", "))))
            }
            None => Err(self.unknown(name)),
        }
    }

    /// Several nodes by name, each once, parents first; no names: all nodes.
    ///
    /// # Errors
    /// One problem for each name that [`Graph::find`] does not know.
    pub(crate) fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<NodeId>, Vec<Problem>> {
        if names.is_empty() {
            return Ok(self.order.clone());
        }
        let (mut wanted, mut problems) = (vec![false; self.len()], Vec::new());
        for name in names {
            match self.find(name.as_ref()) {
                Ok(id) => wanted[id.index()] = true,
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(self.order.iter().copied().filter(|id| wanted[id.index()]).collect())
        } else {
            Err(problems)
        }
    }

    fn unknown(&self, name: &str) -> Problem {
        let problem = Problem::new(format!("no image `{}`", name.escape_debug()));
        if let Some((image, plan)) = name.split_once('@')
            && self.by_name.contains_key(image)
        {
            let variants: Vec<&str> = self.variants(image);
            return match variants.as_slice() {
                [] => problem.help(format!("`{image}` has no plan `{plan}`, nor any other")),
                _ => problem.help(format!("`{image}` has these plans: {}", variants.join(", "))),
            };
        }
        let full = self.nodes().map(|node| node.name.as_str());
        match nearest(name, full.chain(self.by_project_names())) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("`ds01-build graph` lists all names"),
        }
    }

    /// Short names of projects, in the order of the spec.
    fn by_project_names(&self) -> impl Iterator<Item = &str> {
        self.nodes().filter_map(|node| match &node.kind {
            NodeKind::Project(_, name) => Some(name.as_str()),
            _ => None,
        })
    }

    fn variants(&self, image: &str) -> Vec<&str> {
        let of_image = self.nodes().filter_map(|node| match &node.kind {
            NodeKind::Image(name) if name.as_str() == image => node.plan.as_ref(),
            _ => None,
        });
        of_image.map(|plan| plan.as_str()).collect()
    }
}
