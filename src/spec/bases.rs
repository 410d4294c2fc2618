//! `catalog: PATH`, and bases that a catalogue names.
//!
//! A named file stands in place of the program's own catalogue, whole: which
//! image `latest` is must not depend on rows that nobody of the site wrote.

use std::sync::Arc;

use super::BaseSource;
use super::reader::{Item, Problems, short};
use crate::model::problem::{Place, Problem, SourceFile};
use crate::spec::catalog::{self, Catalog, HostArch};

/// What bases are looked up in.
pub(crate) enum CatalogSource {
    /// The one that the program carries.
    Own,
    File(Catalog),
    /// What is wrong with the file was told; what bases ask of it is not.
    GrammarError,
}

/// What the file says.
pub(crate) fn source(file: &Arc<SourceFile>, problems: &mut Problems) -> CatalogSource {
    let reading = catalog::read(file);
    if reading.errors.is_empty() {
        return CatalogSource::File(reading.catalog);
    }
    problems.list.extend(reading.errors);
    CatalogSource::GrammarError
}

/// `catalog: {framework, version, arch}` of a base.
pub(crate) fn base(
    item: Item,
    base: &Place,
    source: &CatalogSource,
    host: &HostArch,
    problems: &mut Problems,
) -> Option<BaseSource> {
    let fields = item.fields(&["framework", "version", "arch"], problems);
    let mut text = |key: &str, example: &str| {
        let item = fields.require(key, base, example, problems)?;
        Some((item, item.string(problems)?))
    };
    let framework = text("framework", "framework: Pytorch");
    let version = text("version", "version: latest");
    let arch = match fields.get("arch") {
        Some(item) => item.string(problems).map(|arch| (item, arch)),
        None => by_host(item, host, problems),
    };
    let ((f_item, framework), (v_item, version), (a_item, arch)) = (framework?, version?, arch?);
    let catalog = match source {
        CatalogSource::Own => Catalog::own(),
        CatalogSource::File(catalog) => catalog,
        CatalogSource::GrammarError => return None,
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
        catalog::CatalogMiss::Framework { .. } => f_item,
        catalog::CatalogMiss::Arch { .. } => a_item,
        catalog::CatalogMiss::Version { .. } => v_item,
    };
    let mut help = miss.help();
    if let (HostArch::Known { told_by, .. }, None) = (host, fields.get("arch")) {
        help = format!("{help}; {arch} is this machine's ({told_by}), `arch:` asks for another");
    }
    let message = miss.message(catalog, &short(framework), &short(version), &short(arch));
    problems.push(Problem::new(message).at(&at.place()).help(help));
    None
}

/// The architecture where the spec names none.
fn by_host<'h>(item: Item<'h>, host: &'h HostArch, problems: &mut Problems) -> Option<(Item<'h>, &'h str)> {
    match host {
        HostArch::Known { arch, .. } => Some((item, arch)),
        HostArch::Unknown(why) => {
            let because = if why.is_empty() { String::new() } else { format!(": {why}") };
            let problem = Problem::new(format!("nobody says which architecture this base is for{because}"));
            let help = "write `arch: CUDA_ADA`, or set MLC_ARCH; `ds01-build catalog list --all` shows which there are";
            problems.push(problem.at(&item.place()).help(help));
            None
        }
    }
}
