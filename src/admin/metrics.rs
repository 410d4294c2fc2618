//! What monitoring wants to know, as Prometheus text. Pure.
//!
//! What could not be read is absent, never zero; `ds01_up` says which part
//! was asked in vain. Names and units follow Prometheus' conventions: bytes,
//! seconds, ratios. The text is of version 0.0.4 of the format.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

use crate::engine::{Container, Image};
use crate::gpu::DriverState;
use crate::gpu::overview::{Availability, Overview};
use crate::model::labels::GROUP;
use crate::model::labels::read::{self, LoginOfUid};
use crate::plan::history::RunRecord;

/// What figures are made from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// Of this program.
    pub(crate) version: &'a str,
    pub(crate) gpus: &'a Overview,
    /// `None`: the engine does not answer.
    pub(crate) engine: Option<&'a EngineLists>,
    pub(crate) users: LoginOfUid<'a>,
}

/// What an engine lists.
#[derive(Default)]
pub(crate) struct EngineLists {
    pub(crate) containers: Vec<Container>,
    pub(crate) images: Vec<Image>,
    /// How the last run of this user on this engine ended; `None`: there was none.
    pub(crate) last_run: Option<RunRecord>,
}

/// Figures of one name, all of them gauges.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    pub(crate) samples: Vec<Figure>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// In the order in which they are written.
    #[serde(serialize_with = "labels")]
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Number,
}

impl Family {
    fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: "gauge", samples: Vec::new() }
    }

    /// Adds a figure. Labels without a value are left out, which is the same
    /// to Prometheus.
    fn add<'v>(&mut self, labels: impl IntoIterator<Item = (&'static str, &'v str)>, value: u64) {
        self.push(labels, value.into());
    }

    /// The same for one that is no whole number; what is no number at all is
    /// left out.
    fn add_ratio<'v>(&mut self, labels: impl IntoIterator<Item = (&'static str, &'v str)>, value: f64) {
        if let Some(value) = Number::from_f64(value) {
            self.push(labels, value);
        }
    }

    fn push<'v>(&mut self, labels: impl IntoIterator<Item = (&'static str, &'v str)>, value: Number) {
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        let labels: Vec<_> = labels.map(|(name, value)| (name, value.to_owned())).collect();
        // One figure that stands twice makes a collector refuse all of them.
        if !self.samples.iter().any(|sample| sample.labels == labels) {
            self.samples.push(Figure { labels, value });
        }
    }
}

fn labels<S: Serializer>(labels: &[(&'static str, String)], to: S) -> Result<S::Ok, S::Error> {
    let pairs = labels.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
    pairs.collect::<Map<_, _>>().serialize(to)
}

/// Every family, those without a figure too.
pub(crate) fn families(sources: &Sources<'_>) -> Vec<Family> {
    let mut all = vec![build_info(sources.version), up(sources)];
    all.extend(gpus(sources.gpus));
    if let Some(lists) = sources.engine {
        all.extend([containers(lists, sources.users), foreign(lists), images(lists)]);
        all.extend(lists.last_run.iter().flat_map(last_build));
    }
    all
}

/// Something answered: the figures are about more than themselves.
pub(crate) fn any_answered(sources: &Sources<'_>) -> bool {
    is_ready(sources.gpus) || sources.engine.is_some()
}

fn is_ready(gpus: &Overview) -> bool {
    matches!(gpus.driver, DriverState::Ready { .. })
}

fn build_info(version: &str) -> Family {
    let mut family = Family::new("ds01_build_info", "Version of the program that wrote these figures.");
    family.add([("version", version)], 1);
    family
}

fn up(sources: &Sources<'_>) -> Family {
    let mut family =
        Family::new("ds01_up", "Whether a part could be asked: 1, or 0 and its figures are absent.");
    family.add([("part", "engine")], u64::from(sources.engine.is_some()));
    family.add([("part", "nvml")], u64::from(is_ready(sources.gpus)));
    family
}

/// GPUs and MIG instances alike: the label `gpu` is `0`, or `0.1` for an instance.
fn gpus(overview: &Overview) -> Vec<Family> {
    let mut info = Family::new("ds01_gpu_info", "GPUs and MIG instances of this machine.");
    let mut state = Family::new(
        "ds01_gpu_state",
        "How a GPU or MIG instance stands: free, held, busy, divided, no_instances, prohibited, lost or unknown.",
    );
    let mut held = Family::new("ds01_gpu_held", "Which container holds a GPU or MIG instance.");
    let mut total = Family::new("ds01_gpu_memory_bytes", "Memory of a GPU or MIG instance.");
    let mut used = Family::new("ds01_gpu_memory_used_bytes", "Memory in use of a GPU or MIG instance.");
    let mut busy =
        Family::new("ds01_gpu_utilization_ratio", "Part of the last moment in which a GPU computed.");
    for unit in overview.units() {
        let (slot, usage) = (unit.slot(), unit.usage());
        let named = || [("gpu", slot.as_str()), ("uuid", unit.uuid().unwrap_or_default())].into_iter();
        let what = match unit.instance {
            None => [("kind", "gpu"), ("model", unit.gpu.model.as_deref().unwrap_or_default())],
            Some(_) => [("kind", "mig"), ("profile", unit.profile().unwrap_or_default())],
        };
        info.add(named().chain(what), 1);
        state.add(named().chain([("state", availability(usage.availability))]), 1);
        for holder in &usage.holders {
            let user = holder.owner.as_deref().unwrap_or_default();
            held.add(named().chain([("container", holder.container.as_str()), ("user", user)]), 1);
        }
        if let Some(memory) = unit.memory() {
            total.add(named(), memory.total);
            used.add(named(), memory.used);
        }
        if let Some(percent) = unit.gpu.utilization.filter(|_| unit.instance.is_none()) {
            busy.add_ratio(named(), f64::from(percent) / 100.0);
        }
    }
    let mut gone =
        Family::new("ds01_gpu_gone", "Containers that hold a GPU which the machine does not show.");
    for claim in &overview.gone {
        let user = claim.owner.as_deref().unwrap_or_default();
        gone.add([("container", claim.container.as_str()), ("device", &claim.device), ("user", user)], 1);
    }
    vec![info, state, held, total, used, busy, gone]
}

fn availability(availability: Availability) -> &'static str {
    match availability {
        Availability::Free => "free",
        Availability::Held => "held",
        Availability::Busy => "busy",
        Availability::Divided => "divided",
        Availability::NoInstances => "no_instances",
        Availability::Prohibited => "prohibited",
        Availability::Lost => "lost",
        Availability::Unknown => "unknown",
    }
}

fn containers(lists: &EngineLists, users: LoginOfUid<'_>) -> Family {
    let mut family = Family::new("ds01_containers", "Containers of ds01-build and of the system before it.");
    let mut counts: BTreeMap<(String, &str, &str), u64> = BTreeMap::new();
    for container in lists.containers.iter().filter(|container| container.is_managed()) {
        let owner = container.owner(users);
        let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
        let group = read::text(&container.labels, &GROUP).unwrap_or_default();
        *counts.entry((owner, group, container.state.as_str())).or_default() += 1;
    }
    for ((owner, group, state), count) in &counts {
        family.add([("user", owner.as_str()), ("group", group), ("state", state)], *count);
    }
    family
}

fn foreign(lists: &EngineLists) -> Family {
    let mut family = Family::new("ds01_foreign_containers", "Containers that others made on the engine.");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for container in lists.containers.iter().filter(|container| !container.is_managed()) {
        *counts.entry(container.state.as_str()).or_default() += 1;
    }
    for (state, count) in counts {
        family.add([("state", state)], count);
    }
    family
}

/// Each image in one state, so that they add up.
fn images(lists: &EngineLists) -> Family {
    let mut family = Family::new(
        "ds01_images",
        "Images of ds01-build: in_use by a container, else tagged, else untagged.",
    );
    let mut counts = BTreeMap::from([("in_use", 0), ("tagged", 0), ("untagged", 0)]);
    for image in lists.images.iter().filter(|image| read::managed(&image.labels)) {
        let in_use = lists.containers.iter().any(|container| container.image_id == image.id);
        let state = if in_use {
            "in_use"
        } else if image.tags.is_empty() {
            "untagged"
        } else {
            "tagged"
        };
        *counts.entry(state).or_default() += 1;
    }
    for (state, count) in counts {
        family.add([("state", state)], count);
    }
    family
}

fn last_build(run: &RunRecord) -> [Family; 3] {
    let mut ended = Family::new("ds01_last_build_timestamp_seconds", "When the last run ended, since 1970.");
    ended.add([], run.at.try_into().unwrap_or(0));
    let mut took = Family::new("ds01_last_build_duration_seconds", "How long the last run took.");
    took.add_ratio([], std::time::Duration::from_millis(run.took_ms).as_secs_f64());
    let mut images = Family::new(
        "ds01_last_build_images",
        "Images that the last run had selected, by what became of them.",
    );
    let results = [
        ("built", run.built),
        ("fetched", run.fetched),
        ("kept", run.kept),
        ("failed", run.failed),
        ("blocked", run.blocked),
        ("cancelled", run.cancelled),
    ];
    for (result, count) in results {
        images.add([("result", result)], count);
    }
    [ended, took, images]
}

/// As node_exporter's textfile collector and Prometheus read it. Families
/// without a figure are left out.
pub(crate) fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let Family { name, help, kind, samples } = family;
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(help, false));
        for Figure { labels, value } in samples {
            let pairs: Vec<_> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value, true))).collect();
            let braced = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            let _ = writeln!(text, "{name}{braced} {value}");
        }
    }
    text
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', r"\\").replace('\n', r"\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests;
