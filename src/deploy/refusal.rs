//! Why a container is not made, and what to do about it.

use std::path::PathBuf;

use crate::names::{ImageId, Login};

/// A deploy that is refused before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no limits are known for group `{group}` of `{login}`")]
    UnknownGroup { group: String, login: Login },
    #[error("limit `{limit}` of group `{group}` is zero, which an engine reads as no limit")]
    ZeroLimit { group: String, limit: &'static str },
    /// `state` is the engine's word: `running`, `exited`, …
    #[error("container `{name}` already exists and is {}", state_word(state))]
    NameTaken { name: String, state: String },
    #[error("group `{group}` may have {limit} {}, and these exist: {}", plural(*limit), names.join(", "))]
    TooMany { group: String, limit: u32, names: Vec<String> },
    #[error("image {image} does not have the account of `{login}`")]
    NotTheirImage { image: ImageId, login: Login },
    #[error("image {image} carries labels of a container: {}", keys.join(", "))]
    StrayLabels { image: ImageId, keys: Vec<String> },
    #[error("workspace `{}` is not an absolute path", path.display())]
    Workspace { path: PathBuf },
}

impl Refusal {
    /// What to do.
    pub fn help(&self) -> String {
        match self {
            Self::UnknownGroup { group, .. } => {
                format!("add `{group}` under `limits:` in the spec, or give the user another group")
            }
            Self::ZeroLimit { limit, .. } => {
                format!("write a number above zero, or `{limit}: null` for none")
            }
            Self::NameTaken { name, state } if is_stopped(state) => {
                format!(
                    "start it with `docker start {name}`, remove it with `ds01-build container retire {name}`, \
                     or make another with --name NAME"
                )
            }
            Self::NameTaken { name, .. } => {
                format!(
                    "use it, remove it with `ds01-build container retire {name}`, or make another with --name NAME"
                )
            }
            Self::TooMany { names, .. } => {
                let first = names.first().map_or("NAME", String::as_str);
                format!("remove one that is done with, e.g. `ds01-build container retire {first}`")
            }
            Self::NotTheirImage { .. } => "build the project's image again with `ds01-build build`".into(),
            Self::StrayLabels { .. } => {
                "build the image again; labels of containers must not be on an image".into()
            }
            Self::Workspace { .. } => "say the whole path, beginning with `/`".into(),
        }
    }
}

fn is_stopped(state: &str) -> bool {
    matches!(state, "created" | "exited" | "dead")
}

fn state_word(state: &str) -> &str {
    if is_stopped(state) { "stopped" } else { state }
}

fn plural(n: u32) -> &'static str {
    if n == 1 { "container" } else { "containers" }
}
