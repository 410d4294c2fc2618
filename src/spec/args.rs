//! Build args, wherever a spec has them.

use std::collections::BTreeMap;

use super::names::{self, passes};
use super::read::DeclaredNames;
use super::reader::{Item, Problems};
use crate::model::names::PlanName;

/// Name to value.
pub(crate) type Args = BTreeMap<String, String>;

/// `build_args: {NAME: value}`.
pub(crate) fn build_args(item: Option<Item>, problems: &mut Problems) -> Args {
    let mut args = Args::new();
    for (key, value) in item.map(|item| item.entries(problems)).unwrap_or_default() {
        let named = passes(names::build_arg_key(key.text), &key.place(), problems);
        let Some(text) = value.string_or_whole(problems) else { continue };
        if passes(names::build_arg_value(text), &value.place(), problems) && named {
            args.insert(key.text.to_owned(), text.to_owned());
        }
    }
    args
}

/// `plan_args: {plan: {NAME: value}}`.
pub(crate) fn plan_args(
    item: Option<Item>,
    known: &DeclaredNames,
    problems: &mut Problems,
) -> BTreeMap<PlanName, Args> {
    let mut by_plan = BTreeMap::new();
    for (key, value) in item.map(|item| item.entries(problems)).unwrap_or_default() {
        known.plan(key.text, &key.place(), problems);
        by_plan.insert(PlanName::new(key.text), build_args(Some(value), problems));
    }
    by_plan
}
