//! What images and projects declare: `packages:`, the requirements files that
//! it names, and `use_case:`.
//!
//! Requirements files are read when the spec is read, so that their mistakes
//! are shown with its own. What a line means is known to `image::packages`;
//! here is which file it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fields::Fields;
use super::files::FileKind;
use super::load::SpecReader;
use super::parents::spot;
use super::reader::{Item, Problems, short};
use super::{Origins, paths};
use crate::image::packages::{self, LineContent, Packages, RequirementLine, parse_apt, parse_pip_from};
use crate::model::problem::{Place, Problem, SourceFile};

/// What is declared, and where each of it stands.
#[derive(Debug, Default)]
pub(crate) struct DeclaredPackages {
    pub(crate) packages: Packages,
    pub(crate) origins: Origins,
}

/// The keys that declare packages.
pub(crate) const KEYS: [&str; 2] = ["packages", "use_case"];

/// What an image or a project declares; `None`: it has no such key.
/// `jupyter`: where it asks for JupyterLab.
pub(crate) fn declared(
    fields: &Fields,
    jupyter: Option<Place>,
    rd: &mut SpecReader,
) -> Option<DeclaredPackages> {
    if jupyter.is_none() && !fields.has_any(&KEYS) {
        return None;
    }
    let mut lists = Lists::default();
    if let Some(item) = fields.get("packages") {
        lists.packages(item, rd);
    }
    let mut whole = lists.declared();
    for (name, item) in fields.one_or_more("use_case") {
        let Some(set) = use_case(name, item) else { continue };
        whole = lists.add_set(&whole, &set, &item.place());
    }
    // They are not among a project's packages, but pip gets them with these.
    if let Some(place) = &jupyter {
        lists.add_set(&whole, &packages::jupyter_packages(), place);
    }
    lists.check_hashes(&rd.problems);
    let origins = lists.apt.into_iter().chain(lists.pip).chain(lists.constraints).collect();
    Some(DeclaredPackages { packages: whole, origins })
}

/// What was read, each with its place.
#[derive(Default)]
struct Lists {
    apt: Origins,
    pip: Origins,
    constraints: Origins,
    require_hashes: Option<Place>,
}

impl Lists {
    fn packages(&mut self, item: Item, rd: &mut SpecReader) {
        let fields = item.fields(&["apt", "pip", "requirements"]);
        self.apt = list(&fields, "apt", parse_apt, "Debian package");
        self.pip = list(&fields, "pip", |text| parse_pip_from(text, &rd.allow_urls), "pip requirement");
        for (path, item) in fields.one_or_more("requirements") {
            let read = requirements(path, item, rd);
            self.pip.extend_from_slice(&read.pip);
            self.constraints.extend_from_slice(&read.constraints);
            self.require_hashes = self.require_hashes.take().or_else(|| read.require_hashes.clone());
        }
    }

    fn declared(&self) -> Packages {
        let texts = |list: &Origins| list.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        Packages::new(texts(&self.apt), texts(&self.pip)).constrained(texts(&self.constraints))
    }

    /// Adds what of a set is not asked for already.
    fn add_set(&mut self, before: &Packages, set: &Packages, place: &Place) -> Packages {
        let whole = before.with_set(set);
        let new = |list: &[String], before: &[String]| -> Origins {
            let new = list.iter().filter(|text| !before.contains(text));
            new.map(|text| (text.clone(), place.clone())).collect()
        };
        self.apt.extend(new(&whole.apt, &before.apt));
        self.pip.extend(new(&whole.pip, &before.pip));
        whole
    }

    /// pip takes hashes for everything or for nothing, and with them exact
    /// versions only.
    fn check_hashes(&self, problems: &Problems) {
        let mut lines = self.pip.iter().chain(&self.constraints);
        let hashed = lines.find(|(text, _)| packages::is_hashed(text)).map(|(_, place)| place);
        let Some(first) = self.require_hashes.as_ref().or(hashed) else { return };
        for (text, place) in &self.pip {
            let name = short(text.split(" --hash=").next().unwrap_or_default());
            let (message, help) = if packages::is_from_git(text) {
                (
                    format!(
                        "`{name}` comes from git and can have no hash, and {} makes pip demand one of all",
                        spot(first)
                    ),
                    "name a wheel of it with its hash, or drop all hashes",
                )
            } else if !packages::is_hashed(text) {
                (
                    format!("`{name}` has no hash, and {} makes pip demand one of all", spot(first)),
                    "write it into a requirements file with its version and `--hash=sha256:…`, or drop all hashes",
                )
            } else if !packages::is_pinned(text) {
                (
                    format!("`{name}` has a hash and no exact version"),
                    "pip demands `==` beside hashes; write the version that the hash is of",
                )
            } else {
                continue;
            };
            problems.push(Problem::new(message).at(place).help(help));
        }
    }
}

fn use_case(name: &str, item: Item) -> Option<Packages> {
    let found = packages::use_case(name);
    if found.is_none() {
        let all: Vec<&str> = packages::use_cases().collect();
        let near = item.near(name, all.iter().copied());
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        item.report(format!("no use case `{}`", short(name)), format!("{near}there are {}", all.join(", ")));
    }
    found
}

fn list(fields: &Fields, key: &str, parse: impl Fn(&str) -> Result<String, String>, what: &str) -> Origins {
    let mut normal = Origins::new();
    for (text, item) in fields.strings(key) {
        match parse(text) {
            Ok(text) => normal.push((text, item.place())),
            Err(why) => item.report(format!("`{}` is no {what}", short(text)), why),
        }
    }
    normal
}

/// Largest file, and largest sum over the files of one image: what pip gets
/// of it goes to the engine in one message.
const MAX_FILE: u64 = 1 << 20;
/// Largest sum over the images of a spec.
const MAX_ALL: usize = 64 << 20;
/// Files that name files that name files.
const MAX_DEPTH: usize = 10;
/// Files of one image.
const MAX_FILES: usize = 100;

/// Mistakes in files that are reported: who names a file that is none of
/// requirements need not see every line of it.
const MAX_REPORTED: usize = 50;

/// What files ask for, each line with where it stands.
#[derive(Debug, Default)]
struct Requirements {
    pip: Origins,
    constraints: Origins,
    /// Where `--require-hashes` stands.
    require_hashes: Option<Place>,
}

/// What was read already: many images may name one file, whose mistakes are
/// reported once.
#[derive(Default)]
pub(crate) struct RequirementsCache {
    files: BTreeMap<PathBuf, Arc<SourceFile>>,
    whole: BTreeMap<PathBuf, Arc<Requirements>>,
    given: usize,
    /// Places of mistakes that were reported.
    reported: BTreeSet<(PathBuf, usize)>,
}

/// The requirements of the file that the spec names at `item`; empty if it
/// cannot be read, which is reported.
fn requirements(path: &str, item: Item, rd: &mut SpecReader) -> Arc<Requirements> {
    let key = rd.root.join(path);
    let known = rd.requirements.whole.get(&key).cloned();
    let whole = known.unwrap_or_else(|| {
        let (open, done) = (Vec::new(), BTreeSet::new());
        let mut walk = RequirementsWalk { rd, open, done, size: 0, found: Requirements::default() };
        walk.file(path, false, &item.place());
        let found = Arc::new(walk.found);
        rd.requirements.whole.insert(key, found.clone());
        found
    });
    let cache = &mut rd.requirements;
    let lines = whole.pip.iter().chain(&whole.constraints);
    let before = cache.given;
    cache.given += lines.map(|(line, _)| line.len()).sum::<usize>();
    if cache.given > MAX_ALL && before <= MAX_ALL {
        let help = "put what many images need into one image that they are based on";
        item.report("the requirements of all images together are over 64 MiB", help);
    }
    if cache.given > MAX_ALL { Arc::default() } else { whole }
}

/// A file that is being read.
struct OpenFile {
    real: PathBuf,
    /// Below the root, as it was named.
    below: PathBuf,
    /// Where it was named.
    named: Place,
}

struct RequirementsWalk<'w, 'f> {
    rd: &'w mut SpecReader<'f>,
    open: Vec<OpenFile>,
    /// Files read to their end, and whether as constraints.
    done: BTreeSet<(PathBuf, bool)>,
    size: usize,
    found: Requirements,
}

impl RequirementsWalk<'_, '_> {
    /// Reads a file that is named at `named`, by its path below the root.
    fn file(&mut self, path: &str, constraints: bool, named: &Place) {
        let (below, real) = match paths::find(&self.rd.root, path, FileKind::File, self.rd.context.files) {
            Ok(found) => found,
            Err(broken) => return self.wrong(broken.message, broken.help, named),
        };
        if self.open.iter().any(|open| open.real == real) {
            let names: Vec<String> = self.open.iter().map(|open| open.below.display().to_string()).collect();
            let message = format!("`{}` includes itself: {} → {0}", below.display(), names.join(" → "));
            return self.wrong(message, "remove one of these lines", named);
        }
        if !self.done.insert((real.clone(), constraints)) {
            return;
        }
        if self.open.len() >= MAX_DEPTH || self.done.len() > MAX_FILES {
            let message = format!("more than {MAX_DEPTH} files within each other, or {MAX_FILES} in all");
            return self.wrong(message, "write what they ask for into fewer files", named);
        }
        let Some(source) = self.source(&real, &below, named) else { return };
        self.open.push(OpenFile { real, below, named: named.clone() });
        for line in packages::lines(&source.text, constraints, &self.rd.allow_urls) {
            self.line(line, constraints, &source);
        }
        self.open.pop();
    }

    fn line(&mut self, line: RequirementLine, constraints: bool, source: &Arc<SourceFile>) {
        let place = Place { file: source.clone(), span: line.span };
        match line.content {
            Ok(LineContent::Requirement(text)) if constraints => self.found.constraints.push((text, place)),
            Ok(LineContent::Requirement(text)) => self.found.pip.push((text, place)),
            Ok(LineContent::RequireHashes) => self.found.require_hashes = Some(place),
            Ok(LineContent::File { path, constraints }) => {
                let folder = self.open.last().and_then(|open| open.below.parent()).unwrap_or(Path::new(""));
                let path = if Path::new(&path).is_absolute() { path.into() } else { folder.join(&path) };
                self.file(&path.to_string_lossy(), constraints, &place);
            }
            Err(refused) => self.wrong(refused.message, refused.help, &place),
        }
    }

    fn source(&mut self, real: &Path, below: &Path, named: &Place) -> Option<Arc<SourceFile>> {
        let known = self.rd.requirements.files.get(real).cloned();
        let source = match known {
            Some(source) => source,
            None => {
                let source = self.rd.requirements_text(real, MAX_FILE).map_err(|(message, help)| {
                    self.wrong(format!("`{}` {message}", below.display()), help, named);
                });
                let source = source.ok()?;
                self.rd.requirements.files.insert(real.to_owned(), source.clone());
                source
            }
        };
        self.size += source.text.len();
        if self.size as u64 > MAX_FILE {
            self.wrong("the files of one image have over 1 MiB together", "name fewer packages", named);
            return None;
        }
        Some(source)
    }

    /// A problem in a file also says who named the file, down to the spec.
    fn wrong(&mut self, message: impl Into<String>, help: impl Into<String>, place: &Place) {
        let mut message = message.into();
        let mut from = self.open.iter().rev().map(|open| &open.named).peekable();
        if from.peek().is_some() {
            let reported = &mut self.rd.requirements.reported;
            if reported.len() >= MAX_REPORTED || !reported.insert((place.file.path.clone(), place.span.start))
            {
                return;
            }
            let names: Vec<String> = from.map(spot).collect();
            message = format!("{message} (read from {})", names.join(", "));
        }
        self.rd.problems.push(Problem::new(message).at(place).help(help.into()));
    }
}
