//! Which images read what lies at a path.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::DockerfileSeen;
use crate::dockerfile::context::{self, Context, Entry};
use crate::model::problem::Problem;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// What a file is to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Dockerfile,
    /// Its context gives it to some instruction.
    Context,
    /// Says which files of the context count.
    IgnoreRules,
}

/// The images that read a file, or one below a folder, in the order of the
/// graph. `path` is absolute; a link counts as itself and as what it leads to.
///
/// # Errors
/// A context cannot be read any more.
pub(crate) fn readers(
    spec: &Spec,
    graph: &Graph,
    dockerfiles: &HashMap<NodeId, DockerfileSeen>,
    path: &Path,
) -> Result<Vec<(NodeId, Role)>, Problem> {
    let places = places(path);
    let mut listed = HashMap::new();
    let mut readers = Vec::new();
    for &node in graph.order() {
        let (Some(seen), Some(dockerfile)) =
            (dockerfiles.get(&node), SpecEntry::of(spec, graph, node).dockerfile())
        else {
            continue;
        };
        let is = |file: &Path| places.iter().any(|place| file.starts_with(place));
        let ignore = context::ignore_file(&dockerfile.context, &dockerfile.file);
        if is(&dockerfile.file) {
            readers.push((node, Role::Dockerfile));
        } else if given(seen, &places, &mut listed)? {
            readers.push((node, Role::Context));
        } else if ignore.is_some_and(|file| is(&file)) {
            readers.push((node, Role::IgnoreRules));
        }
    }
    Ok(readers)
}

/// The path without links above it, and without any.
fn places(path: &Path) -> Vec<PathBuf> {
    let above = path.parent().and_then(|folder| folder.canonicalize().ok());
    let own = above.zip(path.file_name()).map(|(folder, name)| folder.join(name));
    own.into_iter().chain(path.canonicalize()).collect()
}

/// Whether the context gives one of these places to this image's instructions.
fn given<'a>(
    seen: &'a DockerfileSeen,
    places: &[PathBuf],
    listed: &mut HashMap<&'a str, Vec<Entry>>,
) -> Result<bool, Problem> {
    let context: &Context = &seen.context;
    for place in places {
        let below = match place.strip_prefix(&context.root) {
            Ok(below) => below.to_str(),
            Err(_) => context.root.starts_with(place).then_some(""),
        };
        let Some(below) = below else { continue };
        if !listed.contains_key(context.id.as_str()) {
            listed.insert(&context.id, context.entries().map_err(Problem::from)?);
        }
        if context.gives(&listed[context.id.as_str()], &seen.evaluated.readable, below) {
            return Ok(true);
        }
    }
    Ok(false)
}
