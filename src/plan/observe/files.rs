//! Dockerfiles and contexts, read from disk: each context walked and hashed
//! once, however many images share it; and which images read what lies at a path.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::DockerfileSnapshot;
use crate::dockerfile::context::{self, Context, HashCache, SourcePath, Tree};
use crate::dockerfile::ignore::Ignore;
use crate::dockerfile::{
    self, Evaluated, Expectation, ExpectedParent, ImageUse, Inputs, ParsedDockerfile, Triggers,
};
use crate::host;
use crate::model::problem::{Place, Problem, SourceFile};
use crate::model::reference::{Reference, Repository};
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::{self, Spec};

/// Stands for a content tag that is not known yet.
const ANY_CONTENT: &str = "r-0000000000000000";

/// One image's Dockerfile, understood; its context is not read yet.
struct EvaluatedDockerfile {
    source: Arc<SourceFile>,
    spec: spec::Dockerfile,
    syntax: Option<String>,
    facts: ParsedDockerfile,
    evaluated: Evaluated,
    external: Vec<ImageUse>,
    ignore: Ignore,
}

/// Folder and ignore rules: images that agree in both share a context.
type Key = (PathBuf, String);

/// Each distinct context with what it holds.
type Contexts = HashMap<Key, (Arc<Context>, Arc<Tree>)>;

/// Images with a Dockerfile, by their node.
pub(super) type Dockerfiles = HashMap<NodeId, DockerfileSnapshot>;

/// What the files of all images say, and what is wrong with some.
pub(super) struct FilesRead {
    sound: Dockerfiles,
    wrong: Vec<(NodeId, Problem)>,
}

impl FilesRead {
    /// # Errors
    /// Something is wrong with any image's files.
    pub(super) fn all(self) -> Result<Dockerfiles, Vec<Problem>> {
        self.unless_wrong(|_| true)
    }

    /// # Errors
    /// Something is wrong with the files of one of these. What is wrong with
    /// others is theirs.
    pub(super) fn of(self, wanted: &[NodeId]) -> Result<Dockerfiles, Vec<Problem>> {
        let wanted: HashSet<NodeId> = wanted.iter().copied().collect();
        self.unless_wrong(|node| wanted.contains(&node))
    }

    fn unless_wrong(self, counts: impl Fn(NodeId) -> bool) -> Result<Dockerfiles, Vec<Problem>> {
        // Two plan variants of one image have the same mistakes.
        let mut known = HashSet::new();
        let mut is_new = |problem: &Problem| {
            let at = problem.place.as_ref().map(|place| (place.file.path.clone(), place.span.start));
            known.insert((at, problem.message.clone()))
        };
        let counted = self.wrong.into_iter().filter(|(node, _)| counts(*node)).map(|(_, problem)| problem);
        let distinct: Vec<Problem> = counted.filter(|problem| is_new(problem)).collect();
        if distinct.is_empty() { Ok(self.sound) } else { Err(distinct) }
    }
}

/// Reads the files of every image of the graph that has a Dockerfile.
/// `triggers`: what external bases leave for those that are built FROM them.
pub(super) fn read(
    spec: &Spec,
    graph: &Graph,
    platform: &str,
    hashes: &HashCache,
    triggers: &Triggers,
) -> FilesRead {
    let built = repositories(graph);
    let mut triggers = triggers.clone();
    let mut wrong = Vec::new();
    let mut reads = Vec::new();
    // Parents come first: what they leave is known for their children.
    for &node in graph.order() {
        let Some(dockerfile) = SpecEntry::of(spec, graph, node).dockerfile() else { continue };
        match understand(spec, graph, node, dockerfile, platform, &built, &triggers) {
            Ok(read) => {
                triggers.add_built(&content(graph.node(node).repository.as_ref()), &read.evaluated);
                reads.push((node, read));
            }
            Err(found) => wrong.extend(found.into_iter().map(|problem| (node, problem))),
        }
    }
    let contexts = contexts(&spec.root, &reads, hashes, &mut wrong);
    let mut broken: HashSet<NodeId> = wrong.iter().map(|(node, _)| *node).collect();
    for (node, read) in reads.iter().filter(|(node, _)| !broken.contains(node)) {
        let (_, tree) = &contexts[&key(read)];
        wrong.extend(missing(&spec.root, read, tree).map(|problem| (*node, problem)));
    }
    broken.extend(wrong.iter().map(|(node, _)| *node));
    let sound = reads.into_iter().filter(|(node, _)| !broken.contains(node));
    FilesRead { sound: sound.map(|(node, read)| (node, snapshot(read, &contexts))).collect(), wrong }
}

fn snapshot(read: EvaluatedDockerfile, contexts: &Contexts) -> DockerfileSnapshot {
    let (context, tree) = &contexts[&key(&read)];
    DockerfileSnapshot {
        text: read.source.text.as_str().into(),
        path: read.source.path.clone(),
        target: read.spec.target,
        syntax: read.syntax,
        facts: read.facts,
        context_digest: context::digest_of(tree, &read.evaluated.readable),
        evaluated: read.evaluated,
        external: read.external,
        context: Arc::clone(context),
        tree: Arc::clone(tree),
    }
}

/// Every repository this spec builds, for the check of FROM lines.
fn repositories(graph: &Graph) -> BTreeMap<Repository, String> {
    graph.nodes().filter_map(|node| Some((node.repository.clone()?, node.name.to_string()))).collect()
}

fn understand(
    spec: &Spec,
    graph: &Graph,
    node: NodeId,
    dockerfile: &spec::Dockerfile,
    platform: &str,
    built: &BTreeMap<Repository, String>,
    triggers: &Triggers,
) -> Result<EvaluatedDockerfile, Vec<Problem>> {
    let source = load(&spec.root, dockerfile)?;
    let facts = ParsedDockerfile::parse(&source)?;
    let expectation = expectation(spec, graph, node, built);
    let further: Vec<_> =
        expectation.further.iter().map(|parent| (parent.name.clone(), parent.given.clone())).collect();
    let mut args = graph.node(node).build_args.clone();
    args.extend(dockerfile::base_args(expectation.base.as_ref().map(|b| &b.given), &further));
    let inputs = Inputs { target: dockerfile.target.as_deref(), args: &args, platform, triggers };
    let evaluated = facts.evaluate(&inputs)?;
    let problems = evaluated.check_from(&expectation);
    if !problems.is_empty() {
        return Err(problems);
    }
    let ignore = context::load_ignore(&spec.root, &dockerfile.context, &dockerfile.file)
        .map_err(|error| vec![located(error, &dockerfile.place)])?;
    let syntax = facts.syntax().map(str::to_owned);
    let external = evaluated.external_images(&expectation).into_iter().cloned().collect();
    Ok(EvaluatedDockerfile { source, spec: dockerfile.clone(), syntax, facts, evaluated, external, ignore })
}

fn load(root: &Path, dockerfile: &spec::Dockerfile) -> Result<Arc<SourceFile>, Vec<Problem>> {
    let path = dockerfile.file.strip_prefix(root).unwrap_or(&dockerfile.file).to_owned();
    let problem = |why: String| {
        vec![
            Problem::new(format!("the Dockerfile {} cannot be read: {why}", path.display()))
                .at(&dockerfile.place),
        ]
    };
    let bytes = host::files::read_text(&dockerfile.file, Some(root), host::files::MOST_TEXT)
        .map_err(|error| problem(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| problem("it is not UTF-8".into()))?;
    Ok(Arc::new(SourceFile::new(path, text)))
}

/// What FROM and COPY --from should name. Content tags are not known before
/// recipes are, so any stands for them; both sides get the same.
fn expectation(
    spec: &Spec,
    graph: &Graph,
    node: NodeId,
    built: &BTreeMap<Repository, String>,
) -> Expectation {
    let mut parents = graph.parents(node).iter().map(|&parent| {
        let subject = SpecEntry::of(spec, graph, parent);
        let repository = graph.node(parent).repository.as_ref();
        let given = subject.external().cloned().unwrap_or_else(|| content(repository));
        ExpectedParent { name: subject.key().to_owned(), given, alias: None }
    });
    Expectation { base: parents.next(), further: parents.collect(), built: built.clone() }
}

fn content(repository: Option<&Repository>) -> Reference {
    repository.expect("what is not external is built here").with_tag(ANY_CONTENT)
}

fn key(read: &EvaluatedDockerfile) -> Key {
    (read.spec.context.clone(), read.ignore.canonical())
}

/// Each distinct context, read once, with all that any image can read of it.
/// The union is over the whole spec, not over one run: the engine keeps the
/// last copy and would drop what one run happens not to need. Where something
/// in it cannot be read, it is that of the images which can do without.
fn contexts(
    root: &Path,
    reads: &[(NodeId, EvaluatedDockerfile)],
    hashes: &HashCache,
    wrong: &mut Vec<(NodeId, Problem)>,
) -> Contexts {
    let mut groups: BTreeMap<Key, Vec<&(NodeId, EvaluatedDockerfile)>> = BTreeMap::new();
    for read in reads {
        groups.entry(key(&read.1)).or_default().push(read);
    }
    let mut contexts = HashMap::new();
    for (key, mut images) in groups {
        let mut context = scan(&images, hashes);
        if context.is_err() {
            images.retain(|image| match scan(&[image], hashes) {
                Ok(_) => true,
                Err(error) => {
                    wrong.push((image.0, in_context(root, &image.1, error)));
                    false
                }
            });
            if images.is_empty() {
                continue;
            }
            context = scan(&images, hashes);
        }
        match context {
            Ok(context) => drop(contexts.insert(key, context)),
            // Something changes there just now.
            Err(error) => {
                let problem = |(node, read): &&_| (*node, in_context(root, read, error.clone()));
                wrong.extend(images.iter().map(problem));
            }
        }
    }
    contexts
}

/// What an instruction copies and the context does not give.
fn missing<'r>(
    root: &'r Path,
    read: &'r EvaluatedDockerfile,
    tree: &'r Tree,
) -> impl Iterator<Item = Problem> + 'r {
    let gone = |(source, _): &&(SourcePath, Place)| !tree.gives(&[source.clone()].into(), "");
    read.evaluated.sources.iter().filter(gone).map(move |(source, place)| {
        let folder = read.spec.context.strip_prefix(root).unwrap_or(&read.spec.context).display();
        Problem::new(format!("there is no `{}` in the context {folder}", source.path))
            .at(place)
            .help("paths are relative to the context; `.dockerignore` may leave it out")
    })
}

/// A context with what any of these images can read of it; they all share it.
fn scan(
    images: &[&(NodeId, EvaluatedDockerfile)],
    hashes: &HashCache,
) -> Result<(Arc<Context>, Arc<Tree>), context::Error> {
    let first = &images[0].1;
    let readable = images.iter().flat_map(|(_, read)| read.evaluated.readable.iter().cloned()).collect();
    let context = Context::new(&first.spec.context, first.ignore.clone(), readable)?;
    let tree = context::scan_with(&context, hashes)?;
    Ok((Arc::new(context), Arc::new(tree)))
}

fn in_context(root: &Path, read: &EvaluatedDockerfile, error: context::Error) -> Problem {
    let folder = read.spec.context.strip_prefix(root).unwrap_or(&read.spec.context).display().to_string();
    let mut problem = located(error, &read.spec.place);
    problem.message = format!("in the context {folder}: {}", problem.message);
    problem
}

fn located(error: context::Error, place: &Place) -> Problem {
    let problem = Problem::from(error);
    if problem.place.is_none() { problem.at(place) } else { problem }
}

/// What a file is to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileRole {
    Dockerfile,
    /// Its context gives it to some instruction.
    Context,
    /// Says which files of the context count.
    IgnoreRules,
}

/// The images that read a file, or one below a folder, in the order of the
/// graph. `path` is absolute; a link counts as itself and as what it leads to.
pub(crate) fn readers(
    spec: &Spec,
    graph: &Graph,
    dockerfiles: &Dockerfiles,
    path: &Path,
) -> Vec<(NodeId, FileRole)> {
    let places = places(path);
    let mut readers = Vec::new();
    for &node in graph.order() {
        let (Some(snapshot), Some(dockerfile)) =
            (dockerfiles.get(&node), SpecEntry::of(spec, graph, node).dockerfile())
        else {
            continue;
        };
        let is = |file: &Path| places.iter().any(|place| file.starts_with(place));
        let ignore = context::ignore_file(&dockerfile.context, &dockerfile.file);
        if is(&dockerfile.file) {
            readers.push((node, FileRole::Dockerfile));
        } else if is_given(snapshot, &places) {
            readers.push((node, FileRole::Context));
        } else if ignore.is_some_and(|file| is(&file)) {
            readers.push((node, FileRole::IgnoreRules));
        }
    }
    readers
}

/// The path without links above it, and without any.
fn places(path: &Path) -> Vec<PathBuf> {
    let above = path.parent().and_then(|folder| folder.canonicalize().ok());
    let own = above.zip(path.file_name()).map(|(folder, name)| folder.join(name));
    own.into_iter().chain(path.canonicalize()).collect()
}

/// Whether the context gives one of these places to this image's instructions.
fn is_given(snapshot: &DockerfileSnapshot, places: &[PathBuf]) -> bool {
    let root = snapshot.context.root.as_path();
    places.iter().any(|place| {
        let below = match place.strip_prefix(root) {
            Ok(below) => below.to_str(),
            Err(_) => root.starts_with(place).then_some(""),
        };
        below.is_some_and(|below| snapshot.tree.gives(&snapshot.evaluated.readable, below))
    })
}
