//! From what a person names to the images whose pins move. Pure.

use std::collections::BTreeMap;

use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::observe::Use;
use crate::spec::{Spec, nearest};

/// The images behind the names, each once; no names: all that can be pinned.
///
/// # Errors
/// One problem for each name that nothing of the spec has.
pub(crate) fn choose<'u>(
    spec: &Spec,
    uses: &'u BTreeMap<String, Use>,
    names: &[String],
) -> Result<Vec<&'u Use>, Vec<Problem>> {
    if names.is_empty() {
        return Ok(uses.values().filter(|each| each.reference.digest().is_none()).collect());
    }
    let (mut chosen, mut problems) = (BTreeMap::new(), Vec::new());
    for name in names {
        match find(spec, uses, name) {
            Ok(each) => drop(chosen.insert(each.reference.canonical(), each)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(chosen.into_values().collect()) } else { Err(problems) }
}

fn find<'u>(spec: &Spec, uses: &'u BTreeMap<String, Use>, name: &str) -> Result<&'u Use, Problem> {
    let base = spec.bases.iter().find(|base| base.name.as_str() == name);
    let reference = base.map(|base| base.source.reference().clone()).or_else(|| Reference::parse(name).ok());
    match reference.and_then(|reference| uses.get(&reference.canonical())) {
        Some(each) if each.reference.digest().is_some() => {
            let problem = Problem::new(format!("{} has a digest: there is nothing to move", each.reference));
            Err(problem.at(&each.place).help("write another digest there, or a tag without one"))
        }
        Some(each) => Ok(each),
        None => Err(match base {
            Some(base) => {
                Problem::new(format!("nothing stands on the base `{name}`, so it has no pin")).at(&base.place)
            }
            None => unknown(spec, uses, name),
        }),
    }
}

fn unknown(spec: &Spec, uses: &BTreeMap<String, Use>, name: &str) -> Problem {
    let problem = Problem::new(format!("no base `{}`", name.escape_debug()));
    let bases = spec.bases.iter().map(|base| base.name.to_string());
    let known: Vec<_> = bases.chain(uses.values().map(|each| each.reference.to_string())).collect();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => problem.help("nothing in the spec stands on an image from elsewhere"),
        None => problem.help(format!("there are {}", known.join(", "))),
    }
}
