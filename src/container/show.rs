//! One container in full, for `show`: as data and as people read it. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::list::{ContainerView, HeldGpus, Maker, ViewContext};
use crate::engine::{ContainerDetail, Image, ImageIndex, Mount, Network, Port, Usage};
use crate::gpu::claims::GpuClaim;
use crate::model::field_list::FieldList;
use crate::model::labels::read;
use crate::model::labels::{GROUP, INTERFACE, RECIPE, SLICE};

/// One container, and all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FullView {
    #[serde(flatten)]
    pub(crate) view: ContainerView,
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
pub(crate) fn show(
    claim: &GpuClaim,
    detail: ContainerDetail,
    images: &[Image],
    context: &ViewContext<'_>,
) -> FullView {
    let container = &claim.container;
    let labels = &container.labels;
    let text = |key| read::text(labels, key).map(str::to_owned);
    FullView {
        view: ContainerView::new(claim, &ImageIndex::new(images), context),
        short_name: container.short_name().to_owned(),
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
        now: context.now,
    }
}

fn rfc3339<S: Serializer>(seconds: &Option<i64>, s: S) -> Result<S::Ok, S::Error> {
    seconds.and_then(|at| jiff::Timestamp::from_second(at).ok()).map(|at| at.to_string()).serialize(s)
}

/// Width of the label of a line.
const LABEL: usize = 12;
const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// A number of bytes as memory is counted: `16 GiB`, `1.5 GiB`, `568 KiB`.
pub(crate) fn memory(bytes: u64) -> String {
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes} B");
    };
    let number = format!("{:.1}", bytes as f64 / unit as f64);
    format!("{} {name}", number.strip_suffix(".0").unwrap_or(&number))
}

/// CPUs as people count them: `1.5`, `4`.
fn cpus(cpus: f64) -> String {
    let number = format!("{cpus:.2}");
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl FullView {
    /// For people. `age` words how long ago something was.
    pub(crate) fn text(&self, age: &dyn Fn(Duration) -> String) -> String {
        let mut out = FieldList::new(&self.view.name, LABEL);
        self.write_state(&mut out, age);
        out.gap();
        self.write_image(&mut out);
        out.lines("gpus", self.gpus());
        out.line("limits", &self.limits_text());
        out.line("uses now", &self.view.usage.map(|usage| uses(&usage)).unwrap_or_default());
        out.gap();
        out.lines("mounts", self.mounts.iter().map(mount));
        out.lines("ports", self.ports.iter().map(|port| self.port(port)));
        out.line("network", network(&self.network));
        out.line("program", &self.program());
        out.line("old labels", &self.legacy_labels.join(", "));
        let next = self.next();
        if !next.is_empty() {
            out.gap();
            next.iter().for_each(|(what, command)| out.line(what, command));
        }
        out.into_text()
    }

    fn write_state(&self, out: &mut FieldList, age: &dyn Fn(Duration) -> String) {
        let view = &self.view;
        let when = |at: Option<i64>| {
            let Some(time) = at.and_then(|at| Timestamp::from_second(at).ok()) else { return String::new() };
            let past = u64::try_from(self.now.saturating_sub(time.as_second())).unwrap_or_default();
            format!("{} ({time})", age(Duration::from_secs(past)))
        };
        let protected = if view.protected { ", protected" } else { "" };
        let ended = self.exit_code.map(|code| format!(" with code {code}")).unwrap_or_default();
        let memory = if self.out_of_memory { ", as it wanted more memory than it may have" } else { "" };
        out.line("state", &format!("{}{ended}{memory}{protected}", view.state));
        out.line("notice", view.notice.as_deref().unwrap_or_default());
        out.line("error", self.error.as_deref().unwrap_or_default());
        let owner = view.owner.as_deref().unwrap_or("?");
        let group = self.group.as_ref().map(|group| format!(" (group {group})")).unwrap_or_default();
        out.line("owner", &format!("{owner}{group}"));
        if matches!(view.made_by, Maker::Ours | Maker::Legacy) {
            out.line("project", &view.project);
        }
        out.line("made by", &self.maker());
        out.line("created", &when(self.created));
        out.line("started", &when(self.started));
        out.line("ended", &when(self.finished.filter(|_| !view.state.is_running())));
    }

    fn maker(&self) -> String {
        match (self.view.made_by, self.interface.as_deref()) {
            (Maker::Ours, None | Some("orchestration")) => "ds01-build deploy".into(),
            (Maker::Ours, Some(interface)) => format!("another way: {interface}"),
            (Maker::Legacy, _) => "an older system".into(),
            (Maker::Foreign | Maker::Other, _) => "something else; ds01-build leaves it alone".into(),
        }
    }

    fn write_image(&self, out: &mut FieldList) {
        let newer = match self.view.newer {
            Some(true) => "; a newer one exists",
            _ => "",
        };
        out.line("image", &format!("{}{newer}", self.view.image));
        out.line("", self.view.image_id.as_str());
        out.line("recipe", self.recipe.as_deref().unwrap_or_default());
    }

    fn gpus(&self) -> Vec<String> {
        let summary = self.view.gpus_text();
        let Some(HeldGpus { uuids, slots, .. }) = &self.view.held else { return vec![summary] };
        if self.privileged && self.view.made_by != Maker::Ours {
            return vec![format!("{summary}; it has every device of the machine")];
        }
        let slot = |at: usize| slots.get(at).filter(|_| slots.len() == uuids.len());
        let each = uuids.iter().enumerate().map(|(at, uuid)| match slot(at) {
            Some(slot) => format!("{uuid} (slot {slot})"),
            None => uuid.clone(),
        });
        if uuids.is_empty() { vec![summary] } else { each.collect() }
    }

    fn limits_text(&self) -> String {
        let limits = &self.limits;
        let parts = [
            limits.cpus.map(|n| format!("{} CPUs", cpus(n))),
            limits.memory.map(|bytes| format!("{} of memory", memory(bytes))),
            limits.shm_size.map(|bytes| format!("{} of shared memory", memory(bytes))),
            limits.pids.map(|n| format!("{n} processes")),
            limits.slice.as_ref().map(|slice| format!("all in {slice}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Where it is reached. From elsewhere a loopback address is only reached
    /// through this machine.
    fn port(&self, port: &Port) -> String {
        let inside = port.container;
        let (Some(outside), true) = (port.host, self.view.state.is_running()) else {
            return format!("{inside}, once it runs");
        };
        match port.address.as_deref() {
            Some(address @ ("127.0.0.1" | "::1" | "localhost")) => {
                let to = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
                format!(
                    "{inside} at {to}:{outside}; from elsewhere: ssh -L {inside}:{to}:{outside} THIS-MACHINE"
                )
            }
            Some(address) => format!("{inside} at {address}:{outside}"),
            None => format!("{inside} at port {outside} of this machine"),
        }
    }

    fn program(&self) -> String {
        let user = if self.user.is_empty() { "root" } else { &self.user };
        let place = if self.workdir.is_empty() { String::new() } else { format!(" in {}", self.workdir) };
        let command = self.command.join(" ");
        if command.is_empty() { command } else { format!("{command}{place} as {user}") }
    }

    /// What one may want to do now.
    fn next(&self) -> Vec<(&'static str, String)> {
        let (view, name) = (&self.view, &self.view.name);
        let command = |word: &str| format!("ds01-build container {word} {name}");
        let mut next = Vec::new();
        if !view.managed {
            return next;
        }
        if view.state.is_running() {
            next.extend([("enter it", command("enter")), ("stop it", command("stop"))]);
        } else {
            next.push(("start it", command("start")));
        }
        next.push(("remove it", command("retire")));
        if view.newer == Some(true) {
            next.push(("update it", format!("{}, then {}", command("retire"), view.deploy)));
        }
        next.push(("explain it", format!("ds01-build why {name} --container")));
        next
    }
}

fn uses(usage: &Usage) -> String {
    let Usage { cpus, memory: bytes, pids } = usage;
    format!("{cpus:.2} CPUs, {} of memory, {pids} processes", memory(*bytes))
}

fn mount(mount: &Mount) -> String {
    let read_only = if mount.read_only { ", read only" } else { "" };
    let source = mount.source.display().to_string();
    let from = if source.is_empty() { "memory".to_owned() } else { source };
    format!("{} from {from}{read_only}", mount.target)
}

fn network(network: &Network) -> &str {
    match network {
        Network::Bridge => "bridge: out to everywhere, in by its ports only",
        Network::Host => "the machine's own",
        Network::None => "none",
        Network::Named(name) => name,
    }
}

#[cfg(test)]
mod tests;
