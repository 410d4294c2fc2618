//! Which paths of a context some instruction can read: wildcards, what is
//! excluded, and links included.
//!
//! Knows paths and patterns; what lies where it asks a [`FileTree`].

use std::collections::BTreeSet;

use crate::dockerfile::ignore::{self, Element, Ignore};

/// A path that an instruction reads, with all below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourcePath {
    /// Relative to the context, `/`-separated, wildcards kept; `.` means all.
    pub(crate) path: String,
    /// `**` in it matches any depth (`--parents`).
    pub(crate) deep: bool,
    /// Patterns of what is left out below it (`--exclude`), seen from there.
    pub(crate) excluded: Vec<String>,
}

impl From<&str> for SourcePath {
    fn from(path: &str) -> Self {
        Self { path: path.to_owned(), deep: false, excluded: Vec::new() }
    }
}

/// Links that one path may go through; the kernel's own limit.
const HOPS: usize = 40;

/// What lies at a path, as far as following links needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Dir,
    Link(String),
    File,
}

/// Where paths are followed: the disk, or a tree that was read from it.
pub(super) trait FileTree {
    /// What lies there; a link is not followed.
    fn kind(&self, path: &str) -> Option<FileKind>;
    /// Names in a folder; `""` is the root.
    fn names(&self, folder: &str) -> Vec<String>;
}

/// How a path stands to what can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coverage {
    No,
    /// A folder on the way to something readable.
    OnTheWay,
    /// Readable, with all below it.
    Yes,
}

/// Readable paths, compiled.
pub(super) struct Readable(Vec<Pattern>);

struct Pattern {
    elements: Vec<PathElement>,
    excluded: Ignore,
}

/// What an element of a path can match.
enum PathElement {
    One(Element),
    /// `**`: any number of names.
    Deep,
}

/// More `**` than this in one path: what follows is not looked at, and all is
/// taken to be readable there.
const DEEPEST: usize = 3;

impl Readable {
    /// Compiles paths as `Context::readable` has them, and adds what the links
    /// on the way point to. A path that is no pattern matches nothing.
    pub(crate) fn new(paths: &BTreeSet<SourcePath>, tree: &impl FileTree) -> Self {
        let pattern = |source: &SourcePath| {
            let excluded = Ignore::of(&source.excluded).unwrap_or_default();
            Some(Pattern { elements: elements(source)?, excluded })
        };
        Self(follow(paths, tree).iter().filter_map(pattern).collect())
    }

    /// How a path stands to them.
    pub(crate) fn coverage(&self, path: &str) -> Coverage {
        let names: Vec<&str> = path.split('/').collect();
        self.0.iter().map(|pattern| pattern.coverage(&names)).max().unwrap_or(Coverage::No)
    }

    /// Whether not all has to be readable that lies below something readable.
    pub(crate) fn excludes(&self) -> bool {
        self.0.iter().any(|pattern| !pattern.excluded.is_empty())
    }
}

impl Pattern {
    fn coverage(&self, names: &[&str]) -> Coverage {
        let coverage = coverage(&self.elements, names);
        if coverage < Coverage::Yes || self.excluded.is_empty() {
            return coverage;
        }
        // What is excluded is seen from what the elements matched.
        let below = names[self.elements.len()..].join("/");
        match () {
            () if below.is_empty() || !self.excluded.ignores(&below) => Coverage::Yes,
            () if self.excluded.may_skip(&below) => Coverage::No,
            () => Coverage::OnTheWay,
        }
    }
}

fn elements(source: &SourcePath) -> Option<Vec<PathElement>> {
    if source.path == "." {
        return Some(Vec::new());
    }
    let mut elements = Vec::new();
    let mut deep = 0;
    for element in source.path.split('/') {
        if !(source.deep && element.contains("**")) {
            elements.push(PathElement::One(Element::new(element).ok()?));
            continue;
        }
        if !matches!(elements.last(), Some(PathElement::Deep)) {
            elements.push(PathElement::Deep);
            deep += 1;
        }
        // `a**b` matches what `**` and something does.
        if element != "**" || deep > DEEPEST {
            break;
        }
    }
    Some(elements)
}

fn coverage(elements: &[PathElement], names: &[&str]) -> Coverage {
    match (elements.split_first(), names.split_first()) {
        (None, _) => Coverage::Yes,
        (Some(_), None) => Coverage::OnTheWay,
        (Some((PathElement::One(element), rest)), Some((name, below))) => {
            if element.matches(name) {
                coverage(rest, below)
            } else {
                Coverage::No
            }
        }
        (Some((PathElement::Deep, rest)), Some(_)) => {
            let any = (0..=names.len()).map(|taken| coverage(rest, &names[taken..]));
            any.max().unwrap_or(Coverage::No)
        }
    }
}

/// BuildKit reads the source of a COPY through links, taking the context's
/// root for `/`. So a link on the way is readable, and what it points to.
fn follow(paths: &BTreeSet<SourcePath>, tree: &impl FileTree) -> BTreeSet<SourcePath> {
    let mut found = paths.clone();
    let mut queue: Vec<(SourcePath, usize)> = paths.iter().map(|path| (path.clone(), 0)).collect();
    while let Some((path, hops)) = queue.pop() {
        for Link { at, instead } in links(&path, tree) {
            found.insert(SourcePath::from(ignore::escape(&at).as_str()));
            // What is excluded there is not looked at.
            let instead = SourcePath { path: instead, deep: path.deep, excluded: Vec::new() };
            if hops < HOPS && found.insert(instead.clone()) {
                queue.push((instead, hops + 1));
            }
        }
    }
    found
}

/// Whether a wildcard is looked for through a link. BuildKit finds nothing
/// there when it compares a step with an earlier one, and all when it runs it:
/// it would take any later content for the first.
pub(super) fn is_wild_through_link(paths: &BTreeSet<SourcePath>, tree: &impl FileTree) -> bool {
    paths.iter().any(|path| {
        let count = path.path.split('/').count();
        let wild = |element: &PathElement| !matches!(element, PathElement::One(Element::Name(_)));
        elements(path).is_some_and(|elements| elements.iter().any(wild))
            && links(path, tree).iter().any(|link| link.at.split('/').count() < count)
    })
}

/// A link that a path goes through.
struct Link {
    at: String,
    /// The path that then takes the place of the first.
    instead: String,
}

/// The links that a path goes through first.
fn links(path: &SourcePath, tree: &impl FileTree) -> Vec<Link> {
    let mut links = Vec::new();
    let Some(elements) = elements(path) else { return links };
    let parts: Vec<&str> = path.path.split('/').collect();
    let mut folders = vec![String::new()];
    for (i, element) in elements.iter().enumerate() {
        // What `**` finds is not looked for through links.
        let PathElement::One(element) = element else { break };
        let mut below = Vec::new();
        for at in folders.iter().flat_map(|folder| matching(folder, element, tree)) {
            match tree.kind(&at) {
                Some(FileKind::Dir) => below.push(at),
                Some(FileKind::Link(target)) => {
                    let target = pointed(&at, &target);
                    let rest = parts[i + 1..].join("/");
                    let instead = ignore::rooted(&format!("{}/{rest}", ignore::escape(&target)));
                    links.push(Link { at, instead });
                }
                Some(FileKind::File) | None => {}
            }
        }
        folders = below;
    }
    links
}

fn matching(folder: &str, element: &Element, tree: &impl FileTree) -> Vec<String> {
    let at = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    match element {
        Element::Name(name) => vec![at(name)],
        wild => tree.names(folder).iter().filter(|n| wild.matches(n)).map(|n| at(n)).collect(),
    }
}

/// Where a link leads, seen from the root, which it cannot leave.
fn pointed(link: &str, target: &str) -> String {
    if target.starts_with('/') {
        return ignore::rooted(target);
    }
    let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
    ignore::rooted(&format!("{folder}/{target}"))
}
