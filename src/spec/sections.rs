//! The small sections: `version`, `registry`, `insecure_registries`, `tag`,
//! `catalog` and `bases`, `plans`, `all_info_cmds`, `build`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::catalog::{self, Catalog, CatalogMiss, HostArch};
use super::fields::Fields;
use super::images::build_args;
use super::reader::{Item, Problems, short};
use super::{
    Base, BaseSource, BuildSettings, InfoCommand, PlanVariant, Registry, SiteSource, TagRule, grammar,
};
use crate::image::packages::{AllowedAddresses, PackageIndex};
use crate::model::names::{BaseName, PlanName};
use crate::model::problem::{Place, SourceFile};
use crate::model::reference::Reference;

/// `version: 1`; stacks of before have none.
pub(crate) fn version(top: &Fields) {
    if let Some(item) = top.get("version")
        && let Some(version) = item.whole()
        && version != 1
    {
        item.report(format!("a spec of version {version}"), "this program reads version 1");
    }
}

pub(crate) fn registry(top: &Fields) -> Option<Registry> {
    let item = top.get("registry")?;
    let text = item.string()?;
    let help = "write host:port/path, without https:// and tag";
    item.parsed(Registry::parse(text), text, "is no registry", help)
}

/// `insecure_registries: [host:port]`.
pub(crate) fn insecure_registries(top: &Fields) -> BTreeSet<String> {
    let hosts = top.one_or_more("insecure_registries");
    let right = |(host, item): &(&str, Item)| item.check(grammar::registry_host(host));
    hosts.into_iter().filter(right).map(|(host, _)| host.to_owned()).collect()
}

/// `tag: {prefix, stable, refresh}`; `start` is where a missing one is reported.
pub(crate) fn tag(top: &Fields, start: &Place) -> Option<TagRule> {
    let example = "tag: {prefix: \"2026.4\"}";
    let fields = top.require("tag", start, example)?.fields(&["prefix", "stable", "refresh"]);
    let stable = fields.get("stable").map_or(Some("stable"), |item| item.text_of(grammar::tag));
    let place = top.key("tag").map_or_else(|| start.clone(), Item::place);
    let refresh = fields.get("refresh").map_or(Some(false), refresh_by_prefix);
    let prefix = fields.require("prefix", &place, example)?.text_of(grammar::tag_prefix)?;
    Some(TagRule { prefix: prefix.to_owned(), stable: stable?.to_owned(), refresh_by_prefix: refresh? })
}

/// `refresh: prefix`, the only thing that it can say.
fn refresh_by_prefix(item: Item) -> Option<bool> {
    let text = item.string()?;
    if text != "prefix" {
        let help = "write `refresh: prefix`: a new prefix then asks for fresh packages; or remove it";
        item.report(format!("`{}` refreshes nothing", short(text)), help);
        return None;
    }
    Some(true)
}

/// What bases are looked up in. A named file stands in place of the program's
/// own catalogue, whole: which image `latest` is must not depend on rows that
/// nobody of the site wrote.
pub(crate) enum CatalogSource {
    /// The one that the program carries.
    Own,
    File(Catalog),
    /// What is wrong with the file was reported; what bases ask of it is not.
    Broken,
}

/// What the file of `catalog: PATH` says.
pub(crate) fn catalog(file: &Arc<SourceFile>, problems: &Problems) -> CatalogSource {
    let parsed = catalog::read(file);
    if parsed.errors.is_empty() {
        return CatalogSource::File(parsed.catalog);
    }
    problems.extend(parsed.errors);
    CatalogSource::Broken
}

pub(crate) fn bases(top: &Fields, catalog: &CatalogSource, host: &HostArch) -> Vec<Base> {
    let mut bases = Vec::new();
    for (key, value) in top.entries("bases") {
        let place = key.place();
        key.item.check(grammar::name("base", key.text));
        let fields = value.fields(&["image", "catalog"]);
        let source = match (fields.get("image"), fields.get("catalog")) {
            (Some(image), None) => reference(image).map(BaseSource::Image),
            (None, Some(entry)) => catalog_base(entry, &place, catalog, host),
            _ => {
                let message = format!("the base `{}` needs one source", short(key.text));
                key.item.report(message, "write either `image` or `catalog: {framework, version, arch}`");
                None
            }
        };
        bases.extend(source.map(|source| Base { name: BaseName::new(key.text), place, source }));
    }
    bases
}

fn reference(item: Item) -> Option<Reference> {
    let text = item.string()?;
    let help = "write host:port/name:tag or name@sha256:…";
    item.parsed(Reference::parse(text), text, "is no image reference", help)
}

/// `catalog: {framework, version, arch}` of a base.
fn catalog_base(item: Item, base: &Place, catalog: &CatalogSource, host: &HostArch) -> Option<BaseSource> {
    let fields = item.fields(&["framework", "version", "arch"]);
    let text = |key: &str, example: &str| {
        let item = fields.require(key, base, example)?;
        Some((item, item.string()?))
    };
    let framework = text("framework", "framework: Pytorch");
    let version = text("version", "version: latest");
    let arch = match fields.get("arch") {
        Some(item) => item.string().map(|arch| (item, arch)),
        None => arch_of(host, item).map(|arch| (item, arch)),
    };
    let ((f_item, framework), (v_item, version), (a_item, arch)) = (framework?, version?, arch?);
    let catalog = match catalog {
        CatalogSource::Own => Catalog::own(),
        CatalogSource::File(catalog) => catalog,
        CatalogSource::Broken => return None,
    };
    let miss = match catalog.find(framework, version, arch) {
        Ok(found) => {
            return Some(BaseSource::Catalog {
                framework: found.row.framework.clone(),
                version: found.row.version.clone(),
                arch: found.arch.to_owned(),
                image: found.row.image.clone(),
            });
        }
        Err(miss) => miss,
    };
    let at = match miss {
        CatalogMiss::Framework { .. } => f_item,
        CatalogMiss::Arch { .. } => a_item,
        CatalogMiss::Version { .. } => v_item,
    };
    let mut help = miss.help();
    if let (HostArch::Known { source, .. }, None) = (host, fields.get("arch")) {
        help = format!("{help}; {arch} is this machine's ({source}), `arch:` asks for another");
    }
    at.report(miss.message(catalog, &short(framework), &short(version), &short(arch)), help);
    None
}

/// The architecture where the spec names none.
fn arch_of<'h>(host: &'h HostArch, item: Item) -> Option<&'h str> {
    match host {
        HostArch::Known { arch, .. } => Some(arch),
        HostArch::Unknown(why) => {
            let because = if why.is_empty() { String::new() } else { format!(": {why}") };
            let message = format!("nobody says which architecture this base is for{because}");
            let help = "write `arch: CUDA_ADA`, or set MLC_ARCH; `ds01-build catalog list --all` shows which there are";
            item.report(message, help);
            None
        }
    }
}

pub(crate) fn plans(top: &Fields, tag: Option<&TagRule>) -> Vec<PlanVariant> {
    let mut plans: Vec<PlanVariant> = Vec::new();
    for (key, value) in top.entries("plans") {
        let place = key.place();
        key.item.check(grammar::plan_name(key.text));
        let fields = value.fields_and(&["tag_prefix", "build_args"], &["tag_stable_postfix"]);
        // What the DataHub stack has.
        if let Some(postfix) = fields.key("tag_stable_postfix") {
            postfix.report(
                "`tag_stable_postfix` is not read any more",
                "remove it: the stable tag of a plan is its `tag_prefix` followed by `-` and `tag.stable`",
            );
        }
        let build_args = build_args(&fields, "build_args");
        let item = fields.require("tag_prefix", &place, "tag_prefix: \"2026.4-py312\"");
        let Some((item, tag_prefix)) = item.and_then(|item| Some((item, item.text_of(grammar::tag_prefix)?)))
        else {
            continue;
        };
        let twin =
            plans.iter().find(|p| p.tag_prefix == tag_prefix).map(|p| format!("the plan `{}`", p.name));
        let twin = twin.or_else(|| tag.filter(|t| t.prefix == tag_prefix).map(|_| "`tag.prefix`".to_owned()));
        if let Some(twin) = twin {
            let message = format!("the plan `{}` has the tag prefix of {twin}", short(key.text));
            item.report(message, "give each its own, or their images overwrite each other");
        }
        let tag_prefix = tag_prefix.to_owned();
        plans.push(PlanVariant { name: PlanName::new(key.text), place, tag_prefix, build_args });
    }
    plans
}

pub(crate) fn info_cmds(top: &Fields) -> BTreeMap<String, InfoCommand> {
    let mut cmds = BTreeMap::new();
    for (key, value) in top.entries("all_info_cmds") {
        key.item.check(grammar::word("the name of a command", key.text));
        let fields = value.fields(&["description", "command"]);
        let text = |name: &str, example: &str| {
            let item = fields.require(name, &key.place(), example)?;
            let text = item.string()?;
            let clean = !text.is_empty() && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
            if !clean {
                item.report(format!("the {name} is empty or has control characters"), "write plain text");
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

pub(crate) fn build(top: &Fields, root: &Path) -> BuildSettings {
    let Some(item) = top.get("build") else { return BuildSettings::default() };
    let fields = item.fields(&["ca_bundle", "pip_index", "apt_mirror", "allow_urls"]);
    let site = |key: &str| fields.get(key).and_then(|item| site(item, root));
    let mut allow_urls = AllowedAddresses::default();
    for (text, item) in fields.one_or_more("allow_urls") {
        if let Err(why) = allow_urls.add(text) {
            item.report(format!("`{}` cannot be allowed", short(text)), why);
        }
    }
    BuildSettings {
        ca_bundle: fields.get("ca_bundle").and_then(|item| outside(item, root, "a PEM file")),
        pip_index: site("pip_index"),
        apt_mirror: site("apt_mirror"),
        allow_urls,
    }
}

/// A web address, or `{file: PATH}` where it has a password.
fn site(item: Item, root: &Path) -> Option<SiteSource> {
    if item.is_mapping() {
        let file = item.fields(&["file"]).require("file", &item.place(), "{file: /etc/ds01/pip-index}")?;
        return outside(file, root, "a file with the address in it").map(SiteSource::File);
    }
    let text = item.text_of(grammar::url)?;
    PackageIndex::parse(text)
        .map_err(|why| item.report(format!("`{}` {why}", short(text)), "nothing else may stand in it"))
        .ok()
        .map(SiteSource::Spec)
}

/// A file that may lie anywhere. Whether it is there is asked by the build:
/// another machine may only check.
fn outside(item: Item, root: &Path, what: &str) -> Option<PathBuf> {
    let text = item.string()?;
    if text.is_empty() || text.chars().any(char::is_control) {
        item.report(format!("the path `{}` is none", short(text)), format!("write the path of {what}"));
        return None;
    }
    Some(root.join(text))
}
