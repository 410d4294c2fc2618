//! The account of an image: asks the base what the user layer's rules want to
//! know, applies the layer, checks what came out.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bollard_buildkit_proto::fsutil::types::Stat;
use futures::future::try_join_all;
use prost_types::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tonic::Status;

use super::build::{Draft, Make, Stop};
use super::config::Layer;
use super::job::Job;
use super::session::files::mode_from_go;
use crate::dockerfile::context::EntryKind;
use crate::image::user_layer::{self, BaseFacts, FactKind, FileFact, Refusal, Want};
use crate::model::account::Account;
use crate::model::event::Event;

/// Rounds of questions to a base before it is taken for endless.
const MOST_ROUNDS: usize = 16;

impl Make<'_> {
    pub(super) async fn add_user(&self, draft: &mut Draft, account: &Account) -> Result<(), Stop> {
        let layer = self.layer(draft, account).await?;
        for text in layer.notes {
            let _ = self.events.send(Event::Warning { image: Some(self.solve.node.clone()), text });
        }
        let title = format!("user {}", account.name);
        let (nodes, time) = (&layer.nodes, user_layer::FIXED_TIME_SECONDS);
        draft.state = draft.state.with_tree(nodes, time, &self.step(&title)).map_err(|e| {
            Stop::refused(e.to_string(), "use a base whose folders have usual modes".to_owned())
        })?;
        draft.layers.push(Layer { made_by: title, created: Some(fixed_time()) });
        let result = self.evaluate(draft).await?;
        let read = read_back(self.job, &result.id, &user_layer::verify_wants(account)).await?;
        draft.known = Some(result);
        user_layer::verify(&read, account)
            .map_err(|e| Stop::unsound(format!("the account is not in the image: {e}")))
    }

    /// What is laid on the draft, to which sudo is brought first if it lacks it.
    pub(super) async fn layer(
        &self,
        draft: &mut Draft,
        account: &Account,
    ) -> Result<user_layer::Layer, Stop> {
        if draft.state.is_scratch() {
            let help = "an account needs a base with files: start from another image".to_owned();
            return Err(Stop::refused("the image is empty", help));
        }
        let mut base = self.base(draft, account).await?;
        if let Some(step) = &self.solve.sudo
            && user_layer::lacks_sudo(&base, account).map_err(refused)?
        {
            self.add_step(draft, step);
            base = self.base(draft, account).await?;
        }
        user_layer::layer(&base, account).map_err(refused)
    }

    /// Asks what the account is laid on, until the user layer's rules know enough.
    async fn base(&self, draft: &Draft, account: &Account) -> Result<OwnedMutexGuard<BaseFacts>, Stop> {
        let mut known = self.facts_of(draft).lock_owned().await;
        let mut base = None;
        for _ in 0..MOST_ROUNDS {
            let wants = user_layer::wanted(&known, account);
            if wants.is_empty() {
                break;
            }
            let base = match &mut base {
                Some(base) => base,
                none => none.insert(self.evaluate(draft).await?),
            };
            learn(self.job, &base.id, &mut known, &wants).await?;
        }
        Ok(known)
    }

    /// Shared by all that stand on the same content; a Dockerfile's result, or
    /// one that is made anew, is known by nothing but itself.
    fn facts_of(&self, draft: &Draft) -> Arc<Mutex<BaseFacts>> {
        match (&draft.origin, draft.state.definition()) {
            (Some(origin), Some(definition)) if !self.solve.no_cache => {
                let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
                bases.entry(format!("{origin} {}", definition.digest())).or_default().clone()
            }
            _ => Arc::default(),
        }
    }
}

fn refused(refusal: Refusal) -> Stop {
    Stop::refused(refusal.to_string(), refusal.help)
}

/// The user layer's time, as image configs write it.
pub(super) fn fixed_time() -> String {
    Timestamp { seconds: user_layer::FIXED_TIME_SECONDS, nanos: 0 }.to_string()
}

/// An answer on its way to [`BaseFacts`].
enum Answer {
    Path(String, FileFact),
    Folder(String, FileFact, BTreeMap<String, FileFact>),
}

/// Answers all of `wants` at once.
async fn learn(job: &Job, result: &str, known: &mut BaseFacts, wants: &[Want]) -> Result<(), Status> {
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
    let (kind, mode) = mode_from_go(stat.mode);
    let kind = match kind {
        Some(EntryKind::File) => FactKind::File(None),
        Some(EntryKind::Dir) => FactKind::Dir(None),
        Some(EntryKind::Link) => FactKind::Symlink(stat.linkname.clone()),
        None => FactKind::Other,
    };
    FileFact { kind, mode, uid: stat.uid, gid: stat.gid }
}
