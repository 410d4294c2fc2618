//! From a planned image to what is solved. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::BuildEnvironment;
use crate::dockerfile::{self, BuildBase, Inputs, Triggers};
use crate::image::packages;
use crate::image::recipe::{Ingredient, RecipeRecord};
use crate::image::solve::{ConfigChange, DockerfileBuild, Solve, Start};
use crate::image::user_layer;
use crate::model::reference::Reference;
use crate::plan::observe::DockerfileSnapshot;
use crate::plan::{self, Action, PlannedRun};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// All that solves are made from.
pub(crate) struct SolveInputs<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    pub(crate) planned: &'a PlannedRun,
    pub(crate) environment: &'a BuildEnvironment,
}

impl SolveInputs<'_> {
    /// The solves of all images that are built or may have to be, by position
    /// in the plan.
    pub(crate) fn solves(&self) -> Vec<Option<Solve>> {
        let positions = self.positions();
        let kept = |at: usize| matches!(self.planned.plan.images[at].action, Action::Keep(_));
        let solve = |at: usize| (!kept(at)).then(|| self.solve(at, &positions));
        (0..self.planned.nodes.len()).map(solve).collect()
    }

    /// The solve of the image at one position, whatever is planned for it.
    pub(crate) fn solve_at(&self, position: usize) -> Solve {
        self.solve(position, &self.positions())
    }

    fn positions(&self) -> HashMap<NodeId, usize> {
        self.planned.nodes.iter().enumerate().map(|(at, &node)| (node, at)).collect()
    }

    fn solve(&self, position: usize, positions: &HashMap<NodeId, usize>) -> Solve {
        let node = self.planned.nodes[position];
        let (subject, planned) =
            (SpecEntry::of(self.spec, self.graph, node), &self.planned.plan.images[position]);
        let parents = self.parents(node, positions);
        let base = parents.first().map(|(_, given)| given);
        let start = match (self.planned.snapshot.dockerfiles.get(&node), base) {
            (Some(seen), _) => Start::Dockerfile(self.dockerfile_build(node, seen, &parents)),
            (None, Some(base)) => Start::Image(base.clone()),
            (None, None) => unreachable!("without a Dockerfile there is a parent"),
        };
        let no_cache = self.environment.no_cache
            || self.planned.snapshot.dockerfiles.get(&node).is_some_and(DockerfileSnapshot::may_be_stale);
        let mut steps = packages::steps(&subject.packages(), &self.environment.step_settings());
        steps.iter_mut().for_each(|step| step.origins = subject.origins().to_vec());
        Solve {
            node: planned.name.clone(),
            start,
            steps,
            user: subject.account().cloned(),
            sudo: subject.account().and_then(|account| self.environment.sudo(account)),
            config: self.config(position, base),
            secrets: self.environment.offered(),
            proxy: self.environment.proxy.clone(),
            no_cache: no_cache || planned.recipe.is_refreshed(),
            cache_from: if no_cache { Vec::new() } else { planned.cache_from.clone() },
            // A person's image keeps its ID from day to day.
            inline_cache: subject.account().is_none() && planned.repository().host().is_some(),
        }
    }

    /// The parents' keys in the spec, and the references to build on.
    fn parents(&self, node: NodeId, positions: &HashMap<NodeId, usize>) -> Vec<(String, Reference)> {
        let parent = |&parent: &NodeId| {
            let subject = SpecEntry::of(self.spec, self.graph, parent);
            let given = match subject.external() {
                Some(external) => self.planned.snapshot.base(external).given.clone(),
                None => self.planned.plan.images[positions[&parent]].content.clone(),
            };
            (subject.key().to_owned(), given)
        };
        self.graph.parents(node).iter().map(parent).collect()
    }

    fn config(&self, position: usize, base: Option<&Reference>) -> ConfigChange {
        let (node, recipe) = (self.planned.nodes[position], &self.planned.plan.images[position].recipe);
        let mut labels = plan::image_labels(self.spec, self.graph, node);
        let recorded = recipe.ingredient_digests();
        let digest = |i: &Ingredient| Some((i.name().to_owned(), recorded.get(i.name())?.to_owned()));
        labels.recipe = recipe.digest().to_string();
        labels.ingredients = Ingredient::ALL.iter().filter_map(digest).collect();
        let files =
            self.planned.snapshot.dockerfiles.get(&node).and_then(|seen| seen.files(RecipeRecord::MOST));
        labels.record = RecipeRecord::of(recipe).to_label(files.as_ref());
        if let Some(base) = base.or_else(|| self.foundation(node)) {
            labels.base_name = base.to_string();
            // A parent that is built here has an ID only once it is there.
            let external = self
                .planned
                .snapshot
                .bases
                .iter()
                .find(|(key, seen)| seen.given == *base || **key == base.canonical());
            labels.base_digest = external.map(|(_, seen)| seen.digest_or_id()).unwrap_or_default();
        }
        let account = SpecEntry::of(self.spec, self.graph, node).account();
        let mut change = account.map(user_layer::config).unwrap_or_default();
        change.labels.extend(labels.to_map().into_iter().filter(|(_, value)| !value.is_empty()));
        change
    }

    /// What a Dockerfile builds FROM where the spec leaves that to it.
    fn foundation(&self, node: NodeId) -> Option<&Reference> {
        match &self.planned.snapshot.dockerfiles.get(&node)?.evaluated.base {
            BuildBase::Image(image) => {
                let known = self.planned.snapshot.bases.get(&image.reference.canonical());
                Some(known.map_or(&image.reference, |base| &base.given))
            }
            BuildBase::Scratch(_) => None,
        }
    }

    fn dockerfile_build(
        &self,
        node: NodeId,
        seen: &DockerfileSnapshot,
        parents: &[(String, Reference)],
    ) -> DockerfileBuild {
        let declared = |name: &String| seen.evaluated.declared_args.contains(name);
        let own = self.graph.node(node).build_args.iter().map(|(k, v)| (k.clone(), v.clone()));
        let further = parents.get(1..).unwrap_or_default();
        let base = dockerfile::base_args(parents.first().map(|(_, given)| given), further);
        let args = own.chain(base).filter(|(name, _)| declared(name)).collect();
        let target = seen.target.as_deref();
        let platform = self.planned.snapshot.engine.platform.as_str();
        // What a base left cannot be written into this text.
        let inputs = Inputs { target, args: &args, platform, triggers: &Triggers::default() };
        let pin = |image: &Reference| {
            let given = &self.planned.snapshot.bases.get(&image.canonical())?.given;
            (given != image).then(|| given.clone())
        };
        DockerfileBuild {
            // A text that these args break is refused by the front end.
            dockerfile: seen.facts.pinned(&inputs, &pin).map_or_else(|_| seen.text.clone(), Arc::from),
            path: seen.path.clone(),
            context: seen.context.clone(),
            files: seen.tree.clone(),
            target: seen.target.clone(),
            args,
        }
    }
}
