//! Which paths some instruction can read, wildcards and links included.

use std::collections::BTreeSet;

use crate::dockerfile::ignore::glob::{self, Element};

/// Links that one path may go through; the kernel's own limit.
const HOPS: usize = 40;

/// What lies at a path, as far as following links needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Dir,
    Link(String),
    File,
}

/// Somewhere to look: the disk, or a tree that was read from it.
pub(super) trait Look {
    /// What lies there; a link is not followed.
    fn seen(&self, path: &str) -> Option<Seen>;
    /// Names in a folder; `""` is the root.
    fn names(&self, folder: &str) -> Vec<String>;
}

/// How a path stands to what can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cover {
    No,
    /// A folder on the way to something readable.
    AttachMethod,
    /// Readable, with all below it.
    Yes,
}

/// Readable paths, compiled.
pub(super) struct Readable(Vec<Vec<Element>>);

impl Readable {
    /// Compiles paths as `Context::readable` has them, and adds what the links
    /// on the way point to. A path that is no pattern matches nothing.
    pub(crate) fn new(paths: &BTreeSet<String>, look: &impl Look) -> Self {
        Self(follow(paths, look).iter().filter_map(|path| elements(path)).collect())
    }

    /// How a path stands to them.
    pub(crate) fn cover(&self, path: &str) -> Cover {
        self.0.iter().map(|pattern| cover(pattern, path)).max().unwrap_or(Cover::No)
    }
}

fn elements(path: &str) -> Option<Vec<Element>> {
    if path == "." {
        return Some(Vec::new());
    }
    path.split('/').map(|element| Element::new(element).ok()).collect()
}

fn cover(pattern: &[Element], path: &str) -> Cover {
    let mut names = path.split('/');
    for element in pattern {
        match names.next() {
            None => return Cover::AttachMethod,
            Some(name) if !element.matches(name) => return Cover::No,
            Some(_) => {}
        }
    }
    Cover::Yes
}

/// BuildKit reads the source of a COPY through links, taking the context's
/// root for `/`. So a link on the way is readable, and what it points to.
fn follow(paths: &BTreeSet<String>, look: &impl Look) -> BTreeSet<String> {
    let mut found = paths.clone();
    let mut queue: Vec<(String, usize)> = paths.iter().map(|path| (path.clone(), 0)).collect();
    while let Some((path, hops)) = queue.pop() {
        for (link, target) in links(&path, look) {
            found.insert(glob::escape(&link));
            if hops < HOPS && found.insert(target.clone()) {
                queue.push((target, hops + 1));
            }
        }
    }
    found
}

/// The links that a path goes through first, each with the path that then
/// takes the place of this one.
fn links(path: &str, look: &impl Look) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let Some(elements) = elements(path) else { return links };
    let parts: Vec<&str> = path.split('/').collect();
    let mut folders = vec![String::new()];
    for (i, element) in elements.iter().enumerate() {
        let mut below = Vec::new();
        for at in folders.iter().flat_map(|folder| matching(folder, element, look)) {
            match look.seen(&at) {
                Some(Seen::Dir) => below.push(at),
                Some(Seen::Link(target)) => {
                    let target = pointed(&at, &target);
                    let rest = parts[i + 1..].join("/");
                    links.push((at, glob::rooted(&format!("{}/{rest}", glob::escape(&target)))));
                }
                Some(Seen::File) | None => {}
            }
        }
        folders = below;
    }
    links
}

fn matching(folder: &str, element: &Element, look: &impl Look) -> Vec<String> {
    let at = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    match element {
        Element::Name(name) => vec![at(name)],
        wild => look.names(folder).iter().filter(|n| wild.matches(n)).map(|n| at(n)).collect(),
    }
}

/// Where a link leads, seen from the root, which it cannot leave.
fn pointed(link: &str, target: &str) -> String {
    if target.starts_with('/') {
        return glob::rooted(target);
    }
    let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
    glob::rooted(&format!("{folder}/{target}"))
}
