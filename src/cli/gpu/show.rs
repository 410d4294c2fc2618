//! GPUs as a table: one line for each, and one for each MIG instance below it.

use crate::gpu::overview::{Gone, Holder, InstanceRow, Overview, Row, Running, Standing, Usage};
use crate::gpu::{Kind, Memory, State};
use crate::ui::human::count;
use crate::ui::table::{Column, Table};

/// What is not known.
const UNKNOWN: &str = "?";
/// The last one is the UUID.
const COLUMNS: usize = 8;

/// All GPUs. Where that is wider than the terminal, UUIDs are left out first:
/// who holds a GPU is looked for more often.
pub(crate) fn table(seen: &Overview, width: Option<usize>) -> Table {
    let whole = columns(seen, COLUMNS);
    let rendered = whole.render(None, "");
    let widest = rendered.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    if width.is_some_and(|width| widest > width) { columns(seen, COLUMNS - 1) } else { whole }
}

/// The first ones.
fn columns(seen: &Overview, shown: usize) -> Table {
    let all = [
        Column::left("GPU").whole(),
        Column::left("MODEL"),
        Column::left("MIG").whole(),
        Column::right("MEMORY GIB"),
        Column::right("UTIL"),
        Column::left("USE"),
        Column::left("PROCESSES"),
        Column::left("UUID"),
    ];
    let mut table = Table::new(all.into_iter().take(shown));
    for row in &seen.gpus {
        table.row(gpu(row).into_iter().take(shown));
        row.instances.iter().for_each(|one| table.row(instance(one).into_iter().take(shown)));
    }
    table
}

fn gpu(row: &Row) -> [String; COLUMNS] {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.into());
    let mig = row.mig.map_or(UNKNOWN, |on| if on { "on" } else { "off" });
    // In MIG mode there is no figure for the whole.
    let none = if row.mig == Some(true) { "-" } else { UNKNOWN };
    let utilization = row.utilization.map_or_else(|| none.to_owned(), |percent| format!("{percent}%"));
    let usage = match row.usage.standing {
        Standing::Divided => format!("divided into {}", count(row.instances.len() as u64, "instance")),
        _ => self::usage(&row.usage),
    };
    let processes = if row.mig == Some(true) { String::new() } else { processes(&row.usage) };
    [
        row.index.to_string(),
        known(&row.model),
        mig.into(),
        memory(row.memory),
        utilization,
        usage,
        processes,
        known(&row.uuid),
    ]
}

fn instance(row: &InstanceRow) -> [String; COLUMNS] {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.into());
    [
        row.slot.clone(),
        String::new(),
        known(&row.profile),
        memory(row.memory),
        "-".into(),
        usage(&row.usage),
        processes(&row.usage),
        known(&row.uuid),
    ]
}

/// Used and all, in the unit in which GPUs are asked for.
fn memory(memory: Option<Memory>) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    memory
        .map_or_else(|| UNKNOWN.into(), |memory| format!("{:.1}/{:.1}", gib(memory.used), gib(memory.total)))
}

fn usage(usage: &Usage) -> String {
    let word = match usage.standing {
        Standing::Free => "free",
        Standing::Held => "",
        Standing::Busy => "busy",
        Standing::Divided => "divided",
        Standing::NoInstances => "unusable: MIG mode without instances",
        Standing::Prohibited => "unusable: its compute mode prohibits computing",
        Standing::Lost => "lost",
        Standing::Unknown => "unknown",
    };
    let mut parts = Vec::new();
    match &usage.why {
        Some(why) => parts.push(format!("{word}: {why}")),
        None if !word.is_empty() => parts.push(word.into()),
        None => {}
    }
    if !usage.holders.is_empty() {
        let holders: Vec<_> = usage.holders.iter().map(holder).collect();
        parts.push(format!("held by {}", holders.join(", ")));
    }
    parts.join("; ")
}

fn holder(holder: &Holder) -> String {
    let mut more: Vec<_> = holder.owner.iter().cloned().collect();
    if holder.state != "running" {
        more.push(holder.state.clone());
    }
    if more.is_empty() {
        return holder.container.clone();
    }
    format!("{} ({})", holder.container, more.join(", "))
}

fn processes(usage: &Usage) -> String {
    let Some(running) = &usage.processes else { return UNKNOWN.into() };
    running.iter().map(process).collect::<Vec<_>>().join(", ")
}

fn process(running: &Running) -> String {
    let process = &running.process;
    let name = process.name.as_deref().unwrap_or("process");
    let user = running.user.clone().or_else(|| process.uid.map(|uid| format!("uid {uid}")));
    let user = user.unwrap_or_else(|| "owner not readable".into());
    let kind = if process.kind == Kind::Graphics { ", display" } else { "" };
    format!("{name} {} ({user}{kind})", process.pid)
}

/// What a table cannot hold.
pub(crate) fn remarks(seen: &Overview) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(why) = &seen.holders_unknown {
        remarks.push(format!("which containers hold GPUs is not known, so none counts as free: {why}"));
    }
    remarks.extend(seen.gone.iter().map(gone));
    if !seen.privileged.is_empty() {
        let names: Vec<_> = seen.privileged.iter().map(|one| one.container.as_str()).collect();
        let names = names.join(", ");
        remarks.push(format!(
            "privileged containers reach every GPU, and hold those on which they compute: {names}"
        ));
    }
    if let State::Ready { driver, gpus: 0 } = &seen.driver {
        remarks.push(format!("driver {driver} is loaded and sees no GPU"));
    }
    remarks
}

fn gone(gone: &Gone) -> String {
    let owner = gone.owner.as_ref().map(|owner| format!(" ({owner})")).unwrap_or_default();
    format!("warning: {}{owner} holds {}, which this machine does not show", gone.container, gone.device)
}

#[cfg(test)]
mod tests;
