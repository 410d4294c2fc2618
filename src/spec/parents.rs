//! What only shows in the whole spec: cycles, names and repositories that two
//! things share, parents that a plan leaves out.

use std::collections::{BTreeMap, HashMap};

use super::images::ImageDraft;
use super::read::DeclaredNames;
use super::reader::Problems;
use super::{Parent, Project};
use crate::model::names::ImageName;
use crate::model::problem::{Place, Problem};

pub(crate) fn check(
    known: &DeclaredNames,
    images: &[ImageDraft],
    projects: &[Project],
    problems: &mut Problems,
) {
    shared_names(known, problems);
    shared_repositories(images, projects, problems);
    cycles(images, problems);
    skipped_parents(images, problems);
}

/// A place in a sentence: `spec.yml:12`.
pub(crate) fn spot(place: &Place) -> String {
    format!("{}:{}", place.file.path.display(), place.line_column().0)
}

fn shared_names(known: &DeclaredNames, problems: &mut Problems) {
    for (name, place) in &known.images {
        if let Some(base) = known.bases.get(name) {
            let problem = Problem::new(format!("`{name}` is both an image and a base")).at(place);
            problems.push(problem.help(format!("rename one of them; the base stands in {}", spot(base))));
        }
    }
}

fn shared_repositories(images: &[ImageDraft], projects: &[Project], problems: &mut Problems) {
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
fn cycles(images: &[ImageDraft], problems: &mut Problems) {
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

/// Told from its first member in the order of the spec, whatever led there.
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

fn skipped_parents(images: &[ImageDraft], problems: &mut Problems) {
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
