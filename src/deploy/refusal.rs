//! Why a container is not made, and what to do about it.
//!
//! A limit's refusal says the limit, what is in use, what is asked for and
//! what would fit.

use std::path::PathBuf;

use super::limits::{Held, Who};
use super::mounts::Wrong;
use crate::engine::ContainerState;
use crate::gpu::choose::{AllocationError, Equivalents};
use crate::model::names::{ImageId, Login};

/// A deploy that is refused before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("limit `{limit}` of group `{group}` is zero, which an engine reads as no limit")]
    ZeroLimit { group: String, limit: &'static str },
    #[error("container `{name}` already exists and is {}", state_word(*state))]
    NameTaken { name: String, state: ContainerState },
    #[error("{who} may have {limit} {}; {}, and one more is asked for", plural(*limit), there_are(names))]
    TooMany { who: Who, limit: u32, names: Vec<String> },
    /// `key` is the limit's name in the spec.
    #[error("{who} may use {limit} of `{key}` in one container, and {asked} is asked for")]
    OverLimit { who: Who, key: &'static str, limit: String, asked: String },
    #[error("the engine's machine has {cpus} CPUs, and {asked} are asked for")]
    FewerCpus { cpus: u32, asked: String },
    #[error("{who} may have {limit} GPUs and MIG instances in one container, and {asked} are asked for")]
    GpusPerContainer { who: Who, limit: u32, asked: u32 },
    /// `most` and `asked` in sevenths of a GPU; `fits` is an option that would.
    #[error(
        "{who} may use {limit} GPU {}; {}, and {} asked for",
        if limit == "1" { "equivalent" } else { "equivalents" },
        in_use(held),
        are(*asked)
    )]
    GpuEquivalents { who: Who, limit: String, most: u32, held: Vec<Held>, asked: u32, fits: Option<String> },
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
    Mount(#[from] Wrong),
    #[error("image {image} does not have the account of `{login}`")]
    NotTheirImage { image: ImageId, login: Login },
    #[error("image {image} carries labels of a container: {}", keys.join(", "))]
    StrayLabels { image: ImageId, keys: Vec<String> },
    #[error("workspace `{}` is not an absolute path", path.display())]
    Workspace { path: PathBuf },
}

impl Refusal {
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
fn what_fits(most: u32, held: &[Held], asked: u32, fits: Option<&str>) -> String {
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
fn enough(held: &[Held], needed: u32) -> Vec<&str> {
    let one = held.iter().filter(|held| held.sevenths >= needed).min_by_key(|held| held.sevenths);
    if let Some(one) = one {
        return vec![&one.container];
    }
    let mut largest: Vec<_> = held.iter().collect();
    largest.sort_by_key(|held| std::cmp::Reverse(held.sevenths));
    let mut freed = 0;
    let more = |held: &&&Held| {
        let missing = freed < needed;
        freed += held.sevenths;
        missing
    };
    largest.iter().take_while(more).map(|held| held.container.as_str()).collect()
}

fn in_use(held: &[Held]) -> String {
    let used: u32 = held.iter().map(|held| held.sevenths).sum();
    if used == 0 {
        return "none is in use".into();
    }
    let each = |held: &Held| format!("{} ({})", held.container, Equivalents(held.sevenths));
    format!("{} in use by {}", are(used), held.iter().map(each).collect::<Vec<_>>().join(", "))
}

fn are(sevenths: u32) -> String {
    let verb = if sevenths > crate::gpu::overview::WHOLE { "are" } else { "is" };
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
