//! From what a person typed to what they ask about.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::SpecFiles;
use crate::image::recipe;
use crate::model::human;
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::spec::SpecEntry;
use crate::spec::graph::{NodeId, NodeKind};
use crate::spec::nearest;

/// What may be asked about, in the order in which a name is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TargetKind {
    Image,
    Base,
    File,
    Arg,
}

impl TargetKind {
    pub(crate) const ALL: [Self; 4] = [Self::Image, Self::Base, Self::File, Self::Arg];

    /// As `--as` takes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Base => "base",
            Self::File => "file",
            Self::Arg => "arg",
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file or folder",
            Self::Arg => "build arg",
            other => other.word(),
        })
    }
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Target {
    Image {
        name: NodeName,
        #[serde(skip)]
        node: NodeId,
    },
    /// An image that is not built here.
    Base { reference: Reference },
    /// Absolute.
    File { path: PathBuf },
    Arg {
        name: String,
        /// The new one; `None`: any other than now.
        value: Option<String>,
    },
}

impl Target {
    /// As it may be shown: without a value that looks secret.
    pub(super) fn masked(self) -> Self {
        match self {
            Self::Arg { value: Some(value), name } => {
                Self::Arg { value: Some(recipe::masked(&name, &value)), name }
            }
            other => other,
        }
    }
}

/// What a name means, and what else it could mean. `file` is the path it is
/// on this disk, if there is something.
///
/// # Errors
/// It means nothing; says what was tried and what is near.
pub(crate) fn ask(
    stack: &SpecFiles<'_>,
    text: &str,
    file: Option<&Path>,
    only: Option<TargetKind>,
) -> Result<(Target, Vec<TargetKind>), Problem> {
    let mut found = Vec::new();
    for sort in TargetKind::ALL.into_iter().filter(|sort| only.is_none_or(|only| only == *sort)) {
        let asked = match sort {
            TargetKind::Image => image(stack, text)?,
            TargetKind::Base => base(stack, text).map(|reference| Target::Base { reference }),
            TargetKind::File => file.map(|path| Target::File { path: path.to_owned() }),
            TargetKind::Arg => arg(stack, text),
        };
        found.extend(asked.map(|asked| (asked, sort)));
    }
    if found.is_empty() {
        return Err(unknown(stack, text, only));
    }
    let (asked, _) = found.remove(0);
    Ok((asked, found.into_iter().map(|(_, sort)| sort).collect()))
}

/// What to say of a name that could have meant something else.
pub(crate) fn otherwise(text: &str, others: &[TargetKind]) -> Option<String> {
    let ways: Vec<String> =
        others.iter().map(|sort| format!("the {sort} of that name: --as {}", sort.word())).collect();
    (!ways.is_empty()).then(|| format!("`{text}` could also mean {}", ways.join(", ")))
}

/// A node that is built here.
fn image(stack: &SpecFiles<'_>, text: &str) -> Result<Option<Target>, Problem> {
    match stack.graph.find(text) {
        Ok(node) => {
            let of = stack.graph.node(node);
            let base = matches!(of.kind, NodeKind::Base(_));
            Ok((!base).then(|| Target::Image { name: of.name.clone(), node }))
        }
        // It is one of several people's: that is known better than anything else.
        Err(problem) if projects(stack).any(|name| name == text) => Err(problem),
        Err(_) => Ok(None),
    }
}

fn projects<'a>(stack: &SpecFiles<'a>) -> impl Iterator<Item = &'a str> {
    stack.graph.nodes().filter_map(|node| match &node.kind {
        NodeKind::Project(_, name) => Some(name.as_str()),
        _ => None,
    })
}

/// A base by its name in the spec, or any reference that something names.
fn base(stack: &SpecFiles<'_>, text: &str) -> Option<Reference> {
    if let Ok(node) = stack.graph.find(text)
        && let Some(reference) = SpecEntry::of(stack.spec, stack.graph, node).external()
    {
        return Some(reference.clone());
    }
    let asked = Reference::parse(text).ok()?;
    references(stack).find(|known| is(known, &asked)).map(|_| asked)
}

/// Every image that is not built here and that something names.
fn references<'a>(stack: &SpecFiles<'a>) -> impl Iterator<Item = &'a Reference> {
    let bases = stack.spec.bases.iter().map(|base| base.source.reference());
    let named = stack.dockerfiles.values().flat_map(|seen| &seen.external);
    bases.chain(named.map(|image| &image.reference))
}

/// Whether a reference of the stack is the one asked about: a pinned one is
/// also meant by its tag.
pub(super) fn is(known: &Reference, asked: &Reference) -> bool {
    known.canonical() == asked.canonical()
        || (asked.digest().is_none()
            && known.repository() == asked.repository()
            && known.tag() == asked.tag())
}

/// A build arg that the spec gives or a Dockerfile declares.
fn arg(stack: &SpecFiles<'_>, text: &str) -> Option<Target> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    args(stack).contains(name).then(|| Target::Arg { name: name.to_owned(), value: value.map(str::to_owned) })
}

/// Build args that a person can set; what an image is based on is said by its parents.
fn args<'a>(stack: &SpecFiles<'a>) -> BTreeSet<&'a str> {
    let given = stack.graph.nodes().flat_map(|node| node.build_args.keys());
    let declared = stack.dockerfiles.values().flat_map(|seen| &seen.evaluated.declared_args);
    given.chain(declared).map(String::as_str).filter(|name| !is_ours(name)).collect()
}

fn is_ours(arg: &str) -> bool {
    arg == "BASE_TAG" || arg == "BASE_IMAGE" || arg.starts_with("BASE_IMAGE_")
}

fn unknown(stack: &SpecFiles<'_>, text: &str, only: Option<TargetKind>) -> Problem {
    let shown = text.escape_debug();
    let problem = Problem::new(match only {
        None => format!("`{shown}` is no image, no base, no file or folder and no build arg"),
        Some(TargetKind::File) => format!("there is no file or folder `{shown}`"),
        Some(sort) => format!("there is no {sort} `{shown}`"),
    });
    let name = text.split('=').next().unwrap_or_default();
    if is_ours(name) && only.is_none_or(|only| only == TargetKind::Arg) {
        return problem
            .help(format!("`{name}` is given to Dockerfiles by what the image is based on; ask for that"));
    }
    if let Some(near) = near(stack, text, only) {
        return problem.help(format!("did you mean `{near}`?"));
    }
    let graph = stack.graph.find(text).err().and_then(|problem| problem.help);
    problem.help(match only {
        Some(TargetKind::File) => "paths are relative to where you stand".into(),
        Some(TargetKind::Base) => {
            format!("the bases are {}", listed(references(stack).map(ToString::to_string)))
        }
        Some(TargetKind::Arg) => {
            format!("the build args are {}", listed(args(stack).iter().map(ToString::to_string)))
        }
        None | Some(TargetKind::Image) => {
            graph.unwrap_or_else(|| "`ds01-build graph` lists all names".into())
        }
    })
}

fn near(stack: &SpecFiles<'_>, text: &str, only: Option<TargetKind>) -> Option<String> {
    let wanted = |sort| only.is_none_or(|only| only == sort);
    let mut known = BTreeSet::new();
    for node in stack.graph.nodes() {
        let sort = if matches!(node.kind, NodeKind::Base(_)) { TargetKind::Base } else { TargetKind::Image };
        if wanted(sort) {
            known.insert(node.name.to_string());
        }
    }
    if wanted(TargetKind::Image) {
        known.extend(projects(stack).map(str::to_owned));
    }
    if wanted(TargetKind::Base) {
        // Whoever leaves the tag out means the one there is.
        let bare = |known: &Reference| known.repository().as_str() == text;
        if let Some(tagged) = references(stack).find(|known| bare(known)) {
            return Some(tagged.to_string());
        }
        known.extend(references(stack).map(ToString::to_string));
    }
    if wanted(TargetKind::Arg) {
        known.extend(args(stack).into_iter().map(str::to_owned));
    }
    let text = if wanted(TargetKind::Arg) { text.split('=').next().unwrap_or(text) } else { text };
    nearest(text, known.iter().map(String::as_str)).map(str::to_owned)
}

/// At most eight, each once, sorted.
fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect::<BTreeSet<_>>().into_iter().collect();
    if names.is_empty() { "none".into() } else { human::listed(&names, 8) }
}
