//! Reads a spec with all it includes: the order of the whole.
//!
//! What each section means is in the modules named after them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Files, Unreadable};
use super::reader::{Fields, Item, Problems, short};
use super::requirements::RequirementsCache;
use super::yaml::{self, YamlNode};
use super::{Parent, Spec, SpecContext, bases, images, limits, parents, paths, projects, sections, users};
use crate::image::packages::AllowedAddresses;
use crate::model::names::{BaseName, ImageName};
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
pub(crate) fn read(cwd: &Path, spec_file: &Path, world: &SpecContext) -> Result<Spec, Vec<Problem>> {
    let (mut rd, document) = begin(cwd, spec_file, world)?;
    let top = document.item().fields_and(KEYS, &["root"], &mut rd.problems);
    let catalog = match top.get("catalog") {
        None => bases::CatalogSource::Own,
        Some(item) => match catalog_text(item, &mut rd) {
            Some(file) => bases::source(&file, &mut rd.problems),
            None => bases::CatalogSource::GrammarError,
        },
    };
    let limits = limits(top.get("limits"), &mut rd);
    let included = includes(&top, &mut rd);
    let spec = whole(&document, &top, &catalog, limits, &included, &mut rd);
    match spec {
        Some(spec) if rd.problems.list.is_empty() => Ok(spec),
        _ => Err(sorted(rd.problems.list, &rd.loaded)),
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
    world: &SpecContext,
) -> Result<Option<Arc<SourceFile>>, Vec<Problem>> {
    let (mut rd, document) = begin(cwd, spec_file, world)?;
    // What is wrong elsewhere is told by whoever reads the whole.
    let top = document.item().fields(KEYS, &mut Problems::default());
    rd.problems = Problems::default();
    let Some(item) = top.get("catalog") else { return Ok(None) };
    catalog_text(item, &mut rd).map(Some).ok_or(rd.problems.list)
}

/// Finds the spec and reads its own file.
fn begin<'f>(
    cwd: &Path,
    spec_file: &Path,
    world: &'f SpecContext<'f>,
) -> Result<(SpecReader<'f>, Document), Vec<Problem>> {
    let (root, spec) = locate(cwd, spec_file, world.files).map_err(|problem| vec![problem])?;
    let mut rd = SpecReader {
        images_dir: root.join("images"),
        root,
        world,
        shown: Shown::new(cwd, world.files),
        loaded: Vec::new(),
        allow_urls: AllowedAddresses::default(),
        requirements: RequirementsCache::default(),
        problems: Problems::default(),
    };
    match load(&spec, spec_file.to_owned(), None, &mut rd) {
        Some(document) => Ok((rd, document)),
        None => Err(rd.problems.list),
    }
}

fn catalog_text(item: Item, rd: &mut SpecReader) -> Option<Arc<SourceFile>> {
    let path = paths::anywhere(item, &rd.root, rd.world.files, &mut rd.problems)?;
    text(&path, rd.shown.path(&path), Some(&item.place()), rd)
}

/// Limits, from the spec or from the file that it names.
fn limits(item: Option<Item>, rd: &mut SpecReader) -> limits::LimitsDraft {
    match item.and_then(|item| limits::file(item, &rd.root, rd.world.files, &mut rd.problems)) {
        None => limits::read(item, &mut rd.problems),
        Some(named) => match named.and_then(|(item, path)| limits_file(item, &path, rd)) {
            Some(own) => limits::read(Some(own.item()), &mut rd.problems),
            None => limits::LimitsDraft { broken: true, ..limits::LimitsDraft::default() },
        },
    }
}

fn limits_file(item: Item, path: &Path, rd: &mut SpecReader) -> Option<Document> {
    let document = load(path, rd.shown.path(path), Some(&item.place()), rd)?;
    // A copy that broke off may have left nothing.
    if document.item().is_null() {
        let problem = Problem::new(format!("`{}` says nothing", document.file.path.display()));
        let help = "write the limits into it, or remove `limits` from the spec for the built-in ones";
        rd.problems.push(problem.at(&item.place()).help(help));
        return None;
    }
    Some(document)
}

/// What reading needs besides the text.
pub(crate) struct SpecReader<'f> {
    /// Without symbolic links.
    pub(crate) root: PathBuf,
    pub(crate) images_dir: PathBuf,
    pub(crate) world: &'f SpecContext<'f>,
    /// Every text that was read, in order, whether or not it is YAML.
    loaded: Vec<Arc<SourceFile>>,
    shown: Shown,
    /// `build.allow_urls`.
    pub(crate) allow_urls: AllowedAddresses,
    pub(crate) requirements: RequirementsCache,
    pub(crate) problems: Problems,
}

impl SpecReader<'_> {
    /// The text of a file that is no YAML.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(crate) fn text(&mut self, path: &Path, limit: u64) -> Result<Arc<SourceFile>, (String, String)> {
        let told = |message: &str, help: &str| (message.to_owned(), help.to_owned());
        let bytes = self.world.files.read(path, limit).map_err(|why| match why {
            Unreadable::Missing | Unreadable::NotAFile => told("is no file", "check the path"),
            Unreadable::TooLarge(size) => {
                (format!("has {} KiB", size >> 10), format!("at most {} KiB are read", limit >> 10))
            }
            Unreadable::Io(error) => (format!("cannot be read: {error}"), "check its rights".into()),
        })?;
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes).to_vec();
        let text = String::from_utf8(bytes).map_err(|_| told("is not UTF-8 text", "save it as UTF-8"))?;
        let file = Arc::new(SourceFile { path: self.shown.path(path), text });
        self.loaded.push(file.clone());
        Ok(file)
    }
}

/// Names that the spec declares, whether or not what they name is right: a
/// broken image is no reason to call its children's parent unknown.
#[derive(Default)]
pub(crate) struct DeclaredNames {
    pub(crate) bases: BTreeMap<String, Place>,
    pub(crate) images: BTreeMap<String, Place>,
    pub(crate) plans: BTreeSet<String>,
    pub(crate) info_cmds: BTreeSet<String>,
}

impl DeclaredNames {
    fn new(top: &Fields) -> Self {
        let keys = |section: &str| top.get(section).map(Item::keys).unwrap_or_default();
        let placed = |section: &str| keys(section).iter().map(|k| (k.text.to_owned(), k.place())).collect();
        let named = |section: &str| keys(section).iter().map(|k| k.text.to_owned()).collect();
        Self {
            bases: placed("bases"),
            images: placed("images"),
            plans: named("plans"),
            info_cmds: named("all_info_cmds"),
        }
    }

    /// What `depend_on` and a project's `image` may name.
    pub(crate) fn parent(&self, name: &str, place: &Place, problems: &mut Problems) -> Option<Parent> {
        if self.images.contains_key(name) {
            return Some(Parent::Image(ImageName::new(name)));
        }
        if self.bases.contains_key(name) {
            return Some(Parent::Base(BaseName::new(name)));
        }
        let near = problems.near(name, self.images.keys().chain(self.bases.keys()).map(String::as_str));
        let help =
            near.map_or("declare it under `images` or `bases`".into(), |n| format!("did you mean `{n}`?"));
        problems.push(Problem::new(format!("no image or base `{}`", short(name))).at(place).help(help));
        None
    }

    /// What `base` may name.
    pub(crate) fn base(&self, name: &str, place: &Place, problems: &mut Problems) -> Option<Parent> {
        if self.bases.contains_key(name) {
            return Some(Parent::Base(BaseName::new(name)));
        }
        if self.images.contains_key(name) {
            let problem = Problem::new(format!("`{name}` is an image, not a base")).at(place);
            problems.push(problem.help(format!("write `depend_on: {name}`")));
            return None;
        }
        let near = problems.near(name, self.bases.keys().map(String::as_str));
        let help = near.map_or("declare it under `bases`".into(), |n| format!("did you mean `{n}`?"));
        problems.push(Problem::new(format!("no base `{}`", short(name))).at(place).help(help));
        None
    }

    /// Pushes a problem if there is no such plan.
    pub(crate) fn plan(&self, name: &str, place: &Place, problems: &mut Problems) {
        if !self.plans.contains(name) {
            let near = problems.near(name, self.plans.iter().map(String::as_str));
            let help = near.map_or("declare it under `plans`".into(), |n| format!("did you mean `{n}`?"));
            problems.push(Problem::new(format!("no plan `{}`", short(name))).at(place).help(help));
        }
    }
}

/// A file that is YAML.
pub(crate) struct Document {
    file: Arc<SourceFile>,
    node: YamlNode,
}

impl Document {
    pub(crate) fn item(&self) -> Item<'_> {
        Item { node: &self.node, file: &self.file }
    }
}

struct Shown {
    cwd: PathBuf,
}

impl Shown {
    fn new(cwd: &Path, files: &dyn Files) -> Self {
        Self { cwd: files.real(cwd).unwrap_or_else(|_| cwd.to_owned()) }
    }

    fn path(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.cwd).unwrap_or(path).to_owned()
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

/// Reads one file of YAML; `named` is the place that names it.
fn load(path: &Path, shown: PathBuf, named: Option<&Place>, rd: &mut SpecReader) -> Option<Document> {
    let file = text(path, shown, named, rd)?;
    let node = yaml::parse(&file, &mut rd.problems.list)?;
    Some(Document { file, node })
}

/// Reads one file of text.
fn text(path: &Path, shown: PathBuf, named: Option<&Place>, rd: &mut SpecReader) -> Option<Arc<SourceFile>> {
    let bytes = match rd.world.files.read(path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(why) => {
            let problem = unreadable(&shown, &why);
            rd.problems.push(named.map_or(problem.clone(), |place| problem.at(place)));
            return None;
        }
    };
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let bad = std::str::from_utf8(bytes).err().map(|e| e.valid_up_to());
    let file = Arc::new(SourceFile { path: shown, text: String::from_utf8_lossy(bytes).into_owned() });
    rd.loaded.push(file.clone());
    if let Some(at) = bad {
        let place = Place { file, span: at..at };
        rd.problems.push(Problem::new("not UTF-8 text").at(&place).help("save the file as UTF-8"));
        return None;
    }
    Some(file)
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

/// The included files, each once, in the order of the entries.
fn includes(top: &Fields, rd: &mut SpecReader) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut seen = BTreeSet::new();
    let entries = top.get("include").filter(|item| !item.is_null());
    for (pattern, item) in entries.map(|item| item.one_or_more(&mut rd.problems)).unwrap_or_default() {
        match paths::expand(&rd.root, pattern, rd.world.files) {
            Err(broken) => rd.problems.push(broken.at(&item.place())),
            Ok(paths) => {
                for path in paths.into_iter().filter(|path| seen.insert(path.clone())) {
                    documents.extend(load(&path, rd.shown.path(&path), Some(&item.place()), rd));
                }
            }
        }
    }
    documents
}

/// Every section, then what only shows in the whole.
fn whole(
    document: &Document,
    top: &Fields,
    catalog: &bases::CatalogSource,
    limits: limits::LimitsDraft,
    included: &[Document],
    rd: &mut SpecReader,
) -> Option<Spec> {
    let start = Place { file: document.file.clone(), span: 0..0 };
    let known = DeclaredNames::new(top);
    let problems = &mut rd.problems;
    sections::version(top.get("version"), problems);
    let registry = sections::registry(top.get("registry"), problems);
    let insecure_registries = sections::insecure_registries(top.get("insecure_registries"), problems);
    let tag = sections::tag(top, &start, problems);
    let bases = sections::bases(top.get("bases"), catalog, rd.world.arch, problems);
    let plans = sections::plans(top.get("plans"), tag.as_ref(), problems);
    let info_cmds = sections::info_cmds(top.get("all_info_cmds"), problems);
    let build = sections::build(top.get("build"), &rd.root, problems);
    rd.allow_urls = build.allow_urls.clone();
    let administrators = users::administrators(top.get("administrators"), problems);
    let mut users = users::users(top.get("users"), &limits, problems);
    let drafts = images::images(top.get("images"), registry.as_ref(), &known, rd);
    super::datahub::root(top.get("root"), &drafts, &known, &mut rd.problems);
    let projects = projects::projects(included, &mut users, &drafts, &known, rd);
    parents::check(&known, &drafts, &projects, &mut rd.problems);
    Some(Spec {
        root: rd.root.clone(),
        images_dir: rd.images_dir.clone(),
        registry,
        insecure_registries,
        include: patterns(top),
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

/// `include:` as written; what is wrong with it is said where it is followed.
fn patterns(top: &Fields) -> Vec<String> {
    let item = top.get("include").filter(|item| !item.is_null());
    let texts = item.map(|item| item.one_or_more(&mut Problems::default())).unwrap_or_default();
    texts.into_iter().map(|(text, _)| text.to_owned()).collect()
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
