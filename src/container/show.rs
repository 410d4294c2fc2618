//! One container in full, for `show`. Pure; [`super::sight`] looked.

mod text;

use serde::{Serialize, Serializer};

use super::Row;
use super::rows::{self, Around};
use super::sight::Seen;
use super::store::Store;
use crate::engine::{ContainerDetail, Image, Mount, Network, Port};
use crate::model::labels::read;
use crate::model::labels::{GROUP, INTERFACE, RECIPE, SLICE};
pub(crate) use text::memory;

/// One container, and all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    pub(crate) row: Row,
    /// Without the owner's uid: what its owner calls it.
    pub(crate) short_name: String,
    /// The group whose limits apply.
    pub(crate) group: Option<String>,
    /// How it came to be: `orchestration`, `compose`, …
    pub(crate) interface: Option<String>,
    /// What it was asked for as: a reference or an ID.
    pub(crate) made_from: String,
    /// Recipe digest of its image.
    pub(crate) recipe: Option<String>,
    /// RFC 3339, in UTC.
    #[serde(serialize_with = "rfc3339")]
    pub(crate) created: Option<i64>,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) started: Option<i64>,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) finished: Option<i64>,
    /// Of the last end; `None` for one that runs or never ran.
    pub(crate) exit_code: Option<i64>,
    pub(crate) out_of_memory: bool,
    /// What the engine says of its last failure.
    pub(crate) error: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) user: String,
    pub(crate) workdir: String,
    pub(crate) command: Vec<String>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) ports: Vec<Port>,
    pub(crate) network: Network,
    /// It has every device of the machine.
    pub(crate) privileged: bool,
    /// Old keys that something is still understood by.
    pub(crate) legacy_labels: Vec<&'static str>,
    /// Seconds since 1970 that ages are counted to.
    #[serde(skip)]
    now: i64,
}

/// What the engine holds it to; `None`: no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Limits {
    pub(crate) cpus: Option<f64>,
    #[serde(rename = "memory_bytes")]
    pub(crate) memory: Option<u64>,
    #[serde(rename = "shm_bytes")]
    pub(crate) shm_size: Option<u64>,
    pub(crate) pids: Option<u32>,
    /// The cgroup that it shares limits with.
    pub(crate) slice: Option<String>,
}

/// Everything about a container. `detail` is the engine's answer about it.
pub(crate) fn show(seen: &Seen, detail: ContainerDetail, images: &[Image], around: &Around<'_>) -> Shown {
    let container = &seen.container;
    let labels = &container.labels;
    let text = |key| read::text(labels, key).map(str::to_owned);
    Shown {
        row: rows::row(seen, &Store::new(images), around),
        short_name: read::short_name(labels, &container.name).to_owned(),
        group: text(&GROUP),
        interface: text(&INTERFACE),
        made_from: if detail.image.is_empty() { container.image.clone() } else { detail.image },
        recipe: text(&RECIPE),
        created: Some(container.created),
        started: detail.started,
        finished: detail.finished,
        exit_code: detail.exit_code,
        out_of_memory: detail.out_of_memory,
        error: (!detail.error.is_empty()).then_some(detail.error),
        limits: Limits {
            cpus: detail.cpus,
            memory: detail.memory,
            shm_size: detail.shm_size,
            pids: detail.pids,
            slice: text(&SLICE),
        },
        user: detail.user,
        workdir: detail.workdir,
        command: detail.command,
        mounts: detail.mounts,
        ports: detail.ports,
        network: detail.network,
        privileged: detail.devices.privileged,
        legacy_labels: read::relied_on(labels).map(|old| old.name).collect(),
        now: around.now,
    }
}

fn rfc3339<S: Serializer>(seconds: &Option<i64>, s: S) -> Result<S::Ok, S::Error> {
    seconds.and_then(|at| jiff::Timestamp::from_second(at).ok()).map(|at| at.to_string()).serialize(s)
}

#[cfg(test)]
mod tests;
