//! `images:` — shared images; and what is said of Dockerfiles and build args,
//! wherever a spec has them.
//!
//! Keys of the DataHub stack that have other names here are read with their
//! old meaning, or refused with a sentence that says what replaced them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::fields::{Fields, Key};
use super::files::FileKind;
use super::load::SpecReader;
use super::parents::DeclaredNames;
use super::reader::Item;
use super::{BuildArg, BuildArgs, Content, Dockerfile, Image, Origins, Parent, grammar, packages, paths};
use crate::model::names::{ImageName, PlanName};
use crate::model::problem::Place;
use crate::model::reference::Repository;

const KEYS: &[&str] = &[
    "base",
    "depend_on",
    "image_name",
    "dockerfile",
    "context",
    "target",
    "packages",
    "use_case",
    "build_args",
    "plan_args",
    "info_cmds",
    "integration_tests",
    "prune",
    "prepull",
    "secrets",
    "skip_plans",
];

/// What was read of an image, complete or not: checks of the whole spec go
/// on with what there is.
pub(crate) struct ImageDraft {
    pub(crate) name: ImageName,
    pub(crate) repository: Option<(Repository, Place)>,
    pub(crate) parents: Vec<(Parent, Place)>,
    pub(crate) skip_plans: BTreeSet<PlanName>,
    /// `None` if a part of it is wrong.
    pub(crate) image: Option<Image>,
}

pub(crate) fn images(top: &Fields, rd: &mut SpecReader) -> Vec<ImageDraft> {
    let drafts: Vec<ImageDraft> =
        top.entries("images").into_iter().map(|(key, value)| image(key, value, rd)).collect();
    root(top, &drafts, &rd.names);
    drafts
}

/// `root: NAME` named the one image without a parent. Any number may be
/// without one now, so the key only has to be true.
fn root(top: &Fields, images: &[ImageDraft], names: &DeclaredNames) {
    let Some(item) = top.get("root") else { return };
    let Some(name) = item.string().filter(|name| names.image(name, item)) else { return };
    if images.iter().any(|draft| draft.name.as_str() == name && !draft.parents.is_empty()) {
        let help = "remove `root`: images without a parent are found without it";
        item.report(format!("`{name}` is the root, and yet has a parent"), help);
    }
}

fn image(key: Key, value: Item, rd: &mut SpecReader) -> ImageDraft {
    let (name, place) = (ImageName::new(key.text), key.place());
    let named = key.item.check(grammar::name("image", key.text));
    let fields = value.fields_and(KEYS, &["dbuild_env"]);
    let repository =
        if named || fields.get("image_name").is_some() { repository(&fields, key, rd) } else { None };
    let parents = parents(&fields, &rd.names);
    let (content, origins) = if named { content(&fields, key, &parents, rd) } else { (None, Origins::new()) };
    let (build_args, plan_args) = image_args(&fields, &rd.names);
    if !parents.is_empty() {
        no_reserved_args(&fields);
    }
    let skip_plans: BTreeSet<PlanName> =
        fields.strings("skip_plans").into_iter().map(|(name, item)| rd.names.plan(name, item)).collect();
    let flag = |key: &str, otherwise: bool| fields.flag(key, otherwise).unwrap_or(otherwise);
    let (integration_tests, prune, prepull) =
        (flag("integration_tests", false), flag("prune", false), flag("prepull", true));
    let (info_cmds, secrets) = (info_cmds(&fields, &rd.names), secrets(&fields));
    let image = repository.clone().zip(content).map(|((repository, _), content)| Image {
        name: name.clone(),
        place,
        repository,
        parents: parents.clone(),
        content,
        origins,
        build_args,
        plan_args,
        skip_plans: skip_plans.clone(),
        info_cmds,
        integration_tests,
        prune,
        prepull,
        secrets,
    });
    ImageDraft { name, repository, parents, skip_plans, image }
}

fn repository(fields: &Fields, key: Key, rd: &SpecReader) -> Option<(Repository, Place)> {
    let (item, text, parsed) = match (fields.get("image_name"), &rd.registry) {
        (Some(item), _) => {
            let text = item.string()?;
            (item, text, Repository::parse(text))
        }
        (None, Some(registry)) => (key.item, key.text, registry.repository(key.text)),
        (None, None) => (key.item, key.text, Repository::parse(&format!("ds01/{}", key.text))),
    };
    let help = "write host:port/name in small letters, without a tag";
    item.parsed(parsed, text, "cannot be a repository", help).map(|repository| (repository, item.place()))
}

/// `base`, then `depend_on`.
fn parents(fields: &Fields, names: &DeclaredNames) -> Vec<(Parent, Place)> {
    let mut parents: Vec<(Parent, Place)> = Vec::new();
    if let Some(item) = fields.get("base")
        && let Some(name) = item.string()
    {
        parents.extend(names.base(name, item).map(|parent| (parent, item.place())));
    }
    for (name, item) in fields.one_or_more("depend_on") {
        let Some(parent) = names.parent(name, item) else { continue };
        if parents.iter().any(|(other, _)| *other == parent) {
            let help = "name it once; the first parent is the one built FROM";
            item.report(format!("the parent `{name}` is named twice"), help);
            continue;
        }
        parents.push((parent, item.place()));
    }
    parents
}

fn content(
    fields: &Fields,
    key: Key,
    parents: &[(Parent, Place)],
    rd: &mut SpecReader,
) -> (Option<Content>, Origins) {
    let name = key.text;
    let default = format!("images/{name}/Dockerfile");
    let Some(declared) = packages::declared(fields, None, rd) else {
        let dockerfile = dockerfile(fields, Some(&default), key.item, rd);
        return (dockerfile.map(Content::Dockerfile), Origins::new());
    };
    let default_exists = || rd.context.files.kind(&rd.root.join(&default)).is_some();
    no_dockerfile_keys(fields, fields.get("dockerfile").is_some() || default_exists(), name);
    if let (Some(packages), Some(at)) = (fields.get("packages"), fields.key("packages"))
        && fields.get("use_case").is_none()
        && packages.quiet().entries().is_empty()
    {
        let help = "list some under `apt` or `pip`, or name a file under `requirements`";
        at.report(format!("`{name}` declares no packages"), help);
    }
    // A parent that was named and is unknown has a problem of its own already.
    let depends = fields.get("depend_on").is_some_and(|item| !item.quiet().one_or_more().is_empty());
    if fields.get("base").is_none() && !depends {
        let help = "name its parent with `base` or `depend_on`";
        key.item.report(format!("`{name}` declares packages, but not on what"), help);
    } else if let Some((_, second)) = parents.get(1) {
        let message = format!("`{name}` declares packages, and has several parents");
        let help = "keep one parent: only a Dockerfile can copy from others";
        key.item.report_at(second, message, help);
    }
    (Some(Content::Packages(declared.packages)), declared.origins)
}

fn info_cmds(fields: &Fields, names: &DeclaredNames) -> Vec<String> {
    let mut cmds: Vec<String> = Vec::new();
    for (name, item) in fields.strings("info_cmds") {
        names.info_cmd(name, item);
        if !cmds.iter().any(|known| known == name) {
            cmds.push(name.to_owned());
        }
    }
    cmds
}

fn secrets(fields: &Fields) -> BTreeSet<String> {
    let ids = fields.strings("secrets").into_iter();
    let right = ids.filter(|(id, item)| item.check(grammar::word("the id of a secret", id)));
    right.map(|(id, _)| id.to_owned()).collect()
}

/// What only a Dockerfile can use must not be said beside packages.
pub(crate) fn no_dockerfile_keys(fields: &Fields, dockerfile: bool, name: &str) {
    if dockerfile {
        let key = packages::KEYS.into_iter().find(|key| fields.get(key).is_some()).unwrap_or("packages");
        let at = fields.key(key).unwrap_or(fields.owner);
        let help = "install the packages in the Dockerfile, or remove it";
        at.report(format!("`{name}` has both a Dockerfile and `{key}`"), help);
        return;
    }
    for key in ["context", "target", "build_args", "plan_args", "dbuild_env", "secrets"] {
        if let Some(at) = fields.key(key) {
            let message = format!("`{key}` is for a Dockerfile, and `{name}` has none");
            at.report(message, "remove it, or write a Dockerfile");
        }
    }
}

/// The Dockerfile that `dockerfile:` names or the default one, its context
/// (its own folder if `context:` says nothing), and the stage.
pub(crate) fn dockerfile(
    fields: &Fields,
    default: Option<&str>,
    owner: Item,
    rd: &SpecReader,
) -> Option<Dockerfile> {
    let files = rd.context.files;
    let stage = |text: &str| grammar::word("a stage of a Dockerfile", text);
    let target = fields.get("target").and_then(|item| item.text_of(stage)).map(str::to_owned);
    let context = fields.get("context").map(|item| {
        let found = paths::find(&rd.root, item.string()?, FileKind::Folder, files);
        item.accept(found).map(|(_, real)| real)
    });
    let (text, item) = match fields.get("dockerfile") {
        Some(item) => (item.string()?, item),
        None => (default?, owner),
    };
    let found = paths::find(&rd.root, text, FileKind::File, files).map_err(|mut error| {
        if fields.get("dockerfile").is_none() {
            error.help = "write it, name another with `dockerfile`, or declare `packages`".into();
        }
        error
    });
    let (below, file) = item.accept(found)?;
    let context = match context {
        Some(context) => context?,
        None => {
            let folder = rd.root.join(below.parent().unwrap_or(Path::new("")));
            item.accept(paths::real_inside(&rd.root, &folder, files))?
        }
    };
    Some(Dockerfile { file, context, target, place: item.place() })
}

/// `build_args: {NAME: value}`.
pub(crate) fn build_args(fields: &Fields, key: &str) -> BuildArgs {
    fields.get(key).map(args).unwrap_or_default()
}

fn args(item: Item) -> BuildArgs {
    let mut args = BuildArgs::new();
    for (key, value) in item.entries() {
        let named = key.item.check(grammar::build_arg_key(key.text));
        let Some(text) = value.string_or_whole() else { continue };
        if value.check(grammar::build_arg_value(text)) && named {
            args.insert(key.text.to_owned(), BuildArg { value: text.to_owned(), place: key.place() });
        }
    }
    args
}

/// An image's args: `build_args` and `plan_args: {PLAN: {NAME: value}}`, or
/// both in the old form `dbuild_env: {common: {...}, PLAN: {...}}`.
fn image_args(image: &Fields, names: &DeclaredNames) -> (BuildArgs, BTreeMap<PlanName, BuildArgs>) {
    let common = build_args(image, "build_args");
    let mut by_plan: BTreeMap<PlanName, BuildArgs> = BTreeMap::new();
    for (key, value) in image.entries("plan_args") {
        by_plan.insert(names.plan(key.text, key.item), args(value));
    }
    let Some(old) = image.key("dbuild_env") else { return (common, by_plan) };
    if image.has_any(&["build_args", "plan_args"]) {
        let help = "`common` is now `build_args`, the rest `plan_args`: move everything there";
        old.report("`dbuild_env` beside `build_args` or `plan_args`", help);
    }
    let (mut common, mut by_plan) = (BuildArgs::new(), BTreeMap::new());
    for (key, value) in image.entries("dbuild_env") {
        if key.text == "common" {
            common = args(value);
        } else {
            by_plan.insert(names.plan(key.text, key.item), args(value));
        }
    }
    (common, by_plan)
}

/// `BASE_IMAGE` and `BASE_TAG` come from the parent.
fn no_reserved_args(fields: &Fields) {
    for key in ["build_args", "plan_args", "dbuild_env"] {
        let Some(item) = fields.get(key).map(Item::quiet) else { continue };
        let mappings = match key {
            "build_args" => vec![item],
            _ => item.entries().into_iter().map(|(_, args)| args).collect(),
        };
        for (name, _) in mappings.into_iter().flat_map(Item::entries) {
            if matches!(name.text, "BASE_IMAGE" | "BASE_TAG") {
                let message = format!("the build arg `{}` is set from the parent", name.text);
                fields.owner.report_at(
                    &name.place(),
                    message,
                    "remove it, and name the parent with `depend_on`",
                );
            }
        }
    }
}
