//! What happens during a run, as facts.
//!
//! Workers send events and nothing else; one task folds them into state and
//! reports. Every output (bars, lines, JSON, summary) is a fold over these.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::model::names::{ImageId, NodeName};

/// One fact about a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The run begins: what will be done and what is kept as it is.
    RunStarted {
        /// To be built, in the order of the graph.
        build: Vec<NodeName>,
        /// To be pulled from a registry.
        fetch: Vec<NodeName>,
        /// Up to date, and to be sent to a registry.
        push: Vec<NodeName>,
        /// Up to date.
        keep: Vec<NodeName>,
        /// At most this many at once.
        jobs: usize,
    },
    /// A worker took this image up.
    ImageStarted {
        image: NodeName,
        /// Why, in words: `dockerfile changed: 1f… → 9a…`.
        reasons: Vec<String>,
        /// Where its whole output is written.
        #[serde(serialize_with = "lossy_option")]
        log: Option<PathBuf>,
    },
    /// Another run of the program is building this very image; we wait.
    ImageWaits { image: NodeName },
    /// A step (BuildKit's vertex) began, ended or failed.
    Step {
        image: NodeName,
        /// Same for all events of one step.
        id: String,
        /// `[2/3] RUN make`, or `pip install timm`.
        name: String,
        state: StepState,
    },
    /// How far a transfer within a step is.
    Transfer {
        image: NodeName,
        step: String,
        what: String,
        /// Bytes.
        current: u64,
        /// Bytes; 0: unknown.
        total: u64,
    },
    /// Output of a step; may hold part of a line.
    Log { image: NodeName, step: String, text: String },
    /// Something a person should know that is not an error.
    Warning { image: Option<NodeName>, text: String },
    /// The image's registry now has it under its content tag.
    Pushed {
        image: NodeName,
        reference: String,
        /// The manifest's, as the registry reports it.
        digest: String,
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
    /// The image is done, one way or another.
    ImageFinished {
        image: NodeName,
        outcome: Outcome,
        /// Without the push of what was built.
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
    /// A tag on the engine now names this image.
    TagMoved { image: NodeName, tag: String },
    /// A tag in a registry now names this image.
    RegistryTagMoved { image: NodeName, tag: String, digest: String },
    /// The run is over.
    RunFinished {
        built: usize,
        fetched: usize,
        kept: usize,
        failed: usize,
        blocked: usize,
        cancelled: usize,
        /// Sent to a registry; each is counted above, too.
        pushed: usize,
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
}

impl Event {
    /// The image this is about.
    pub(crate) fn image(&self) -> Option<&NodeName> {
        match self {
            Self::ImageStarted { image, .. }
            | Self::ImageWaits { image }
            | Self::Step { image, .. }
            | Self::Transfer { image, .. }
            | Self::Log { image, .. }
            | Self::Pushed { image, .. }
            | Self::ImageFinished { image, .. }
            | Self::TagMoved { image, .. }
            | Self::RegistryTagMoved { image, .. } => Some(image),
            Self::Warning { image, .. } => image.as_ref(),
            Self::RunStarted { .. } | Self::RunFinished { .. } => None,
        }
    }
}

/// State of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum StepState {
    Started,
    /// Ended well; `cached`: nothing ran.
    Done {
        cached: bool,
        millis: u64,
    },
    Failed {
        message: String,
    },
}

/// How an image's build ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Built by this run.
    Built { id: ImageId },
    /// Another run built the same recipe while we waited.
    BuiltElsewhere { id: ImageId },
    /// Pulled from its registry by this run.
    Fetched { id: ImageId },
    /// It was up to date; this run sent it to its registry.
    Pushed { id: ImageId },
    /// A step, a check or a push failed.
    Failed {
        failure: Failure,
        #[serde(serialize_with = "lossy_option")]
        log: Option<PathBuf>,
    },
    /// Not tried, since `by` failed.
    Blocked { by: NodeName },
    /// Stopped by Ctrl-C or `--fail-fast`.
    Cancelled,
}

impl Outcome {
    /// The image, if it is there.
    pub(crate) fn id(&self) -> Option<&ImageId> {
        match self {
            Self::Built { id } | Self::BuiltElsewhere { id } | Self::Fetched { id } | Self::Pushed { id } => {
                Some(id)
            }
            Self::Failed { .. } | Self::Blocked { .. } | Self::Cancelled => None,
        }
    }
}

/// Why an image was not built, with what a person needs to mend it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// A lowercase fragment: `step failed with exit code 3`.
    pub(crate) message: String,
    /// The failing step's name.
    pub(crate) step: Option<String>,
    pub(crate) exit_code: Option<i32>,
    /// Last lines of the step's output.
    pub(crate) output: Vec<String>,
    /// The Dockerfile's (or spec's) lines, first line number first.
    pub(crate) excerpt: Option<Excerpt>,
    /// What to do.
    pub(crate) help: Option<String>,
    /// True when the engine, network or registry failed rather than the image.
    pub(crate) engine: bool,
    /// True when the image was built, and a check of it failed.
    pub(crate) check: bool,
}

/// Lines of a file around the one that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Excerpt {
    #[serde(serialize_with = "lossy")]
    pub(crate) path: PathBuf,
    /// The failing lines, counted from 1, inclusive.
    pub(crate) lines: (usize, usize),
    /// Whole text of the file.
    pub(crate) text: String,
}

fn seconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64((d.as_secs_f64() * 1000.0).round() / 1000.0)
}

// A path that is not UTF-8 must not cost the event it stands in.

fn lossy<S: serde::Serializer>(path: &Path, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&path.display())
}

fn lossy_option<S: serde::Serializer>(path: &Option<PathBuf>, s: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => lossy(path, s),
        None => s.serialize_none(),
    }
}

/// Where events go. Sending never blocks and never fails.
pub(crate) type Events = tokio::sync::mpsc::UnboundedSender<Event>;
