//! Why a deploy ends without a container, and what to do about it.
//!
//! A limit's refusal says the limit, what is in use, what is asked for and
//! what would fit.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::limits::{GpuShare, LimitHolder};
use super::mounts::MountError;
use crate::engine::{ContainerState, Error, SolveError};
use crate::gpu::DriverState;
use crate::gpu::choose::{AllocationError, Equivalents};
use crate::gpu::overview::WHOLE;
use crate::host::lock::LockHolder;
use crate::model::names::{ImageId, Login};
use crate::model::problem::Problem;

/// A deploy that ended early. Nothing of it is left but where it says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeployError {
    /// A rule says no.
    #[error("{}", .0.message)]
    Refused(Problem),
    /// What was typed means nothing, or a folder that is needed cannot be used.
    #[error("{}", .0.message)]
    Usage(Problem),
    /// The spec, or files that it names, are wrong: one problem at least.
    #[error("{}", .0.first().map_or("the spec is wrong", |problem| &problem.message))]
    Spec(Vec<Problem>),
    /// The image could not be made or pulled, which its events have told.
    #[error("the image could not be made")]
    Image(SolveError),
    #[error(transparent)]
    Engine(#[from] Error),
    /// The engine cannot give any.
    #[error("the engine cannot give GPUs to containers")]
    NoGpus(Error),
    /// The machine's own cannot.
    #[error("the GPUs' driver does not answer")]
    Driver(DriverState),
    #[error("the engine is on another machine, whose GPUs cannot be seen from here")]
    Elsewhere,
    /// Somebody else gave away all the while.
    #[error(
        "{} is giving away what this machine has, and was not done within {} s",
        holder_words(holder.as_ref(), owner.as_ref()),
        limit.as_secs()
    )]
    Late { limit: Duration, holder: Option<LockHolder>, owner: Option<Login> },
    /// Somebody without our lock was quicker, again and again.
    #[error("the GPUs for `{name}` were taken by somebody else each time: {}", who.join(", "))]
    Rivals { name: String, who: Vec<String> },
    #[error("another run is making or starting container `{name}`")]
    Busy { name: String },
    #[error("the lock that keeps GPUs from being given twice cannot be taken: {0}")]
    Lock(io::Error),
    #[error("interrupted")]
    Cancelled,
    /// An end as above, whose container could not be removed.
    #[error("{first}; container `{name}` is left behind, since {second}")]
    Left { first: Box<DeployError>, name: String, second: Error },
}

impl From<DeployRefusal> for DeployError {
    fn from(refusal: DeployRefusal) -> Self {
        Self::Refused(Problem::new(refusal.to_string()).help(refusal.help()))
    }
}

impl From<MountError> for DeployError {
    fn from(error: MountError) -> Self {
        Self::Refused(Problem::new(error.to_string()).help(error.help()))
    }
}

impl DeployError {
    /// A rule says no, and what to do.
    pub(super) fn refused(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Refused(Problem::new(message).help(help))
    }

    /// What was typed means nothing, and what to write.
    pub(super) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage(Problem::new(message).help(help))
    }

    /// What to do.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            Self::Refused(problem) | Self::Usage(problem) => return problem.help.clone(),
            Self::Image(_) | Self::Spec(_) => return None,
            Self::Engine(error) => return error.help(),
            Self::NoGpus(error) => format!(
                "install the NVIDIA container toolkit on its machine and restart it \
                 (`nvidia-ctk runtime configure --runtime=docker`); it says: {error}"
            ),
            Self::Driver(_) => "see what `ds01-build gpu list` says".into(),
            Self::Elsewhere => "run this on the engine's own machine, or leave GPUs out with --cpu-only".into(),
            Self::Late { holder: Some(holder), .. } => {
                format!("try again later, or with a longer --wait; see what it does with `ps -fp {}`", holder.pid)
            }
            Self::Late { .. } => "try again later, or with a longer --wait".into(),
            Self::Rivals { .. } => {
                "see who has which with `ds01-build gpu list`; containers with GPUs are made by `ds01-build deploy`".into()
            }
            Self::Busy { name } => format!("wait for its end, and see `docker ps -a --filter name={name}`"),
            Self::Lock(_) => "set DS01_LOCK_DIR to a folder that everybody on this machine can write".into(),
            Self::Cancelled => return None,
            Self::Left { name, .. } => format!("the next deploy removes it, or `docker rm {name}`"),
        })
    }

    /// What the end is for: without what was left behind.
    pub(crate) fn cause(&self) -> &Self {
        match self {
            Self::Left { first, .. } => first.cause(),
            other => other,
        }
    }

    pub(super) fn and_left(self, name: &str, second: &Error) -> Self {
        Self::Left { first: Box::new(self), name: name.to_owned(), second: second.clone() }
    }
}

fn holder_words(holder: Option<&LockHolder>, owner: Option<&Login>) -> String {
    let Some(holder) = holder else { return "a process that cannot be seen from here".into() };
    match (owner, holder.uid) {
        (Some(login), _) => format!("{holder} of {login}"),
        (None, Some(uid)) => format!("{holder} of uid {uid}"),
        (None, None) => holder.to_string(),
    }
}

/// A deploy that is refused before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeployRefusal {
    #[error("limit `{limit}` of group `{group}` is zero, which an engine reads as no limit")]
    ZeroLimit { group: String, limit: &'static str },
    #[error("container `{name}` already exists and is {}", state_word(*state))]
    NameTaken { name: String, state: ContainerState },
    #[error("{who} may have {limit} {}; {}, and one more is asked for", plural(*limit), there_are(names))]
    TooMany { who: LimitHolder, limit: u32, names: Vec<String> },
    /// `key` is the limit's name in the spec.
    #[error("{who} may use {limit} of `{key}` in one container, and {asked} is asked for")]
    OverLimit { who: LimitHolder, key: &'static str, limit: String, asked: String },
    #[error("the engine's machine has {cpus} CPUs, and {asked} are asked for")]
    FewerCpus { cpus: u32, asked: String },
    #[error("{who} may have {limit} GPUs and MIG instances in one container, and {asked} are asked for")]
    GpusPerContainer { who: LimitHolder, limit: u32, asked: u32 },
    /// `most` and `asked` in sevenths of a GPU; `fits` is an option that would.
    #[error(
        "{who} may use {limit} GPU {}; {}, and {} asked for",
        if limit == "1" { "equivalent" } else { "equivalents" },
        in_use(held),
        are(*asked)
    )]
    GpuEquivalents {
        who: LimitHolder,
        limit: String,
        most: u32,
        held: Vec<GpuShare>,
        asked: u32,
        fits: Option<String>,
    },
    #[error("{}", .0.message)]
    Gpus(AllocationError),
    #[error("GPUs are asked for, and nobody looked at the machine's")]
    GpusUnseen,
    /// `arch` is the image's architecture class.
    #[error("the image is for AMD's GPUs ({arch}), and this machine has none")]
    NoAmd { arch: String },
    #[error(
        "the image is for AMD's GPUs ({arch}), which are given all together, and this machine has {count}"
    )]
    AmdTogether { arch: String, count: u32 },
    #[error("AMD's GPUs are given all together, and are held by {}", holders.join(", "))]
    AmdHeld { holders: Vec<String> },
    #[error("variable `{name}` gives GPUs past the choice of free ones")]
    GivenByEnv { name: String },
    #[error("port {port} cannot be published: containers of group `{group}` {}", network_word(*host))]
    NothingToPublishOn { group: String, port: u16, host: bool },
    #[error("port {port} of the machine is one of the system's")]
    LowPort { port: u16 },
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("image {image} does not have the account of `{login}`")]
    NotTheirImage { image: ImageId, login: Login },
    #[error("image {image} carries labels of a container: {}", keys.join(", "))]
    StrayLabels { image: ImageId, keys: Vec<String> },
    #[error("workspace `{}` is not an absolute path", path.display())]
    Workspace { path: PathBuf },
}

impl DeployRefusal {
    /// What to do.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::ZeroLimit { limit, .. } => {
                format!("write a number above zero, or `{limit}: null` for none")
            }
            Self::NameTaken { name, state } if is_stopped(*state) => {
                format!(
                    "start it with `ds01-build container start {name}`, remove it with `ds01-build container retire \
                     {name}`, or make another with --name NAME"
                )
            }
            Self::NameTaken { name, .. } => {
                format!(
                    "use it with `ds01-build container enter {name}`, remove it with `ds01-build container \
                     retire {name}`, or make another with --name NAME"
                )
            }
            Self::TooMany { names, .. } => match names.first() {
                Some(first) => {
                    format!("remove one that is done with, e.g. `ds01-build container retire {first}`")
                }
                None => format!("{RAISE} `containers`"),
            },
            Self::OverLimit { key, limit, .. } => {
                let option = key.replace('_', "-");
                format!("ask for --{option} {limit} or less; without --{option} that is what you get")
            }
            Self::FewerCpus { cpus, .. } => format!("ask for --cpus {cpus} or less"),
            Self::GpusPerContainer { limit, .. } => {
                format!("ask for {limit} or fewer in one container; others can go into a second one")
            }
            Self::GpuEquivalents { most, held, asked, fits, .. } => {
                what_fits(*most, held, *asked, fits.as_deref())
            }
            Self::Gpus(unmet) => unmet.help.clone(),
            Self::GpusUnseen => "run this on the machine that has the GPUs, or ask for --cpu-only".into(),
            Self::NoAmd { .. } => {
                "deploy it on a machine with /dev/kfd, or with --cpu-only; for NVIDIA's GPUs take another image"
                    .into()
            }
            Self::AmdTogether { count, .. } => format!("ask for --gpus {count}"),
            Self::AmdHeld { .. } => "wait until they are retired, or ask for --cpu-only".into(),
            Self::GivenByEnv { .. } => "ask for GPUs with --gpus, --mig or --gpu-memory".into(),
            Self::NothingToPublishOn { host: true, .. } => {
                "leave --publish out: what the program listens on is open on the machine itself".into()
            }
            Self::NothingToPublishOn { host: false, .. } => {
                "leave --publish out; `ds01-build container enter NAME` needs no network".into()
            }
            Self::LowPort { port } => {
                format!("take one from 1024 on, e.g. --publish {}:PORT", 8000 + port % 1000)
            }
            Self::Mount(wrong) => wrong.help(),
            Self::NotTheirImage { .. } => "build the project's image again with `ds01-build build`".into(),
            Self::StrayLabels { .. } => {
                "build the image again; labels of containers must not be on an image".into()
            }
            Self::Workspace { .. } => "say the whole path, beginning with `/`".into(),
        }
    }
}

const RAISE: &str = "nothing smaller fits; an administrator can raise";

/// Containers whose end would be enough, and a smaller wish.
fn what_fits(most: u32, held: &[GpuShare], asked: u32, fits: Option<&str>) -> String {
    let used: u32 = held.iter().map(|held| held.sevenths).sum();
    let retire = (asked <= most).then(|| enough(held, (used + asked).saturating_sub(most)));
    let retire = retire.map(|names| match names.as_slice() {
        [one] => format!("retire what is done with, e.g. `ds01-build container retire {one}`"),
        several => {
            let each: Vec<_> =
                several.iter().map(|name| format!("`ds01-build container retire {name}`")).collect();
            format!("retire what is done with: {}", each.join(" and "))
        }
    });
    let less = fits.map(|option| format!("ask for {option}"));
    let ways: Vec<_> = retire.into_iter().chain(less).collect();
    if ways.is_empty() { format!("{RAISE} `gpu_equivalents`") } else { ways.join(", or ") }
}

/// The smallest container that holds so many sevenths, else the largest ones
/// that do together.
fn enough(held: &[GpuShare], needed: u32) -> Vec<&str> {
    let one = held.iter().filter(|held| held.sevenths >= needed).min_by_key(|held| held.sevenths);
    if let Some(one) = one {
        return vec![&one.container];
    }
    let mut largest: Vec<_> = held.iter().collect();
    largest.sort_by_key(|held| std::cmp::Reverse(held.sevenths));
    let mut freed = 0;
    let more = |held: &&&GpuShare| {
        let missing = freed < needed;
        freed += held.sevenths;
        missing
    };
    largest.iter().take_while(more).map(|held| held.container.as_str()).collect()
}

fn in_use(held: &[GpuShare]) -> String {
    let used: u32 = held.iter().map(|held| held.sevenths).sum();
    if used == 0 {
        return "none is in use".into();
    }
    let each = |held: &GpuShare| format!("{} ({})", held.container, Equivalents(held.sevenths));
    format!("{} in use by {}", are(used), held.iter().map(each).collect::<Vec<_>>().join(", "))
}

fn are(sevenths: u32) -> String {
    let verb = if sevenths > WHOLE { "are" } else { "is" };
    format!("{} {verb}", Equivalents(sevenths))
}

fn there_are(names: &[String]) -> String {
    match names {
        [] => "there is none".into(),
        [one] => format!("there is {one}"),
        several => format!("there are {}", several.join(", ")),
    }
}

fn network_word(host: bool) -> &'static str {
    if host { "share the machine's network" } else { "have no network" }
}

fn is_stopped(state: ContainerState) -> bool {
    matches!(state, ContainerState::Created | ContainerState::Exited | ContainerState::Dead)
}

fn state_word(state: ContainerState) -> &'static str {
    if is_stopped(state) { "stopped" } else { state.as_str() }
}

fn plural(n: u32) -> &'static str {
    if n == 1 { "container" } else { "containers" }
}
