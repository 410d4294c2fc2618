//! One container in full, as people read it.

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::Shown;
use crate::container::{Held, Maker};
use crate::engine::{Mount, Network, Port, Usage};

/// Width of what stands before a line.
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

/// Lines of one label.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// Nothing for an empty value.
    fn line(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            let _ = writeln!(self.0, "  {label:LABEL$}{value}");
        }
    }

    /// One for each; the label stands before the first.
    fn lines(&mut self, label: &str, values: impl IntoIterator<Item = String>) {
        for (at, value) in values.into_iter().enumerate() {
            self.line(if at == 0 { label } else { "" }, &value);
        }
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }
}

impl Shown {
    /// For people. `age` says how long ago something was.
    pub(crate) fn text(&self, age: &dyn Fn(Duration) -> String) -> String {
        let mut out = Lines(format!("{}\n", self.row.name));
        self.say_state(&mut out, age);
        out.gap();
        self.say_image(&mut out);
        out.lines("gpus", self.gpus());
        out.line("limits", &self.limits_text());
        out.line("uses now", &self.row.usage.map(|usage| uses(&usage)).unwrap_or_default());
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
        out.0
    }

    fn say_state(&self, out: &mut Lines, age: &dyn Fn(Duration) -> String) {
        let row = &self.row;
        let when = |at: Option<i64>| {
            let Some(time) = at.and_then(|at| Timestamp::from_second(at).ok()) else { return String::new() };
            let past = u64::try_from(self.now.saturating_sub(time.as_second())).unwrap_or_default();
            format!("{} ({time})", age(Duration::from_secs(past)))
        };
        let protected = if row.protected { ", protected" } else { "" };
        let ended = self.exit_code.map(|code| format!(" with code {code}")).unwrap_or_default();
        let memory = if self.out_of_memory { ", as it wanted more memory than it may have" } else { "" };
        out.line("state", &format!("{}{ended}{memory}{protected}", row.state));
        out.line("notice", row.notice.as_deref().unwrap_or_default());
        out.line("error", self.error.as_deref().unwrap_or_default());
        let owner = row.owner.as_deref().unwrap_or("?");
        let group = self.group.as_ref().map(|group| format!(" (group {group})")).unwrap_or_default();
        out.line("owner", &format!("{owner}{group}"));
        if matches!(row.made_by, Maker::Ours | Maker::Legacy) {
            out.line("project", &row.project);
        }
        out.line("made by", &self.maker());
        out.line("created", &when(self.created));
        out.line("started", &when(self.started));
        out.line("ended", &when(self.finished.filter(|_| !row.runs())));
    }

    fn maker(&self) -> String {
        match (self.row.made_by, self.interface.as_deref()) {
            (Maker::Ours, None | Some("orchestration")) => "ds01-build deploy".into(),
            (Maker::Ours, Some(interface)) => format!("another way: {interface}"),
            (Maker::Legacy, _) => "an older system".into(),
            (Maker::Foreign | Maker::Other, _) => "something else; ds01-build leaves it alone".into(),
        }
    }

    fn say_image(&self, out: &mut Lines) {
        let newer = match self.row.newer {
            Some(true) => "; a newer one exists",
            _ => "",
        };
        out.line("image", &format!("{}{newer}", self.row.image));
        out.line("", self.row.image_id.as_str());
        out.line("recipe", self.recipe.as_deref().unwrap_or_default());
    }

    fn gpus(&self) -> Vec<String> {
        let summary = self.row.gpus_text();
        let Some(Held { uuids, slots, .. }) = &self.row.held else { return vec![summary] };
        if self.privileged && self.row.made_by != Maker::Ours {
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
        let (Some(outside), true) = (port.host, self.row.runs()) else {
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
        let (row, name) = (&self.row, &self.row.name);
        let command = |word: &str| format!("ds01-build container {word} {name}");
        let mut next = Vec::new();
        if !row.managed {
            return next;
        }
        if row.runs() {
            next.extend([("enter it", command("enter")), ("stop it", command("stop"))]);
        } else {
            next.push(("start it", command("start")));
        }
        next.push(("remove it", command("retire")));
        if row.newer == Some(true) {
            next.push(("update it", format!("{}, then {}", command("retire"), row.deploy)));
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
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_in_powers_of_two() {
        for (bytes, text) in [
            (0, "0 B"),
            (581_632, "568 KiB"),
            (200 << 20, "200 MiB"),
            (16 << 30, "16 GiB"),
            (3 << 29, "1.5 GiB"),
            (2 << 40, "2048 GiB"),
        ] {
            assert_eq!(memory(bytes), text);
        }
    }

    #[test]
    fn cpus_are_written_as_they_are_asked_for() {
        for (number, text) in [(4.0, "4"), (1.5, "1.5"), (0.25, "0.25"), (10.0, "10")] {
            assert_eq!(cpus(number), text);
        }
    }
}
