//! Keys of the DataHub stack that have other names here: read with their old
//! meaning, or refused with a sentence that says what replaced them.

use std::collections::BTreeMap;

use super::args::{Args, build_args, plan_args};
use super::images::ImageDraft;
use super::read::DeclaredNames;
use super::reader::{Fields, Item, Problems, short};
use crate::model::names::PlanName;
use crate::model::problem::Problem;

/// `root: NAME` named the one image without a parent. Any number may be
/// without one now, so the key only has to be true.
pub(crate) fn root(
    item: Option<Item>,
    images: &[ImageDraft],
    known: &DeclaredNames,
    problems: &mut Problems,
) {
    let Some(item) = item else { return };
    let Some(name) = item.string(problems) else { return };
    if !known.images.contains_key(name) {
        let near = problems.near(name, known.images.keys().map(String::as_str));
        let help =
            near.map_or("name one of `images`, or remove the key".into(), |n| format!("did you mean `{n}`?"));
        problems.push(Problem::new(format!("no image `{}`", short(name))).at(&item.place()).help(help));
        return;
    }
    let draft = images.iter().find(|draft| draft.name.as_str() == name);
    if draft.is_some_and(|draft| !draft.parents.is_empty()) {
        let problem = Problem::new(format!("`{name}` is the root, and yet has a parent")).at(&item.place());
        problems.push(problem.help("remove `root`: images without a parent are found without it"));
    }
}

/// `tag_stable_postfix` of a plan.
pub(crate) fn no_stable_postfix(plan: &Fields, problems: &mut Problems) {
    if let Some(place) = plan.key("tag_stable_postfix") {
        problems.push(Problem::new("`tag_stable_postfix` is not read any more").at(&place).help(
            "remove it: the stable tag of a plan is its `tag_prefix` followed by `-` and `tag.stable`",
        ));
    }
}

/// An image's args: `build_args` and `plan_args`, or both in the old form
/// `dbuild_env: {common: {...}, PLAN: {...}}`.
pub(crate) fn image_args(
    image: &Fields,
    known: &DeclaredNames,
    problems: &mut Problems,
) -> (Args, BTreeMap<PlanName, Args>) {
    let own = build_args(image.get("build_args"), problems);
    let by_plan = plan_args(image.get("plan_args"), known, problems);
    let Some(old) = image.get("dbuild_env") else { return (own, by_plan) };
    if image.get("build_args").is_some() || image.get("plan_args").is_some() {
        let place = image.key("dbuild_env").unwrap_or_else(|| old.place());
        let problem = Problem::new("`dbuild_env` beside `build_args` or `plan_args`").at(&place);
        problems
            .push(problem.help("`common` is now `build_args`, the rest `plan_args`: move everything there"));
    }
    let (mut common, mut plans) = (Args::new(), BTreeMap::new());
    for (key, value) in old.entries(problems) {
        let args = build_args(Some(value), problems);
        if key.text == "common" {
            common = args;
        } else {
            known.plan(key.text, &key.place(), problems);
            plans.insert(PlanName::new(key.text), args);
        }
    }
    (common, plans)
}
