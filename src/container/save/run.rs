//! Carrying a save out: stop, logs, commit, and the image made of it.
//!
//! The engine's commit cannot drop a label or a variable of the container, so
//! that an image is made on it that says what the image below says; it has
//! the commit's layers and no others. Whatever fails, the container stays, and
//! runs if it ran.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::logs::{self, Log};
use super::{ContainerAfter, FailedSave, MOST, Save, SaveError};
use crate::container::installed_packages::{self, PackageTarget};
use crate::container::retire::{ContainerRemoval, GRACE, RetireReport};
use crate::engine::{
    Change, ChangeKind, ContainerConfig, CreateContainer, Engine, Error, FileKind, ImageDetail, Network,
    SolveError,
};
use crate::image::solve::{ConfigChange, Solve, Start};
use crate::model::digest::short;
use crate::model::event::Events;
use crate::model::labels::{SavedLabels, is_old};
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::Reference;

/// How many paths are looked at in a search for the largest, and how long.
const SEARCHED: usize = 5_000;
const SEARCH: Duration = Duration::from_secs(20);
const AT_ONCE: usize = 8;

/// What would be saved, read before anything is done.
#[derive(Clone, Debug)]
pub(crate) struct SavePreview {
    base: ImageDetail,
    config: ContainerConfig,
    /// All that differs from the image.
    pub(crate) changes: Vec<Change>,
    /// Log files that become as in the image.
    pub(crate) logs: Vec<String>,
}

/// The image that a container was saved as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SavedImage {
    pub(crate) reference: Reference,
    /// `None`: it is only what would be made.
    pub(crate) image: Option<ImageId>,
    /// Log files that are as in the image below.
    pub(crate) logs: Vec<String>,
    /// What could not be cleared away, for people.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

/// Looks at what would be saved, and reports it; changes nothing.
///
/// # Errors
/// As [`preview`].
pub(crate) async fn inspect(
    engine: &dyn Engine,
    save: &Save,
    retirement: &ContainerRemoval,
    target: &PackageTarget,
    dry_run: bool,
) -> Result<(SavePreview, RetireReport), SaveError> {
    let preview = preview(engine, save).await?;
    let installed = installed_packages::of_changes(engine, &save.id, &preview.changes).await;
    let mut report = RetireReport::new(retirement, installed, target, dry_run);
    let (reference, logs) = (save.target.clone(), preview.logs.clone());
    report.saved = Some(SavedImage { reference, image: None, logs, notes: Vec::new() });
    Ok((preview, report))
}

/// Looks at what would be saved; changes nothing.
///
/// # Errors
/// It cannot be saved, or the engine cannot say.
pub(super) async fn preview(engine: &dyn Engine, save: &Save) -> Result<SavePreview, SaveError> {
    let lacks = engine.lacks().await?;
    if !lacks.is_empty() {
        let message = format!("its BuildKit lacks {}", lacks.join(", "));
        return Err(Error::Refused { action: "make images".into(), message }.into());
    }
    let base = engine.image(save.image.as_str()).await?.ok_or(SaveError::BaseGone)?;
    let config = engine.image_config(save.image.as_str()).await?.ok_or(SaveError::BaseGone)?;
    let changes = engine.changes(&save.id).await?;
    let (mut logs, mut in_logs) = (Vec::new(), 0);
    for change in logs::changed(&changes) {
        let stat = engine.stat(&save.id, &change.path).await?;
        match stat {
            Some(stat) if stat.kind == FileKind::File => in_logs += stat.size,
            None => {}
            Some(_) => continue,
        }
        logs.push(change.path.clone());
    }
    fits(engine, save, &changes, in_logs).await?;
    Ok(SavePreview { base, config, changes, logs })
}

/// Refuses more than is saved. `less`: bytes that will be gone.
async fn fits(engine: &dyn Engine, save: &Save, changes: &[Change], less: u64) -> Result<(), SaveError> {
    let Some(written) = engine.written(&save.id).await? else { return Ok(()) };
    let bytes = written.saturating_sub(less);
    if bytes <= MOST {
        return Ok(());
    }
    let counts = |c: &&Change| c.kind != ChangeKind::Deleted && !(less > 0 && logs::is_log(c));
    let paths: Vec<_> = changes.iter().filter(counts).take(SEARCHED).map(|c| c.path.clone()).collect();
    let sizes = futures::stream::iter(paths).map(|path| async move {
        let stat = engine.stat(&save.id, &path).await.ok()??;
        (stat.kind == FileKind::File).then_some((path, stat.size))
    });
    let mut path: Option<(String, u64)> = None;
    let mut sizes = pin!(sizes.buffer_unordered(AT_ONCE).take_until(tokio::time::sleep(SEARCH)));
    // Without a name it is refused all the same.
    while let Some(found) = sizes.next().await {
        if let Some((name, size)) = found
            && path.as_ref().is_none_or(|(_, most)| size > *most)
        {
            path = Some((name, size));
        }
    }
    Err(SaveError::TooLarge { bytes, path })
}

/// Stops the container and saves it.
///
/// # Errors
/// It was not saved; it is still there.
pub(crate) async fn run(
    engine: &dyn Engine,
    save: &Save,
    preview: &SavePreview,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<SavedImage, Box<FailedSave>> {
    let mut work =
        Work { engine, save, preview, stopped: false, commit: None, tagged: false, untagged: None };
    match work.run(events, cancel).await {
        Ok((id, logs)) => {
            let notes = work.clear().await;
            Ok(SavedImage { reference: save.target.clone(), image: Some(id), logs, notes })
        }
        Err(error) => {
            let notes = work.clear().await;
            let container = match (work.stopped, save.keeps_gpus) {
                (false, _) => ContainerAfter::AsItWas,
                (true, true) => ContainerAfter::Restarted(engine.start(&save.id).await),
                (true, false) => ContainerAfter::Stopped,
            };
            Err(Box::new(FailedSave { error, container, notes }))
        }
    }
}

struct Work<'a> {
    engine: &'a dyn Engine,
    save: &'a Save,
    preview: &'a SavePreview,
    /// It ran, and was stopped for this.
    stopped: bool,
    /// The engine's commit, which goes again.
    commit: Option<ImageId>,
    /// It has a tag by now.
    tagged: bool,
    /// The image itself, while it has no tag.
    untagged: Option<ImageId>,
}

impl Work<'_> {
    async fn run(
        &mut self,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<(ImageId, Vec<String>), SaveError> {
        let go_on = || if cancel.is_cancelled() { Err(SaveError::Cancelled) } else { Ok(()) };
        let (engine, save) = (self.engine, self.save);
        go_on()?;
        if save.runs {
            self.stopped = true;
            engine.stop(&save.id, GRACE).await?;
        }
        go_on()?;
        let logs = self.reset_logs().await?;
        go_on()?;
        let commit = engine.commit(&save.id).await?;
        self.commit = Some(commit.clone());
        go_on()?;
        let under_way = save.under_way();
        engine.tag(&commit, &under_way).await?;
        self.tagged = true;
        let solve = self.solve(under_way);
        let solved = engine.solve(&solve, events, cancel).await.map_err(|error| match error {
            SolveError::Engine(error) => SaveError::Engine(error),
            SolveError::Failed(failure) => SaveError::Unsound(failure.message),
            SolveError::Cancelled => SaveError::Cancelled,
        })?;
        self.untagged = Some(solved.id.clone());
        self.check(&commit, &solved.id, &solve).await?;
        go_on()?;
        // Somebody may have made it while this was under way.
        if engine.image(&save.target.to_string()).await?.is_some() {
            return Err(SaveError::Unsound(format!("{} was made by somebody else meanwhile", save.target)));
        }
        engine.tag(&solved.id, &save.target).await?;
        self.untagged = None;
        Ok((solved.id, logs))
    }

    /// Makes log files as in the image; gives those that differed.
    async fn reset_logs(&self) -> Result<Vec<String>, SaveError> {
        let (engine, id) = (self.engine, self.save.id.as_str());
        // Read again: it may have written until it stopped.
        let changes = engine.changes(id).await?;
        let of_image: Vec<&str> =
            logs::changed(&changes).filter(|c| logs::is_of_image(c)).map(|c| c.path.as_str()).collect();
        let mut originals = match of_image.as_slice() {
            [] => BTreeMap::new(),
            paths => self.originals(paths).await?,
        };
        let mut logs = Vec::new();
        for change in logs::changed(&changes) {
            let stat = engine.stat(id, &change.path).await?;
            let replaced = stat.as_ref().is_none_or(|stat| stat.kind == FileKind::File);
            let log = originals.remove(&change.path).filter(|_| replaced);
            logs.extend(log.or_else(|| Log::emptied(&change.path, stat.as_ref()?)));
        }
        if !logs.is_empty() {
            let archive = logs::archive(&logs).map_err(|e| SaveError::Unsound(e.to_string()))?;
            engine.write_files(id, archive).await?;
        }
        // What was written is believed only when it was read again.
        for log in &logs {
            let stat = engine.stat(id, &log.path).await?;
            if stat.is_none_or(|stat| stat.size != log.bytes.len() as u64) {
                let message =
                    format!("the log file {} could not be made as in the image", log.path.escape_debug());
                return Err(SaveError::Unsound(message));
            }
        }
        fits(engine, self.save, &changes, 0).await?;
        Ok(logs.into_iter().map(|log| log.path).collect())
    }

    /// The image's own log files, from a container of it that is never started.
    async fn originals(&self, paths: &[&str]) -> Result<BTreeMap<String, Log>, SaveError> {
        let id = short(&self.save.id);
        let request = CreateContainer {
            name: format!("ds01-{}{id}", super::UNDER_WAY),
            image: self.save.image.to_string(),
            command: Some(vec!["/bin/true".into()]),
            env: vec!["NVIDIA_VISIBLE_DEVICES=void".into()],
            network: Network::None,
            ..CreateContainer::default()
        };
        // One that a killed run left would have the name.
        let _ = self.engine.remove(&request.name).await;
        let helper = self.engine.create(&request).await?;
        let read = self.read_originals(&helper, paths).await;
        self.engine.remove(&helper).await?;
        read
    }

    async fn read_originals(&self, helper: &str, paths: &[&str]) -> Result<BTreeMap<String, Log>, SaveError> {
        let mut found = BTreeMap::new();
        for path in paths {
            let stat = self.engine.stat(helper, path).await?;
            if stat.is_none_or(|stat| stat.kind != FileKind::File || stat.size > logs::MOST) {
                continue;
            }
            // Archives have headers, and end with blocks of nothing.
            let Some(archive) = self.engine.read_tar(helper, path, logs::MOST + (1 << 20)).await? else {
                continue;
            };
            let log = Log::read(path, &archive).map_err(|e| SaveError::Unsound(e.to_string()))?;
            found.extend(log.map(|log| ((*path).to_owned(), log)));
        }
        Ok(found)
    }

    /// An image with the commit's files that says what the image below says.
    fn solve(&self, from: Reference) -> Solve {
        let base = &self.preview.base;
        let base_name = base.tags.first().map_or_else(|| base.id.to_string(), ToString::to_string);
        let labels = SavedLabels {
            name: &self.save.name(),
            container: &self.save.container,
            project: self.save.project.as_deref(),
            below: &base.labels,
            base_name: &base_name,
            base_digest: base.id.as_str(),
        };
        let old = |key: &&String| is_old(key) || is_of_container(key);
        Solve {
            node: NodeName::new(self.save.target.to_string()),
            start: Start::Image(from),
            steps: Vec::new(),
            user: None,
            sudo: None,
            config: ConfigChange {
                instead: Some(self.preview.config.clone()),
                labels: labels.to_map(),
                drop_labels: base.labels.keys().filter(old).cloned().collect(),
                ..ConfigChange::default()
            },
            secrets: BTreeMap::new(),
            proxy: BTreeMap::new(),
            no_cache: false,
            cache_from: Vec::new(),
            inline_cache: false,
        }
    }

    /// What must hold before anything names it.
    async fn check(&self, commit: &ImageId, solved: &ImageId, solve: &Solve) -> Result<(), SaveError> {
        let lost = || SaveError::Unsound("the engine lost it right after it was there".into());
        let commit = self.engine.image(commit.as_str()).await?.ok_or_else(lost)?;
        let image = self.engine.image(solved.as_str()).await?.ok_or_else(lost)?;
        let base = &self.preview.base;
        let mut labels = base.labels.clone();
        labels.retain(|key, _| {
            !key.starts_with(crate::model::labels::NAMESPACE) && !solve.config.drop_labels.contains(key)
        });
        labels.extend(solve.config.labels.clone());
        let wrong = if image.diff_ids != commit.diff_ids {
            "it does not have the container's files"
        } else if !image.diff_ids.starts_with(&base.diff_ids) {
            "it is not based on the image that the container was made from"
        } else if image.labels != labels {
            "its labels are not those that were asked for"
        } else if (&image.env, &image.user, &image.workdir, &image.command)
            != (&base.env, &base.user, &base.workdir, &base.command)
        {
            "it does not say what the image below says"
        } else {
            return Ok(());
        };
        Err(SaveError::Unsound(wrong.into()))
    }

    /// Removes the engine's commit, and what was made on it in vain. What
    /// is based on the commit keeps its layers.
    async fn clear(&mut self) -> Vec<String> {
        let under_way = self.tagged.then(|| self.save.under_way().to_string());
        let commit = self.commit.take().map(|commit| under_way.unwrap_or_else(|| commit.to_string()));
        let mut notes = Vec::new();
        for name in self.untagged.take().map(|image| image.to_string()).into_iter().chain(commit) {
            if let Err(error) = self.engine.remove_image(&name).await {
                notes.push(format!("{error}; `docker image rm {name}` removes it"));
            }
        }
        notes
    }
}

fn is_of_container(key: &str) -> bool {
    crate::model::labels::key(key).is_some_and(|key| key.on == crate::model::labels::LabelCarrier::Container)
}
