//! Requirements files of images and projects, with all that they name: read
//! when the spec is read, so that their mistakes are shown with its own.
//!
//! What a line means is in `packages`; here is which file it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::FileKind;
use super::paths;
use super::read::SpecReader;
use crate::image::packages::{self, LineContent, RequirementLine};
use crate::model::problem::{Place, Problem, SourceFile};

/// Largest file, and largest sum over the files of one image: what pip gets
/// of it goes to the engine in one message.
const MAX_FILE: u64 = 1 << 20;
/// Largest sum over the images of a spec.
const MAX_ALL: usize = 64 << 20;
/// Files that name files that name files.
const MAX_DEPTH: usize = 10;
/// Files of one image.
const MAX_FILES: usize = 100;

/// Mistakes in files that are told: who names a file that is none of
/// requirements need not see every line of it.
const MAX_REPORTED: usize = 50;

/// What files ask for, each line with where it stands.
#[derive(Debug, Default)]
pub(crate) struct Requirements {
    pub(crate) pip: Vec<(String, Place)>,
    pub(crate) constraints: Vec<(String, Place)>,
    /// Where `--require-hashes` stands.
    pub(crate) require_hashes: Option<Place>,
}

/// What was read already: many images may name one file, whose mistakes are
/// told once.
#[derive(Default)]
pub(crate) struct RequirementsCache {
    files: BTreeMap<PathBuf, Arc<SourceFile>>,
    whole: BTreeMap<PathBuf, Arc<Requirements>>,
    given: usize,
    /// Places of mistakes that were told.
    reported: BTreeSet<(PathBuf, usize)>,
}

/// The requirements of the file that the spec names at `place`; empty if it
/// cannot be read, which is told.
pub(crate) fn read(path: &str, place: &Place, rd: &mut SpecReader) -> Arc<Requirements> {
    let key = rd.root.join(path);
    let known = rd.requirements.whole.get(&key).cloned();
    let whole = known.unwrap_or_else(|| {
        let mut walk = RequirementsWalk {
            rd,
            open: Vec::new(),
            done: BTreeSet::new(),
            size: 0,
            found: Requirements::default(),
        };
        walk.file(path, false, place);
        let found = Arc::new(walk.found);
        rd.requirements.whole.insert(key, found.clone());
        found
    });
    let shelf = &mut rd.requirements;
    let lines = whole.pip.iter().chain(&whole.constraints);
    let before = shelf.given;
    shelf.given += lines.map(|(line, _)| line.len()).sum::<usize>();
    if shelf.given > MAX_ALL && before <= MAX_ALL {
        let problem = Problem::new("the requirements of all images together are over 64 MiB").at(place);
        rd.problems.push(problem.help("put what many images need into one image that they stand on"));
    }
    if shelf.given > MAX_ALL { Arc::default() } else { whole }
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
        let (below, real) = match paths::find(&self.rd.root, path, FileKind::File, self.rd.world.files) {
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
                let source = self.rd.text(real, MAX_FILE).map_err(|(message, help)| {
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
            let line = |place: &Place| format!("{}:{}", place.file.path.display(), place.line_column().0);
            let names: Vec<String> = from.map(line).collect();
            message = format!("{message} (read from {})", names.join(", "));
        }
        self.rd.problems.push(Problem::new(message).at(place).help(help.into()));
    }
}
