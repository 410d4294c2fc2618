//! From a checked spec to its graph.

use std::collections::{BTreeMap, HashMap};

use petgraph::graph::DiGraph;

use super::{Graph, Node, NodeId, NodeKind, id_of, index, sorted};
use crate::model::names::{BaseName, ImageName, NodeName, PlanName};
use crate::spec::{BuildArgs, Image, Parent, PlanVariant, Project, Spec};

/// What a parent in the spec is looked up by, for one plan.
type Variant<'s> = (&'s ImageName, Option<&'s PlanName>);

#[derive(Default)]
struct GraphBuilder<'s> {
    nodes: DiGraph<Node, ()>,
    bases: HashMap<&'s BaseName, NodeId>,
    images: HashMap<Variant<'s>, NodeId>,
}

impl Graph {
    /// The graph of a spec: every base, every image without a plan and for
    /// each plan that it does not skip, every project.
    pub(crate) fn build(spec: &Spec) -> Self {
        let mut builder = GraphBuilder::default();
        for (spec_index, base) in spec.bases.iter().enumerate() {
            let id =
                builder.add(spec_index, NodeName::new(base.name.as_str()), NodeKind::Base(base.name.clone()));
            builder.bases.insert(&base.name, id);
        }
        for (spec_index, image) in spec.images.iter().enumerate() {
            builder.image(spec, spec_index, image, None);
            for plan in spec.plans.iter().filter(|plan| !image.skip_plans.contains(&plan.name)) {
                builder.image(spec, spec_index, image, Some(plan));
            }
        }
        for (spec_index, project) in spec.projects.iter().enumerate() {
            builder.project(spec_index, project);
        }
        builder.parents(spec);
        builder.finish()
    }
}

fn values(args: &BuildArgs) -> BTreeMap<String, String> {
    args.iter().map(|(name, arg)| (name.clone(), arg.value.clone())).collect()
}

impl<'s> GraphBuilder<'s> {
    fn add(&mut self, spec_index: usize, name: NodeName, kind: NodeKind) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.node_count()).expect("a spec has far fewer images"));
        self.nodes.add_node(Node {
            id,
            name,
            kind,
            spec_index,
            plan: None,
            build_args: BTreeMap::new(),
            tag_prefix: None,
            repository: None,
            parents: Vec::new(),
        });
        id
    }

    fn image(&mut self, spec: &Spec, spec_index: usize, image: &'s Image, plan: Option<&'s PlanVariant>) {
        let name = match plan {
            Some(plan) => NodeName::new(format!("{}@{}", image.name, plan.name)),
            None => NodeName::new(image.name.as_str()),
        };
        let id = self.add(spec_index, name, NodeKind::Image(image.name.clone()));
        let node = &mut self.nodes[index(id)];
        node.repository = Some(image.repository.clone());
        node.build_args = values(&image.build_args);
        node.tag_prefix = Some(spec.tag.prefix.clone());
        if let Some(plan) = plan {
            node.plan = Some(plan.name.clone());
            node.tag_prefix = Some(plan.tag_prefix.clone());
            node.build_args.extend(values(&plan.build_args));
            node.build_args.extend(image.plan_args.get(&plan.name).map(values).unwrap_or_default());
        }
        self.images.insert((&image.name, plan.map(|plan| &plan.name)), id);
    }

    fn project(&mut self, spec_index: usize, project: &Project) {
        let name = NodeName::new(format!("{}/{}", project.account.name, project.name));
        let kind = NodeKind::Project(project.account.login.clone(), project.name.clone());
        let id = self.add(spec_index, name, kind);
        let node = &mut self.nodes[index(id)];
        node.repository = Some(project.repository.clone());
        node.build_args = values(&project.build_args);
    }

    /// Joins all nodes, once all are known: a spec may name children first.
    fn parents(&mut self, spec: &Spec) {
        for child in self.nodes.node_indices() {
            let node = &self.nodes[child];
            let parents: Vec<NodeId> = match node.kind {
                NodeKind::Base(_) => continue,
                NodeKind::Image(_) => {
                    let listed = &spec.images[node.spec_index].parents;
                    listed.iter().filter_map(|(parent, _)| self.lookup(parent, node.plan.as_ref())).collect()
                }
                NodeKind::Project(..) => {
                    let project = &spec.projects[node.spec_index];
                    self.lookup(&project.parent, project.parent_plan.as_ref()).into_iter().collect()
                }
            };
            for parent in &parents {
                self.nodes.add_edge(index(*parent), child, ());
            }
            self.nodes[child].parents = parents;
        }
    }

    fn lookup(&self, parent: &Parent, plan: Option<&PlanName>) -> Option<NodeId> {
        let found = match parent {
            Parent::Base(name) => self.bases.get(name),
            Parent::Image(name) => self.images.get(&(name, plan)),
        };
        debug_assert!(found.is_some(), "a checked spec names only what it has: {parent:?} {plan:?}");
        found.copied()
    }

    fn finish(self) -> Graph {
        let (mut by_name, mut by_project) = (HashMap::new(), HashMap::<String, Vec<NodeId>>::new());
        for (at, node) in self.nodes.node_indices().zip(self.nodes.node_weights()) {
            by_name.insert(node.name.as_str().to_owned(), id_of(at));
            if let NodeKind::Project(_, name) = &node.kind {
                by_project.entry(name.as_str().to_owned()).or_default().push(id_of(at));
            }
        }
        let order = sorted(&self.nodes);
        Graph { nodes: self.nodes, by_name, by_project, order }
    }
}
