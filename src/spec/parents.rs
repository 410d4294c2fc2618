//! What a spec's sections may name of each other, and what only shows in the
//! whole: cycles, names and repositories that two things share, parents that a
//! plan leaves out.

use std::collections::{BTreeMap, HashMap};

use super::fields::Fields;
use super::images::ImageDraft;
use super::reader::{Item, Problems, short};
use super::{Parent, Project};
use crate::model::names::{BaseName, ImageName, PlanName};
use crate::model::problem::{Place, Problem};

/// Names that the spec declares, whether or not what they name is right: a
/// broken image is no reason to call its children's parent unknown.
#[derive(Default)]
pub(crate) struct DeclaredNames {
    bases: BTreeMap<String, Place>,
    images: BTreeMap<String, Place>,
    plans: BTreeMap<String, Place>,
    info_cmds: BTreeMap<String, Place>,
}

impl DeclaredNames {
    pub(crate) fn new(top: &Fields) -> Self {
        let keys = |section: &str| {
            let entries = top.get(section).map(|item| item.quiet().entries()).unwrap_or_default();
            entries.into_iter().map(|(key, _)| (key.text.to_owned(), key.place())).collect()
        };
        Self {
            bases: keys("bases"),
            images: keys("images"),
            plans: keys("plans"),
            info_cmds: keys("all_info_cmds"),
        }
    }

    /// What `depend_on` and a project's `image` may name.
    pub(crate) fn parent(&self, name: &str, item: Item) -> Option<Parent> {
        if self.images.contains_key(name) {
            return Some(Parent::Image(ImageName::new(name)));
        }
        if self.bases.contains_key(name) {
            return Some(Parent::Base(BaseName::new(name)));
        }
        let all = self.images.keys().chain(self.bases.keys()).map(String::as_str);
        let message = format!("no image or base `{}`", short(name));
        item.report_unknown(message, name, all, || "declare it under `images` or `bases`".into());
        None
    }

    /// What `base` may name.
    pub(crate) fn base(&self, name: &str, item: Item) -> Option<Parent> {
        if self.images.contains_key(name) && !self.bases.contains_key(name) {
            item.report(format!("`{name}` is an image, not a base"), format!("write `depend_on: {name}`"));
            return None;
        }
        let known = declared(&self.bases, "base", name, item, "declare it under `bases`");
        known.then(|| Parent::Base(BaseName::new(name)))
    }

    /// Reports if there is no such image; true: there is.
    pub(crate) fn image(&self, name: &str, item: Item) -> bool {
        declared(&self.images, "image", name, item, "name one of `images`, or remove the key")
    }

    /// Reports if there is no such plan.
    pub(crate) fn plan(&self, name: &str, item: Item) -> PlanName {
        declared(&self.plans, "plan", name, item, "declare it under `plans`");
        PlanName::new(name)
    }

    /// Reports if there is no such command.
    pub(crate) fn info_cmd(&self, name: &str, item: Item) {
        declared(&self.info_cmds, "info command", name, item, "declare it under `all_info_cmds`");
    }
}

fn declared(names: &BTreeMap<String, Place>, what: &str, name: &str, item: Item, otherwise: &str) -> bool {
    let known = names.contains_key(name);
    if !known {
        let message = format!("no {what} `{}`", short(name));
        item.report_unknown(message, name, names.keys().map(String::as_str), || otherwise.into());
    }
    known
}

pub(crate) fn check(names: &DeclaredNames, images: &[ImageDraft], projects: &[Project], problems: &Problems) {
    shared_names(names, problems);
    shared_repositories(images, projects, problems);
    cycles(images, problems);
    skipped_parents(images, problems);
}

/// A place in a sentence: `spec.yml:12`.
pub(crate) fn spot(place: &Place) -> String {
    format!("{}:{}", place.file.path.display(), place.line_column().0)
}

fn shared_names(names: &DeclaredNames, problems: &Problems) {
    for (name, place) in &names.images {
        if let Some(base) = names.bases.get(name) {
            let problem = Problem::new(format!("`{name}` is both an image and a base")).at(place);
            problems.push(problem.help(format!("rename one of them; the base stands in {}", spot(base))));
        }
    }
}

fn shared_repositories(images: &[ImageDraft], projects: &[Project], problems: &Problems) {
    let images = images.iter().filter_map(|draft| {
        let (repository, place) = draft.repository.as_ref()?;
        Some((repository, draft.name.as_str(), place))
    });
    let projects = projects.iter().map(|p| (&p.repository, p.name.as_str(), &p.place));
    let mut seen: BTreeMap<&str, (&str, &Place)> = BTreeMap::new();
    for (repository, name, place) in images.chain(projects) {
        let Some((other, there)) = seen.insert(repository.as_str(), (name, place)) else { continue };
        let problem = Problem::new(format!("`{other}` and `{name}` have one repository: {repository}"));
        problems
            .push(problem.at(place).help(format!("give each its own; the other stands in {}", spot(there))));
    }
}

/// Depth first with a stack of our own: a chain may be as long as the spec.
fn cycles(images: &[ImageDraft], problems: &Problems) {
    let index: HashMap<&ImageName, usize> = images.iter().enumerate().map(|(i, d)| (&d.name, i)).collect();
    let parents: Vec<Vec<(usize, &Place)>> = images
        .iter()
        .map(|draft| {
            let of_images = draft.parents.iter().filter_map(|(parent, place)| match parent {
                Parent::Image(name) => Some((*index.get(name)?, place)),
                Parent::Base(_) => None,
            });
            of_images.collect()
        })
        .collect();
    let mut done = vec![false; images.len()];
    // Where on the path an image stands, and the next of its parents to visit.
    let mut on_path: Vec<Option<usize>> = vec![None; images.len()];
    for start in 0..images.len() {
        let mut path: Vec<(usize, usize)> = Vec::new();
        if !done[start] {
            on_path[start] = Some(0);
            path.push((start, 0));
        }
        while let Some((at, next)) = path.last_mut() {
            let Some((parent, _)) = parents[*at].get(*next) else {
                done[*at] = true;
                on_path[*at] = None;
                path.pop();
                continue;
            };
            *next += 1;
            if let Some(from) = on_path[*parent] {
                let members: Vec<usize> = path[from..].iter().map(|(image, _)| *image).collect();
                problems.push(cycle(images, members, &parents));
            } else if !done[*parent] {
                on_path[*parent] = Some(path.len());
                path.push((*parent, 0));
            }
        }
    }
}

/// Named from its first member in the order of the spec, whatever led there.
fn cycle(images: &[ImageDraft], mut members: Vec<usize>, parents: &[Vec<(usize, &Place)>]) -> Problem {
    let first = members.iter().enumerate().min_by_key(|(_, image)| **image).map_or(0, |(at, _)| at);
    members.rotate_left(first);
    let names: Vec<&str> = members.iter().chain(members.first()).map(|i| images[*i].name.as_str()).collect();
    let problem = Problem::new(format!("a cycle: {}", names.join(" → ")))
        .label("this closes it")
        .help("remove one of these parents; an arrow means `depends on`");
    let closing = members.last().and_then(|last| parents[*last].iter().find(|(to, _)| *to == members[0]));
    closing.map_or(problem.clone(), |(_, place)| problem.at(place))
}

fn skipped_parents(images: &[ImageDraft], problems: &Problems) {
    let skips: HashMap<&ImageName, &ImageDraft> =
        images.iter().filter(|d| !d.skip_plans.is_empty()).map(|d| (&d.name, d)).collect();
    for draft in images {
        for (parent, place) in &draft.parents {
            let Parent::Image(name) = parent else { continue };
            let Some(above) = skips.get(name) else { continue };
            for plan in above.skip_plans.difference(&draft.skip_plans) {
                let message = format!("`{name}` is left out of the plan `{plan}`, but its child is not");
                let help = format!("add `{plan}` to `skip_plans` of `{}`", draft.name);
                problems.push(Problem::new(message).at(place).help(help));
            }
        }
    }
}
