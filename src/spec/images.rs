//! `images:` — shared images, and Dockerfiles wherever they are named.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::{FileKind, Files};
use super::names::{self, passes};
use super::read::{DeclaredNames, SpecReader};
use super::reader::{Fields, GrammarError, Item, Key, Problems, short};
use super::{Content, Dockerfile, Image, Origins, Parent, Registry, datahub, packages, paths};
use crate::model::names::{ImageName, PlanName};
use crate::model::problem::{Place, Problem};
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

pub(crate) fn images(
    item: Option<Item>,
    registry: Option<&Registry>,
    known: &DeclaredNames,
    rd: &mut SpecReader,
) -> Vec<ImageDraft> {
    let entries = item.map(|item| item.entries(&mut rd.problems)).unwrap_or_default();
    entries.into_iter().map(|(key, value)| image(key, value, registry, known, rd)).collect()
}

fn image(
    key: Key,
    value: Item,
    registry: Option<&Registry>,
    known: &DeclaredNames,
    rd: &mut SpecReader,
) -> ImageDraft {
    let (name, place) = (ImageName::new(key.text), key.place());
    let named = passes(names::name("image", key.text), &place, &mut rd.problems);
    let fields = value.fields_and(KEYS, &["dbuild_env"], &mut rd.problems);
    let repository = if named || fields.get("image_name").is_some() {
        repository(&fields, key.text, &place, registry, &mut rd.problems)
    } else {
        None
    };
    let parents = parents(&fields, known, &mut rd.problems);
    let (content, origins) =
        if named { content(&fields, key.text, &place, &parents, rd) } else { (None, Origins::new()) };
    let problems = &mut rd.problems;
    let (build_args, plan_args) = datahub::image_args(&fields, known, problems);
    if !parents.is_empty() {
        no_reserved_args(&fields, problems);
    }
    let skip_plans = skip_plans(&fields, known, problems);
    let flag = |key: &str, otherwise: bool, problems: &mut Problems| {
        fields.get(key).and_then(|item| item.boolean(problems)).unwrap_or(otherwise)
    };
    let (integration_tests, prune, prepull) = (
        flag("integration_tests", false, problems),
        flag("prune", false, problems),
        flag("prepull", true, problems),
    );
    let info_cmds = info_cmds(&fields, known, problems);
    let secrets = secrets(&fields, problems);
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

fn repository(
    fields: &Fields,
    name: &str,
    place: &Place,
    registry: Option<&Registry>,
    problems: &mut Problems,
) -> Option<(Repository, Place)> {
    let (text, place, parsed) = match fields.get("image_name") {
        Some(item) => {
            let text = item.string(problems)?;
            (text, item.place(), Repository::parse(text))
        }
        None => {
            let parsed = match registry {
                Some(registry) => registry.repository(name),
                None => Repository::parse(&format!("ds01/{name}")),
            };
            (name, place.clone(), parsed)
        }
    };
    parsed
        .map_err(|why| {
            let problem = Problem::new(format!("`{}` cannot be a repository: {why}", short(text))).at(&place);
            problems.push(problem.help("write host:port/name in small letters, without a tag"));
        })
        .ok()
        .map(|repository| (repository, place))
}

/// `base`, then `depend_on`.
fn parents(fields: &Fields, known: &DeclaredNames, problems: &mut Problems) -> Vec<(Parent, Place)> {
    let mut parents: Vec<(Parent, Place)> = Vec::new();
    if let Some(item) = fields.get("base")
        && let Some(name) = item.string(problems)
    {
        parents.extend(known.base(name, &item.place(), problems).map(|parent| (parent, item.place())));
    }
    for (name, item) in fields.get("depend_on").map(|item| item.one_or_more(problems)).unwrap_or_default() {
        let Some(parent) = known.parent(name, &item.place(), problems) else { continue };
        if parents.iter().any(|(other, _)| *other == parent) {
            let problem = Problem::new(format!("the parent `{name}` is named twice")).at(&item.place());
            problems.push(problem.help("name it once; the first parent is the one built FROM"));
            continue;
        }
        parents.push((parent, item.place()));
    }
    parents
}

fn content(
    fields: &Fields,
    name: &str,
    place: &Place,
    parents: &[(Parent, Place)],
    rd: &mut SpecReader,
) -> (Option<Content>, Origins) {
    let default = format!("images/{name}/Dockerfile");
    let Some(declared) = packages::declared(fields, None, rd) else {
        return (dockerfile(fields, Some(&default), place, rd).map(Content::Dockerfile), Origins::new());
    };
    let there = fields.get("dockerfile").is_some() || rd.world.files.kind(&rd.root.join(&default)).is_some();
    no_dockerfile_keys(fields, there, name, &mut rd.problems);
    if let Some(place) = fields.key("packages").filter(|_| fields.get("use_case").is_none())
        && fields.get("packages").is_some_and(|item| item.entries(&mut Problems::default()).is_empty())
    {
        let problem = Problem::new(format!("`{name}` declares no packages")).at(&place);
        rd.problems.push(problem.help("list some under `apt` or `pip`, or name a file under `requirements`"));
    }
    // A parent that was named and is unknown has a problem of its own already.
    let empty = |item: Item<'_>| item.one_or_more(&mut Problems::default()).is_empty();
    let written = fields.get("base").is_some() || fields.get("depend_on").is_some_and(|item| !empty(item));
    if !written {
        let problem = Problem::new(format!("`{name}` declares packages, but not on what")).at(place);
        rd.problems.push(problem.help("name its parent with `base` or `depend_on`"));
    } else if let Some((_, second)) = parents.get(1) {
        let problem = Problem::new(format!("`{name}` declares packages, and has several parents")).at(second);
        rd.problems.push(problem.help("keep one parent: only a Dockerfile can copy from others"));
    }
    (Some(Content::Packages(declared.packages)), declared.origins)
}

/// What only a Dockerfile can use must not be said beside packages.
pub(crate) fn no_dockerfile_keys(fields: &Fields, dockerfile: bool, name: &str, problems: &mut Problems) {
    if dockerfile {
        let key = packages::KEYS.into_iter().find(|key| fields.get(key).is_some()).unwrap_or("packages");
        let place = fields.key(key).unwrap_or_else(|| fields.owner.place());
        let problem = Problem::new(format!("`{name}` has both a Dockerfile and `{key}`")).at(&place);
        problems.push(problem.help("install the packages in the Dockerfile, or remove it"));
        return;
    }
    for key in ["context", "target", "build_args", "plan_args", "dbuild_env", "secrets"] {
        if let Some(place) = fields.key(key) {
            let problem =
                Problem::new(format!("`{key}` is for a Dockerfile, and `{name}` has none")).at(&place);
            problems.push(problem.help("remove it, or write a Dockerfile"));
        }
    }
}

/// The Dockerfile that `dockerfile:` names or the default one, its context
/// (its own folder if `context:` says nothing), and the stage.
pub(crate) fn dockerfile(
    fields: &Fields,
    default: Option<&str>,
    owner: &Place,
    rd: &mut SpecReader,
) -> Option<Dockerfile> {
    let target = fields.get("target").and_then(|item| {
        let text = item.string(&mut rd.problems)?;
        let grammar = names::word("a stage of a Dockerfile", text);
        passes(grammar, &item.place(), &mut rd.problems).then(|| text.to_owned())
    });
    let named = match fields.get("context") {
        Some(item) => {
            let text = item.string(&mut rd.problems);
            Some(text.and_then(|text| {
                let found = find_context(&rd.root, text, rd.world.files);
                found.map_err(|broken| rd.problems.push(broken.at(&item.place()))).ok()
            }))
        }
        None => None,
    };
    let (text, place) = match fields.get("dockerfile") {
        Some(item) => (item.string(&mut rd.problems)?, item.place()),
        None => (default?, owner.clone()),
    };
    let (below, file) = match paths::find(&rd.root, text, FileKind::File, rd.world.files) {
        Ok(found) => found,
        Err(mut broken) => {
            if fields.get("dockerfile").is_none() {
                broken.help = "write it, name another with `dockerfile`, or declare `packages`".into();
            }
            rd.problems.push(broken.at(&place));
            return None;
        }
    };
    let context = match named {
        Some(context) => context?,
        None => {
            let folder = rd.root.join(below.parent().unwrap_or(Path::new("")));
            let real = paths::real_inside(&rd.root, &folder, rd.world.files);
            real.map_err(|broken| rd.problems.push(broken.at(&place))).ok()?
        }
    };
    Some(Dockerfile { file, context, target, place })
}

fn find_context(root: &Path, text: &str, files: &dyn Files) -> Result<std::path::PathBuf, GrammarError> {
    paths::find(root, text, FileKind::Folder, files).map(|(_, real)| real)
}

/// `BASE_IMAGE` and `BASE_TAG` come from the parent.
fn no_reserved_args(fields: &Fields, problems: &mut Problems) {
    for key in ["build_args", "plan_args", "dbuild_env"] {
        let Some(item) = fields.get(key) else { continue };
        let mut nested = vec![item];
        if key != "build_args" {
            nested = item.children();
        }
        for name in nested.iter().flat_map(|item| item.keys()) {
            if matches!(name.text, "BASE_IMAGE" | "BASE_TAG") {
                let problem = Problem::new(format!("the build arg `{}` is set from the parent", name.text));
                problems
                    .push(problem.at(&name.place()).help("remove it, and name the parent with `depend_on`"));
            }
        }
    }
}

fn skip_plans(fields: &Fields, known: &DeclaredNames, problems: &mut Problems) -> BTreeSet<PlanName> {
    let listed = fields.get("skip_plans").map(|item| item.strings(problems)).unwrap_or_default();
    for (name, item) in &listed {
        known.plan(name, &item.place(), problems);
    }
    listed.into_iter().map(|(name, _)| PlanName::new(name)).collect()
}

fn info_cmds(fields: &Fields, known: &DeclaredNames, problems: &mut Problems) -> Vec<String> {
    let listed = fields.get("info_cmds").map(|item| item.strings(problems)).unwrap_or_default();
    let mut cmds: Vec<String> = Vec::new();
    for (name, item) in listed {
        if !known.info_cmds.contains(name) {
            let near = problems.near(name, known.info_cmds.iter().map(String::as_str));
            let help =
                near.map_or("declare it under `all_info_cmds`".into(), |n| format!("did you mean `{n}`?"));
            problems.push(
                Problem::new(format!("no info command `{}`", short(name))).at(&item.place()).help(help),
            );
        }
        if !cmds.iter().any(|known| known == name) {
            cmds.push(name.to_owned());
        }
    }
    cmds
}

fn secrets(fields: &Fields, problems: &mut Problems) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (id, item) in fields.get("secrets").map(|item| item.strings(problems)).unwrap_or_default() {
        if passes(names::word("the id of a secret", id), &item.place(), problems) {
            ids.insert(id.to_owned());
        }
    }
    ids
}
