//! Reads a spec with all it includes: the order of the whole.
//!
//! What each section means is in the modules named after them.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fields::Fields;
use super::files::{Files, Unreadable};
use super::packages::RequirementsCache;
use super::parents::{self, DeclaredNames};
use super::reader::{Document, Item, Problems};
use super::sections::{self, CatalogSource};
use super::{Registry, Spec, SpecContext, images, limits, paths, projects, users};
use crate::image::packages::{self, AllowedAddresses};
use crate::model::problem::{Place, Problem, SourceFile};

/// Largest file: room for ten thousand images with some keys each.
const MAX_FILE: u64 = 4 << 20;

/// What some editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const KEYS: &[&str] = &[
    "version",
    "registry",
    "insecure_registries",
    "tag",
    "include",
    "catalog",
    "bases",
    "images",
    "plans",
    "all_info_cmds",
    "users",
    "administrators",
    "limits",
    "build",
];

/// Reads `spec_file`, absolute or relative to `cwd` (absolute), and all that
/// its `include:` names. Paths are shown relative to `cwd` where they can be.
///
/// # Errors
/// Everything that is wrong, in the order of the files and of their lines.
pub(crate) fn read(cwd: &Path, spec_file: &Path, context: &SpecContext) -> Result<Spec, Vec<Problem>> {
    let (mut rd, document) = SpecReader::begin(cwd, spec_file, context)?;
    let top = document.item().fields_and(KEYS, &["root"]);
    let catalog = match top.get("catalog") {
        None => CatalogSource::Own,
        Some(item) => match rd.catalog_text(item) {
            Some(file) => sections::catalog(&file, &rd.problems),
            None => CatalogSource::Broken,
        },
    };
    let limits = limits::read(top.get("limits"), &mut rd);
    let included = rd.includes(&top);
    let spec = whole(&document, &top, &catalog, limits, &included, &mut rd);
    match spec {
        Some(spec) if rd.problems.is_empty() => Ok(spec),
        _ => Err(sorted(rd.problems.take(), &rd.loaded)),
    }
}

/// The text of the catalogue that a spec names; `None`: it names none. Nothing
/// else of the spec need be right.
///
/// # Errors
/// The spec is no YAML, or the file cannot be read.
pub(crate) fn catalog_file(
    cwd: &Path,
    spec_file: &Path,
    context: &SpecContext,
) -> Result<Option<Arc<SourceFile>>, Vec<Problem>> {
    let (mut rd, document) = SpecReader::begin(cwd, spec_file, context)?;
    let top = document.item().fields(KEYS);
    // What is wrong elsewhere is reported by whoever reads the whole.
    rd.problems.take();
    let Some(item) = top.get("catalog") else { return Ok(None) };
    rd.catalog_text(item).map(Some).ok_or_else(|| rd.problems.take())
}

/// Every section, then what only shows in the whole.
fn whole(
    document: &Document,
    top: &Fields,
    catalog: &CatalogSource,
    limits: limits::LimitsDraft,
    included: &[Document],
    rd: &mut SpecReader,
) -> Option<Spec> {
    rd.names = DeclaredNames::new(top);
    sections::version(top);
    rd.registry = sections::registry(top);
    let insecure_registries = sections::insecure_registries(top);
    let tag = sections::tag(top, &document.start());
    let bases = sections::bases(top, catalog, rd.context.arch);
    let plans = sections::plans(top, tag.as_ref());
    let info_cmds = sections::info_cmds(top);
    let build = sections::build(top, &rd.root);
    rd.allow_urls = build.allow_urls.clone();
    let administrators = users::administrators(top);
    let mut users = users::users(top, &limits);
    let drafts = images::images(top, rd);
    let projects = projects::projects(included, &mut users, &drafts, rd);
    parents::check(&rd.names, &drafts, &projects, &rd.problems);
    // What is wrong with the patterns was reported where they were followed.
    let include = top.get_some("include").map(|item| item.quiet().one_or_more()).unwrap_or_default();
    Some(Spec {
        root: rd.root.clone(),
        images_dir: rd.root.join("images"),
        insecure_registries,
        include: include.into_iter().map(|(pattern, _)| pattern.to_owned()).collect(),
        tag: tag?,
        bases,
        images: drafts.into_iter().map(|draft| draft.image).collect::<Option<_>>()?,
        plans,
        projects,
        users: users.declared.into_iter().filter_map(|(login, user)| Some((login, user?))).collect(),
        administrators,
        info_cmds,
        limits: limits.limits,
        build,
    })
}

/// In the order of files, then of places; those without a place first.
fn sorted(mut problems: Vec<Problem>, files: &[Arc<SourceFile>]) -> Vec<Problem> {
    let ranks: HashMap<*const SourceFile, usize> =
        files.iter().enumerate().map(|(rank, file)| (Arc::as_ptr(file), rank)).collect();
    problems.sort_by_key(|problem| {
        let place = problem.place.as_ref();
        place.map(|place| (ranks.get(&Arc::as_ptr(&place.file)).copied(), place.span.start))
    });
    problems
}

/// What reading needs besides the text, and what was read so far.
pub(crate) struct SpecReader<'f> {
    /// Without symbolic links.
    pub(crate) root: PathBuf,
    pub(crate) context: &'f SpecContext<'f>,
    /// Paths are shown relative to it.
    cwd: PathBuf,
    /// Every text that was read, in order, whether or not it is YAML.
    loaded: Vec<Arc<SourceFile>>,
    /// `registry:`.
    pub(crate) registry: Option<Registry>,
    /// `build.allow_urls`.
    pub(crate) allow_urls: AllowedAddresses,
    pub(crate) names: DeclaredNames,
    pub(crate) requirements: RequirementsCache,
    pub(crate) problems: Problems,
}

impl<'f> SpecReader<'f> {
    /// Finds the spec and reads its own file.
    fn begin(
        cwd: &Path,
        spec_file: &Path,
        context: &'f SpecContext<'f>,
    ) -> Result<(Self, Document), Vec<Problem>> {
        let (root, spec) = locate(cwd, spec_file, context.files).map_err(|problem| vec![problem])?;
        let mut rd = Self {
            root,
            context,
            cwd: context.files.real(cwd).unwrap_or_else(|_| cwd.to_owned()),
            loaded: Vec::new(),
            registry: None,
            allow_urls: AllowedAddresses::default(),
            names: DeclaredNames::default(),
            requirements: RequirementsCache::default(),
            problems: Problems::default(),
        };
        let file = rd.text(&spec, spec_file.to_owned(), None);
        match file.and_then(|file| Document::parse(file, &rd.problems)) {
            Some(document) => Ok((rd, document)),
            None => Err(rd.problems.take()),
        }
    }

    /// Reads one file of YAML, which is named at `named`.
    pub(crate) fn load(&mut self, path: &Path, named: Item) -> Option<Document> {
        let file = self.text(path, self.shown(path), Some(named))?;
        Document::parse(file, &self.problems)
    }

    /// The included files, each once, in the order of the entries.
    fn includes(&mut self, top: &Fields) -> Vec<Document> {
        let mut documents = Vec::new();
        let mut seen = BTreeSet::new();
        let entries = top.get_some("include").map(Item::one_or_more).unwrap_or_default();
        for (pattern, item) in entries {
            let paths = item.accept(paths::expand(&self.root, pattern, self.context.files));
            for path in paths.unwrap_or_default().into_iter().filter(|path| seen.insert(path.clone())) {
                documents.extend(self.load(&path, item));
            }
        }
        documents
    }

    fn catalog_text(&mut self, item: Item) -> Option<Arc<SourceFile>> {
        let path = paths::anywhere(item, &self.root, self.context.files)?;
        self.text(&path, self.shown(&path), Some(item))
    }

    fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.cwd).unwrap_or(path).to_owned()
    }

    /// Reads one file of text; what is wrong with it is reported.
    fn text(&mut self, path: &Path, shown: PathBuf, named: Option<Item>) -> Option<Arc<SourceFile>> {
        let bytes = match self.context.files.read(path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(why) => {
                let problem = unreadable(&shown, &why);
                self.problems.push(match named {
                    Some(item) => problem.at(&item.place()),
                    None => problem,
                });
                return None;
            }
        };
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
        let bad = std::str::from_utf8(bytes).err().map(|e| e.valid_up_to());
        let file = Arc::new(SourceFile::new(shown, String::from_utf8_lossy(bytes)));
        self.loaded.push(file.clone());
        if let Some(at) = bad {
            let place = Place { file, span: at..at };
            self.problems.push(Problem::new("not UTF-8 text").at(&place).help("save the file as UTF-8"));
            return None;
        }
        Some(file)
    }

    /// The text of a file of requirements.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn requirements_text(
        &mut self,
        path: &Path,
        limit: u64,
    ) -> Result<Arc<SourceFile>, (String, String)> {
        let error = |message: &str, help: &str| (message.to_owned(), help.to_owned());
        let bytes = self.context.files.read(path, limit).map_err(|why| match why {
            Unreadable::Missing | Unreadable::NotAFile => error("is no file", "check the path"),
            Unreadable::TooLarge(size) => {
                (format!("has {} KiB", size >> 10), format!("at most {} KiB are read", limit >> 10))
            }
            Unreadable::Io(error) => (format!("cannot be read: {error}"), "check its rights".into()),
        })?;
        let text = packages::decode(&bytes).ok_or_else(|| error("is not UTF-8 text", "save it as UTF-8"))?;
        let file = Arc::new(SourceFile::new(self.shown(path), text));
        self.loaded.push(file.clone());
        Ok(file)
    }
}

/// The root and the spec's path below it. A spec in `images/` (the DataHub
/// layout) has the folder above as its root.
fn locate(cwd: &Path, spec_file: &Path, files: &dyn Files) -> Result<(PathBuf, PathBuf), Problem> {
    let path = cwd.join(spec_file);
    let missing = || {
        Problem::new(format!("there is no spec `{}`", spec_file.display()))
            .help("name it with `--spec FILE`, or go to the folder with spec.yml")
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(missing()) };
    let folder = files.real(folder).map_err(|_| missing())?;
    files.kind(&folder.join(name)).ok_or_else(missing)?;
    let above = folder.parent().filter(|_| folder.file_name() == Some(OsStr::new("images")));
    Ok((above.unwrap_or(&folder).to_owned(), folder.join(name)))
}

fn unreadable(path: &Path, why: &Unreadable) -> Problem {
    let path = path.display();
    match why {
        Unreadable::Missing => Problem::new(format!("there is no file `{path}`")).help("check the path"),
        Unreadable::NotAFile => Problem::new(format!("`{path}` is not a file")).help("name a file"),
        Unreadable::TooLarge(size) => Problem::new(format!("`{path}` has {} MiB", size >> 20))
            .help(format!("a file of a spec has at most {} MiB; is this one a spec?", MAX_FILE >> 20)),
        Unreadable::Io(error) => {
            Problem::new(format!("cannot read `{path}`: {error}")).help("check its rights")
        }
    }
}
