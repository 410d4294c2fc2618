//! Each image's complete log in a file of its own.
//!
//! Knows the directory it is given and nothing of who chose it. The directory
//! should be one run's own: files are appended to, never emptied.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Update;
use super::human;
use super::state::{ImageRun, Phase, StepPhase};
use super::text::clean;
use crate::model::event::{Event, Outcome, StepState};
use crate::model::names::NodeName;

/// The log of one image: `<directory>/<image>.log`, with `/` in the image's
/// name as `+`, which no name holds.
pub(crate) fn path(directory: &Path, image: &NodeName) -> PathBuf {
    directory.join(format!("{}.log", image.as_str().replace('/', "+")))
}

/// Writes the logs. Directory and files are made when the first line comes.
#[derive(Debug)]
pub(crate) struct LogWriter {
    directory: PathBuf,
    open: HashMap<NodeName, File>,
    /// Images whose log could not be written; told once.
    broken: HashSet<NodeName>,
}

impl LogWriter {
    /// A writer into this directory.
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), open: HashMap::new(), broken: HashSet::new() }
    }

    /// Where the logs are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes what the event says about its image.
    ///
    /// # Errors
    /// The file or its directory cannot be made or written. Said once for each
    /// image; its later events are passed over.
    pub(crate) fn event(&mut self, update: &Update<'_>) -> io::Result<()> {
        let Some(image) = update.event.image().and_then(|name| update.run.image(name)) else { return Ok(()) };
        if self.broken.contains(&image.name) {
            return Ok(());
        }
        let text = text_of(update, image);
        let written = if text.is_empty() { Ok(()) } else { self.write(&image.name, &text) };
        if written.is_err() {
            self.broken.insert(image.name.clone());
        }
        if written.is_err() || image.took.is_some() {
            self.open.remove(&image.name);
        }
        written
    }

    fn write(&mut self, image: &NodeName, text: &str) -> io::Result<()> {
        if !self.open.contains_key(image) {
            fs::create_dir_all(&self.directory)?;
            let file = OpenOptions::new().append(true).create(true).open(path(&self.directory, image))?;
            self.open.insert(image.clone(), file);
        }
        // One write for each event: another run that appends to the same file
        // comes between events, not into a line.
        self.open.get_mut(image).map_or(Ok(()), |file| file.write_all(text.as_bytes()))
    }
}

/// The event as lines of the log, each with the time since the image was taken
/// up.
fn text_of(update: &Update<'_>, image: &ImageRun) -> String {
    let at = update.at.saturating_sub(image.started.unwrap_or(update.at)).as_secs_f64();
    let mut lines: Vec<_> =
        update.lines.iter().map(|line| format!("#{} | {}", line.step, line.text)).collect();
    if !update.repeated {
        lines.extend(line_of(update.event, image));
    }
    lines.into_iter().map(|line| format!("{at:9.3} {line}").trim_end().to_owned() + "\n").collect()
}

fn line_of(event: &Event, image: &ImageRun) -> Option<String> {
    Some(match event {
        Event::ImageStarted { .. } => {
            format!("{} started: {}", image.name, image.reasons.join("; ")).trim_end_matches(": ").to_owned()
        }
        Event::ImageWaits { .. } => format!("{} waits: another run builds it", image.name),
        Event::Step { id, state, .. } => {
            let step = image.step(id)?;
            match state {
                StepState::Started => format!("#{} {}", step.number, step.name),
                _ => format!("#{} {}", step.number, ending(&step.phase, &step.name)),
            }
        }
        Event::Warning { text, .. } => format!("warning: {}", clean(text)),
        Event::ImageFinished { .. } => format!("{} {}", image.name, outcome(image)?),
        Event::Pushed { reference, digest, took, .. } => {
            format!("pushed in {}: {} {}", human::took(*took), clean(reference), clean(digest))
        }
        Event::TagMoved { tag, .. } => format!("tagged {}", clean(tag)),
        Event::RegistryTagMoved { tag, .. } => format!("tagged {} in the registry", clean(tag)),
        Event::Log { .. } | Event::Transfer { .. } => return None,
        Event::RunStarted { .. } | Event::RunFinished { .. } => return None,
    })
}

fn ending(phase: &StepPhase, name: &str) -> String {
    match phase {
        // The one ending that may come without a beginning.
        StepPhase::Cached => format!("cached: {name}"),
        StepPhase::Running => name.to_owned(),
        StepPhase::Done { took } => format!("done in {}: {name}", human::took(*took)),
        StepPhase::Failed { message } => format!("failed: {}", clean(message)),
    }
}

fn outcome(image: &ImageRun) -> Option<String> {
    Some(match &image.phase {
        Phase::Ended(Outcome::Built { id }) => format!("built: {id}"),
        Phase::Ended(Outcome::BuiltElsewhere { id }) => format!("built by another run: {id}"),
        Phase::Ended(Outcome::Fetched { id }) => format!("pulled: {id}"),
        Phase::Ended(Outcome::Pushed { id }) => format!("kept: {id}"),
        Phase::Ended(Outcome::Failed { failure, .. }) => format!("failed: {}", clean(&failure.message)),
        Phase::Ended(Outcome::Cancelled) => "cancelled".to_owned(),
        // Nothing was tried: a log would only say that there is nothing in it.
        Phase::Ended(Outcome::Blocked { .. }) => return None,
        Phase::Queued | Phase::Waits | Phase::Running | Phase::Kept => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::test_events::{events, play};
    use crate::ui::{Reporter, RunState};

    /// Lets a writer watch a run, and keeps its errors.
    struct Watcher {
        log: LogWriter,
        errors: Vec<io::Error>,
    }

    impl Reporter for Watcher {
        fn event(&mut self, update: &Update<'_>) {
            self.errors.extend(self.log.event(update).err());
        }

        fn finish(&mut self, _: &RunState) {}
    }

    fn written(directory: &Path) -> Vec<io::Error> {
        let mut watcher = Watcher { log: LogWriter::new(directory), errors: Vec::new() };
        play(&events(), false, &mut watcher);
        assert!(watcher.log.open.is_empty());
        watcher.errors
    }

    #[test]
    fn each_image_that_was_tried_has_its_whole_log() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("to/be/made");
        assert!(written(&directory).is_empty());
        let mut files: Vec<_> =
            fs::read_dir(&directory).unwrap().map(|file| file.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["minimal.log", "tools.log", "vision.log", "web.log"]);
        let read = |image| fs::read_to_string(path(&directory, &NodeName::new(image))).unwrap();
        let images = ["web", "vision", "tools", "minimal"];
        insta::assert_snapshot!(images.map(read).join("--\n"));
    }

    #[test]
    fn what_stands_in_a_log_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = path(directory.path(), &NodeName::new("web"));
        fs::write(&file, "before\n").unwrap();
        assert!(written(directory.path()).is_empty());
        assert!(fs::read_to_string(file).unwrap().starts_with("before\n    0.000 web started"));
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told_once_for_each_image() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a file");
        fs::write(&file, "").unwrap();
        assert_eq!(written(&file).len(), 4);
    }

    #[test]
    fn no_two_images_share_a_log_and_none_leaves_the_directory() {
        let directory = Path::new("logs");
        let of = |name| path(directory, &NodeName::new(name));
        assert_eq!(of("h-baker/thesis"), Path::new("logs/h-baker+thesis.log"));
        assert_eq!(of("../../etc/passwd").parent(), Some(directory));
        assert_ne!(of("a/b"), of("a-b"));
    }
}
