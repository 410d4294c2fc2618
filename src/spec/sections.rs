//! The small sections: `version`, `registry`, `insecure_registries`, `tag`, `bases`, `plans`,
//! `all_info_cmds`, `build`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::args::build_args;
use super::names::{self, passes};
use super::reader::{Fields, GrammarError, Item, Problems, short};
use super::{
    Base, BaseSource, BuildSettings, InfoCommand, PlanVariant, Registry, SiteSource, TagRule, bases, datahub,
};
use crate::image::packages::{AllowedAddresses, PackageIndex};
use crate::model::names::{BaseName, PlanName};
use crate::model::problem::{Place, Problem};
use crate::model::reference::Reference;
use crate::spec::catalog::HostArch;

/// `version: 1`; stacks of before have none.
pub(crate) fn version(item: Option<Item>, problems: &mut Problems) {
    let Some(item) = item else { return };
    if let Some(version) = item.whole(problems)
        && version != 1
    {
        let problem = Problem::new(format!("a spec of version {version}"));
        problems.push(problem.at(&item.place()).help("this program reads version 1"));
    }
}

pub(crate) fn registry(item: Option<Item>, problems: &mut Problems) -> Option<Registry> {
    let item = item?;
    let text = item.string(problems)?;
    Registry::parse(text)
        .map_err(|why| {
            let problem = Problem::new(format!("`{}` is no registry: {why}", short(text)));
            problems.push(problem.at(&item.place()).help("write host:port/path, without https:// and tag"));
        })
        .ok()
}

/// `insecure_registries: [host:port]`.
pub(crate) fn insecure_registries(item: Option<Item>, problems: &mut Problems) -> BTreeSet<String> {
    let hosts = item.map(|item| item.one_or_more(problems)).unwrap_or_default();
    let right = |(host, item): &(&str, Item)| passes(names::registry_host(host), &item.place(), problems);
    hosts.into_iter().filter(right).map(|(host, _)| host.to_owned()).collect()
}

/// `tag: {prefix, stable}`; `start` is where a missing one is reported.
pub(crate) fn tag(top: &Fields, start: &Place, problems: &mut Problems) -> Option<TagRule> {
    let example = "tag: {prefix: \"2026.4\"}";
    let fields = top.require("tag", start, example, problems)?.fields(&["prefix", "stable"], problems);
    let stable = match fields.get("stable") {
        Some(item) => checked(item, names::tag, problems),
        None => Some("stable".to_owned()),
    };
    let place = top.key("tag").unwrap_or_else(|| start.clone());
    let prefix = fields.require("prefix", &place, example, problems)?;
    Some(TagRule { prefix: checked(prefix, names::tag_prefix, problems)?, stable: stable? })
}

/// A text of a grammar.
fn checked(
    item: Item,
    grammar: fn(&str) -> Result<(), GrammarError>,
    problems: &mut Problems,
) -> Option<String> {
    let text = item.string(problems)?;
    passes(grammar(text), &item.place(), problems).then(|| text.to_owned())
}

pub(crate) fn bases(
    item: Option<Item>,
    source: &bases::CatalogSource,
    host: &HostArch,
    problems: &mut Problems,
) -> Vec<Base> {
    let entries = item.map(|item| item.entries(problems)).unwrap_or_default();
    let mut bases = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let place = key.place();
        passes(names::name("base", key.text), &place, problems);
        let fields = value.fields(&["image", "catalog"], problems);
        let source = match (fields.get("image"), fields.get("catalog")) {
            (Some(image), None) => reference(image, problems).map(BaseSource::Image),
            (None, Some(entry)) => bases::base(entry, &place, source, host, problems),
            _ => {
                let problem =
                    Problem::new(format!("the base `{}` needs one source", short(key.text))).at(&place);
                problems.push(problem.help("write either `image` or `catalog: {framework, version, arch}`"));
                None
            }
        };
        bases.extend(source.map(|source| Base { name: BaseName::new(key.text), place, source }));
    }
    bases
}

fn reference(item: Item, problems: &mut Problems) -> Option<Reference> {
    let text = item.string(problems)?;
    Reference::parse(text)
        .map_err(|why| {
            let problem = Problem::new(format!("`{}` is no image reference: {why}", short(text)));
            problems.push(problem.at(&item.place()).help("write host:port/name:tag or name@sha256:…"));
        })
        .ok()
}

pub(crate) fn plans(item: Option<Item>, tag: Option<&TagRule>, problems: &mut Problems) -> Vec<PlanVariant> {
    let entries = item.map(|item| item.entries(problems)).unwrap_or_default();
    let mut plans: Vec<PlanVariant> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let place = key.place();
        passes(names::plan_name(key.text), &place, problems);
        let fields = value.fields_and(&["tag_prefix", "build_args"], &["tag_stable_postfix"], problems);
        datahub::no_stable_postfix(&fields, problems);
        let build_args = build_args(fields.get("build_args"), problems);
        let Some(item) = fields.require("tag_prefix", &place, "tag_prefix: \"2026.4-py312\"", problems)
        else {
            continue;
        };
        let Some(tag_prefix) = checked(item, names::tag_prefix, problems) else { continue };
        let twin =
            plans.iter().find(|p| p.tag_prefix == tag_prefix).map(|p| format!("the plan `{}`", p.name));
        let twin = twin.or_else(|| tag.filter(|t| t.prefix == tag_prefix).map(|_| "`tag.prefix`".to_owned()));
        if let Some(twin) = twin {
            let problem =
                Problem::new(format!("the plan `{}` has the tag prefix of {twin}", short(key.text)));
            problems.push(
                problem.at(&item.place()).help("give each its own, or their images overwrite each other"),
            );
        }
        plans.push(PlanVariant { name: PlanName::new(key.text), place, tag_prefix, build_args });
    }
    plans
}

pub(crate) fn info_cmds(item: Option<Item>, problems: &mut Problems) -> BTreeMap<String, InfoCommand> {
    let mut cmds = BTreeMap::new();
    for (key, value) in item.map(|item| item.entries(problems)).unwrap_or_default() {
        let place = key.place();
        passes(names::word("the name of a command", key.text), &place, problems);
        let fields = value.fields(&["description", "command"], problems);
        let mut text = |name: &str, example: &str| {
            let item = fields.require(name, &place, example, problems)?;
            let text = item.string(problems)?;
            let clean = !text.is_empty() && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
            if !clean {
                let problem = Problem::new(format!("the {name} is empty or has control characters"));
                problems.push(problem.at(&item.place()).help("write plain text"));
            }
            clean.then(|| text.to_owned())
        };
        let description = text("description", "description: Python version");
        let command = text("command", "command: python3 --version");
        if let (Some(description), Some(command)) = (description, command) {
            cmds.insert(key.text.to_owned(), InfoCommand { description, command });
        }
    }
    cmds
}

pub(crate) fn build(item: Option<Item>, root: &Path, problems: &mut Problems) -> BuildSettings {
    let Some(item) = item else { return BuildSettings::default() };
    let fields = item.fields(&["ca_bundle", "pip_index", "apt_mirror", "allow_urls"], problems);
    let mut site = |key: &str| fields.get(key).and_then(|item| site(item, root, problems));
    let (pip_index, apt_mirror) = (site("pip_index"), site("apt_mirror"));
    let ca_bundle = fields.get("ca_bundle").and_then(|item| outside(item, root, "a PEM file", problems));
    let mut allow_urls = AllowedAddresses::default();
    for (text, item) in fields.get("allow_urls").map(|item| item.one_or_more(problems)).unwrap_or_default() {
        if let Err(why) = allow_urls.add(text) {
            let problem = Problem::new(format!("`{}` cannot be allowed", short(text))).at(&item.place());
            problems.push(problem.help(why));
        }
    }
    BuildSettings { ca_bundle, pip_index, apt_mirror, allow_urls }
}

/// A web address, or `{file: PATH}` where it has a password.
fn site(item: Item, root: &Path, problems: &mut Problems) -> Option<SiteSource> {
    if item.is_mapping() {
        let fields = item.fields(&["file"], problems);
        let file = fields.require("file", &item.place(), "{file: /etc/ds01/pip-index}", problems)?;
        return outside(file, root, "a file with the address in it", problems).map(SiteSource::File);
    }
    let text = checked(item, names::url, problems)?;
    PackageIndex::parse(&text)
        .map_err(|why| {
            let problem = Problem::new(format!("`{}` {why}", short(&text))).at(&item.place());
            problems.push(problem.help("nothing else may stand in it"));
        })
        .ok()
        .map(SiteSource::Spec)
}

/// A file that may lie anywhere. Whether it is there is asked by the build:
/// another machine may only check.
fn outside(item: Item, root: &Path, what: &str, problems: &mut Problems) -> Option<PathBuf> {
    let text = item.string(problems)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        let problem = Problem::new(format!("the path `{}` is none", short(text))).at(&item.place());
        problems.push(problem.help(format!("write the path of {what}")));
        return None;
    }
    Some(root.join(text))
}
