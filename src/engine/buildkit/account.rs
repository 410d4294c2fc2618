//! The account of an image: asks the base what the user layer's rules want to
//! know, applies the layer, checks what came out.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bollard_buildkit_proto::fsutil::types::Stat;
use futures::future::try_join_all;
use prost_types::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tonic::Status;

use super::build::{BuildError, ImageBuild, ImageDraft};
use super::config::HistoryEntry;
use super::job::Job;
use super::session::files::mode_from_go;
use crate::dockerfile::context::EntryKind;
use crate::image::user_layer::{self, AccountError, BaseFacts, FactKind, FileFact, UserLayerInput};
use crate::model::account::Account;
use crate::model::event::{Event, Failure};

/// Rounds of questions to a base before it is taken for endless.
const MOST_ROUNDS: usize = 16;

impl ImageBuild<'_> {
    pub(super) async fn add_user(&self, draft: &mut ImageDraft, account: &Account) -> Result<(), BuildError> {
        let layer = self.layer(draft, account).await?;
        for text in layer.notes {
            let _ = self.events.send(Event::Warning { image: Some(self.solve.node.clone()), text });
        }
        let title = format!("user {}", account.name);
        let (nodes, time) = (&layer.nodes, user_layer::FIXED_TIME_SECONDS);
        draft.state = draft.state.with_tree(nodes, time, &self.step(&title)).map_err(|e| {
            BuildError::refused(e.to_string(), "use a base whose folders have usual modes".to_owned())
        })?;
        draft.layers.push(HistoryEntry { made_by: title, created: Some(fixed_time()) });
        let result = self.evaluate(draft).await?;
        let read = read_back(self.job, &result.id, &user_layer::verify_inputs(account)).await?;
        draft.known = Some(result);
        user_layer::verify(&read, account).map_err(|e| {
            // What was built is not what was asked for.
            let message = format!("the account is not in the image: {e}");
            BuildError::failed(Failure { message, check: true, ..Failure::default() })
        })
    }

    /// The account's layer, below which sudo is installed if the draft lacks it.
    pub(super) async fn layer(
        &self,
        draft: &mut ImageDraft,
        account: &Account,
    ) -> Result<user_layer::LayerFiles, BuildError> {
        if draft.state.is_scratch() {
            let help = "an account needs a base with files: start from another image".to_owned();
            return Err(BuildError::refused("the image is empty", help));
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

    /// Reads what is below the account, until the user layer's rules know enough.
    async fn base(
        &self,
        draft: &ImageDraft,
        account: &Account,
    ) -> Result<OwnedMutexGuard<BaseFacts>, BuildError> {
        let mut known = self.facts_of(draft).lock_owned().await;
        let mut base = None;
        for _ in 0..MOST_ROUNDS {
            let wants = user_layer::missing_inputs(&known, account);
            if wants.is_empty() {
                break;
            }
            let base = match &mut base {
                Some(base) => base,
                none => none.insert(self.evaluate(draft).await?),
            };
            read_wants(self.job, &base.id, &mut known, &wants).await?;
        }
        Ok(known)
    }

    /// Shared by all that are based on the same content; a Dockerfile's result, or
    /// one that is made anew, is known by nothing but itself.
    fn facts_of(&self, draft: &ImageDraft) -> Arc<Mutex<BaseFacts>> {
        match (&draft.origin, draft.state.definition()) {
            (Some(origin), Some(definition)) if !self.solve.no_cache => {
                let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
                bases.entry(format!("{origin} {}", definition.digest())).or_default().clone()
            }
            _ => Arc::default(),
        }
    }
}

fn refused(refusal: AccountError) -> BuildError {
    BuildError::refused(refusal.to_string(), refusal.help)
}

/// The user layer's time, as image configs write it.
pub(super) fn fixed_time() -> String {
    Timestamp { seconds: user_layer::FIXED_TIME_SECONDS, nanos: 0 }.to_string()
}

/// What was read of a path; of a folder maybe with its entries.
struct PathFacts {
    path: String,
    fact: FileFact,
    entries: Option<BTreeMap<String, FileFact>>,
}

/// Reads all of `wants` at once.
async fn read_wants(
    job: &Job,
    result: &str,
    base: &mut BaseFacts,
    wants: &[UserLayerInput],
) -> Result<(), Status> {
    let reads = wants.iter().map(|want| {
        let want = shared(base, want);
        let known = base.files.get(want.path()).cloned();
        read_want(job, result, want, known)
    });
    for PathFacts { path, fact, entries } in try_join_all(reads).await? {
        match entries {
            None => base.learn(&path, fact),
            Some(entries) => base.learn_entries(&path, fact, entries),
        }
    }
    Ok(())
}

/// Reads an image's own files back. Every call is a mount in the engine, so
/// mode and owner of files whose bytes are asked for are not read.
pub(super) async fn read_back(
    job: &Job,
    result: &str,
    wants: &[UserLayerInput],
) -> Result<BaseFacts, Status> {
    let reads = wants.iter().map(async |want| {
        let UserLayerInput::Content(path) = want else {
            return read_want(job, result, want.clone(), None).await;
        };
        let bytes = job.read(result, path).await?;
        let kind = bytes.map_or(FactKind::Absent, |bytes| FactKind::File(Some(bytes)));
        let fact = FileFact { kind, ..FileFact::absent() };
        Ok(PathFacts { path: path.clone(), fact, entries: None })
    });
    let mut facts = BaseFacts::default();
    for PathFacts { path, fact, .. } in try_join_all(reads).await? {
        facts.learn(&path, fact);
    }
    Ok(facts)
}

/// What everybody can use instead: a home that is not there yet is shown by
/// `/home`, which is read once for all users of the base.
fn shared(known: &BaseFacts, want: &UserLayerInput) -> UserLayerInput {
    let parent = want.path().rsplit_once('/').map(|(parent, _)| parent);
    match (want, parent) {
        (UserLayerInput::Entries(_), Some(parent))
            if matches!(known.files.get(parent).map(|f| &f.kind), Some(FactKind::Dir(None))) =>
        {
            UserLayerInput::Entries(parent.to_owned())
        }
        _ => want.clone(),
    }
}

/// A path is inspected before it is opened, since to open a pipe takes for
/// ever; not where its folder's entries have shown what it is. A call is a
/// mount in the engine, and it is their number in a row that takes time.
async fn read_want(
    job: &Job,
    result: &str,
    want: UserLayerInput,
    known: Option<FileFact>,
) -> Result<PathFacts, Status> {
    let path = want.path().to_owned();
    let known = known.filter(|fact| matches!(fact.kind, FactKind::File(_) | FactKind::Dir(_)));
    let mut fact = match known {
        Some(fact) => fact,
        None => job.stat(result, &path).await?.as_ref().map_or_else(FileFact::absent, fact),
    };
    let mut entries = None;
    match (&want, &fact.kind) {
        (UserLayerInput::Content(_), FactKind::File(_)) => {
            fact.kind = FactKind::File(Some(job.read(result, &path).await?.unwrap_or_default()));
        }
        (UserLayerInput::Entries(_), FactKind::Dir(_)) => {
            let stats = job.list(result, &path).await?;
            entries = Some(stats.iter().map(|stat| (name(&stat.path), self::fact(stat))).collect());
        }
        _ => {}
    }
    Ok(PathFacts { path, fact, entries })
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
