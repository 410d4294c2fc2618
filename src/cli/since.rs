//! `--since REV`: what differs from a revision, told to people.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::error::CliError;
use super::session::Session;
use super::signals::Signals;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::plan::observe::HashCache;
use crate::plan::since::{self, Difference, Failed, Images, Unknown};
use crate::spec::files::Disk;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::{self, Lock};
use crate::spec::{self, BaseSource, Spec};

/// The nodes that differ from a revision, with what is based on them; `None`:
/// it cannot be known, which has been said.
///
/// # Errors
/// The revision is none, or the files as they are now have problems.
pub(crate) async fn changed(
    session: &Session,
    signals: &Signals,
    spec: &Spec,
    graph: &Graph,
    revision: &str,
) -> Result<Option<Vec<NodeId>>, CliError> {
    if revision.is_empty() || revision.starts_with('-') {
        let problem = Problem::new(format!("`{revision}` is no revision of git"));
        return Err(CliError::usage(problem.help("say one such as HEAD~1, main, a tag or a commit")));
    }
    let lock = session.pins()?.lock;
    // From here on there is a folder to be removed.
    let working = signals.working();
    match then(session, spec, &lock, revision, working.token()).await {
        Ok((then, lock)) => {
            let now = since::images(spec, graph, &lock, session.hashes()).map_err(CliError::problems)?;
            let difference = since::difference(graph, &now, &then);
            tell(session, graph, &difference, now.len(), revision);
            Ok(Some(difference.changed))
        }
        Err(Failed::Stopped) => Err(CliError::interrupted()),
        Err(Failed::Unknown(Unknown { why, help })) => {
            let help = help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
            session.output().note(&format!(
                "what changed since {revision} cannot be known, so everything is selected: {why}{help}"
            ));
            Ok(None)
        }
    }
}

/// What the files of the revision make of each image, and the pins of `lock`
/// to compare it with.
async fn then(
    session: &Session,
    spec: &Spec,
    lock: &Lock,
    revision: &str,
    stop: &CancellationToken,
) -> Result<(Images, Lock), Failed> {
    let file = below(session, spec).ok_or_else(|| unknown("the spec lies outside its own folder".into()))?;
    let checkout = since::checkout(&spec.root, revision, stop).await?;
    if let Some(unknown) = since::in_submodule(spec, &checkout) {
        return Err(Failed::Unknown(unknown));
    }
    let (root, bases, lock) = (checkout.root.clone(), session.bases.clone(), lock.clone());
    let (host, people) = (session.host.clone(), session.people.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let world = spec::SpecContext { files: &Disk, people: people.as_ref(), arch: &host };
        read(&root, &file, &world, &bases, lock)
    });
    tokio::select! {
        () = stop.cancelled() => Err(Failed::Stopped),
        // A panic of ours is not to be taken for a state of the files.
        read = reading => read.expect("reading does not panic").map_err(|problems| unreadable(revision, &problems)),
    }
}

/// The spec's path below its root.
fn below(session: &Session, spec: &Spec) -> Option<PathBuf> {
    let path = session.here.join(session.spec_file.as_ref()?);
    let folder = path.parent()?.canonicalize().ok()?;
    Some(folder.strip_prefix(&spec.root).ok()?.join(path.file_name()?))
}

fn read(
    root: &Path,
    file: &Path,
    world: &spec::SpecContext<'_>,
    bases: &BTreeMap<String, Reference>,
    mut now: Lock,
) -> Result<(Images, Lock), Vec<Problem>> {
    let path = lock_file::beside(&root.join(file));
    let mut then = lock_file::load(&path, &lock_file::beside(file))?;
    // A base that was not pinned yet did not change by being pinned.
    let names = |lock: &Lock| lock.iter().map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>();
    let (before, after) = (names(&then), names(&now));
    then.retain(|name| after.contains(name));
    now.retain(|name| before.contains(name));
    let mut spec = spec::read(root, file, world)?;
    for base in &mut spec.bases {
        if let Some(image) = bases.get(base.name.as_str()) {
            base.source = BaseSource::Image(image.clone());
        }
    }
    // The folder has a new name each time: nothing of it is worth keeping.
    Ok((since::images(&spec, &Graph::build(&spec), &then, &HashCache::default())?, now))
}

fn unreadable(revision: &str, problems: &[Problem]) -> Failed {
    let first = problems.first().map_or_else(String::new, |problem| match &problem.place {
        Some(place) => {
            format!("{}:{} {}", place.file.path.display(), place.line_column().0, problem.message)
        }
        None => problem.message.clone(),
    });
    unknown(format!("the files of {revision} are not as they have to be today: {first}"))
}

fn unknown(why: String) -> Failed {
    Failed::Unknown(Unknown { why, help: None })
}

/// How many names a sentence bears.
const NAMES: usize = 8;

fn tell(session: &Session, graph: &Graph, difference: &Difference, all: usize, revision: &str) {
    let mut output = session.output();
    if !difference.removed.is_empty() {
        let names: Vec<_> = difference.removed.iter().map(|name| name.as_str()).collect();
        output.note(&format!("gone since {revision}: {}", listed(&names)));
    }
    if !difference.changed.is_empty() {
        let names: Vec<_> = difference.changed.iter().map(|id| graph.node(*id).name.as_str()).collect();
        output.note(&format!(
            "changed since {revision}: {} of {all} images: {}",
            names.len(),
            listed(&names)
        ));
    }
}

fn listed(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMES);
    let first = names[..names.len() - more].join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}
