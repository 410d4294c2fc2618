//! Reads from a result what the user layer's rules want to know.

use std::collections::BTreeMap;

use bollard_buildkit_proto::fsutil::types::Stat;
use futures::future::try_join_all;
use tonic::Status;

use super::job::Job;
use super::mode;
use crate::dockerfile::context::EntryKind;
use crate::image::user_layer::{BaseFacts, FactKind, FileFact, Want};

/// An answer on its way to [`BaseFacts`].
enum Answer {
    Path(String, FileFact),
    Folder(String, FileFact, BTreeMap<String, FileFact>),
}

/// Answers all of `wants` at once.
pub(super) async fn learn(
    job: &Job,
    result: &str,
    known: &mut BaseFacts,
    wants: &[Want],
) -> Result<(), Status> {
    let answers = wants.iter().map(|want| {
        let want = shared(known, want);
        let told = known.files.get(want.path()).cloned();
        answer(job, result, want, told)
    });
    for answer in try_join_all(answers).await? {
        match answer {
            Answer::Path(path, fact) => known.learn(&path, fact),
            Answer::Folder(path, folder, entries) => known.learn_entries(&path, folder, entries),
        }
    }
    Ok(())
}

/// Reads an image's own files back. Every call is a mount in the engine, so
/// mode and owner of files whose bytes are asked for are not looked at.
pub(super) async fn read_back(job: &Job, result: &str, wants: &[Want]) -> Result<BaseFacts, Status> {
    let mut read = BaseFacts::default();
    for answer in try_join_all(wants.iter().map(|want| briefly(job, result, want))).await? {
        let (Answer::Path(path, fact) | Answer::Folder(path, fact, _)) = answer;
        read.learn(&path, fact);
    }
    Ok(read)
}

async fn briefly(job: &Job, result: &str, want: &Want) -> Result<Answer, Status> {
    let Want::Content(path) = want else { return answer(job, result, want.clone(), None).await };
    let bytes = job.read(result, path).await?;
    let kind = bytes.map_or(FactKind::Absent, |bytes| FactKind::File(Some(bytes)));
    Ok(Answer::Path(path.clone(), FileFact { kind, ..FileFact::absent() }))
}

/// What everybody can use instead: a home that is not there yet is told by
/// `/home`, which is read once for all users of the base.
fn shared(known: &BaseFacts, want: &Want) -> Want {
    let parent = want.path().rsplit_once('/').map(|(parent, _)| parent);
    match (want, parent) {
        (Want::Entries(_), Some(parent))
            if matches!(known.files.get(parent).map(|f| &f.kind), Some(FactKind::Dir(None))) =>
        {
            Want::Entries(parent.to_owned())
        }
        _ => want.clone(),
    }
}

/// A path is looked at before it is opened, since to open a pipe takes for
/// ever; not where its folder's entries have told of it already. A call is a
/// mount in the engine, and it is their number in a row that takes time.
async fn answer(job: &Job, result: &str, want: Want, told: Option<FileFact>) -> Result<Answer, Status> {
    let path = want.path().to_owned();
    let told = told.filter(|fact| matches!(fact.kind, FactKind::File(_) | FactKind::Dir(_)));
    let mut fact = match told {
        Some(fact) => fact,
        None => job.stat(result, &path).await?.as_ref().map_or_else(FileFact::absent, fact),
    };
    match (&want, &fact.kind) {
        (Want::Content(_), FactKind::File(_)) => {
            fact.kind = FactKind::File(Some(job.read(result, &path).await?.unwrap_or_default()));
            Ok(Answer::Path(path, fact))
        }
        (Want::Entries(_), FactKind::Dir(_)) => {
            let entries = job.list(result, &path).await?;
            let entries = entries.iter().map(|s| (name(&s.path), self::fact(s))).collect();
            Ok(Answer::Folder(path, fact, entries))
        }
        _ => Ok(Answer::Path(path, fact)),
    }
}

fn name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn fact(stat: &Stat) -> FileFact {
    let (kind, mode) = mode::from_go(stat.mode);
    let kind = match kind {
        Some(EntryKind::File) => FactKind::File(None),
        Some(EntryKind::Dir) => FactKind::Dir(None),
        Some(EntryKind::Link) => FactKind::Symlink(stat.linkname.clone()),
        None => FactKind::Other,
    };
    FileFact { kind, mode, uid: stat.uid, gid: stat.gid }
}
