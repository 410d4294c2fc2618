//! `container list`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use super::now;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::container::list::{ContainerView, ViewContext, is_shown, measure, snapshot, views};
use crate::container::show::memory;
use crate::container::sweep;
use crate::ui::table::{Column, Table};
use crate::ui::{OutputStyle, human};

pub(super) const EXAMPLES: &str = "Examples:
  ds01-build container list
  ds01-build container list --stats                    CPU and memory now
  ds01-build container list --all                      everybody's, whoever made them
  ds01-build container list --json | jq -r '.[].name'
  ds01-build container list --all --json | jq '.[] | select(.newer_image) | .name'

With --all, `(legacy)` marks containers of the systems before, `(foreign)` those that something else made and that hold GPUs, `(other)` all else. GPUS are slots as in `gpu list`; `?` where nothing says what a stopped container would hold. CPU is in CPUs: 1.50 is one and a half.";

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// List everybody's containers
    #[arg(long, short)]
    all: bool,
    /// Measure what running ones take now; takes a moment
    #[arg(long)]
    stats: bool,
}

/// Shown where a container is not measured.
const NONE: &str = "-";

pub(crate) async fn run(session: &Session, args: &ListArgs) -> Result<Exit, CliError> {
    let engine = session.engine().await?;
    let caller = session.caller(None);
    let users = |uid| session.login(uid);
    let is_shown = |container: &_| is_shown(container, &caller, args.all, &users);
    let snapshot = snapshot(engine.as_ref(), is_shown).await?;
    let now = now();
    let mut rows = views(&snapshot, &ViewContext { now, users: &users, notices: &notices(now) });
    if args.stats {
        measure(engine.as_ref(), &mut rows).await?;
    }
    let mut output = session.output();
    output.data(&rows, |rows, style| table(rows, args.stats, style));
    if !session.json {
        remarks(&rows, args.all).iter().for_each(|remark| output.note(remark));
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// What the last sweep announced, by a container's id. Where no sweep runs
/// nothing is announced, and what cannot be read is no reason to show no list.
pub(super) fn notices(now: i64) -> BTreeMap<String, String> {
    let state = sweep::state::load(Path::new(sweep::state::PATH)).unwrap_or_default();
    sweep::report::notices(&state, now)
}

fn table(rows: &[ContainerView], stats: bool, style: &OutputStyle) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let columns = ["NAME", "PROJECT", "STATUS", "GPUS", "OWNER", "IMAGE"].map(Column::left);
    let measured = ["CPU", "MEMORY"].map(Column::right);
    let measured = measured.into_iter().filter(|_| stats);
    let mut table = Table::new(columns.into_iter().chain([Column::right("AGE")]).chain(measured));
    for row in rows {
        let image = match row.newer {
            Some(true) => format!("{} (newer exists)", row.image),
            _ => row.image.clone(),
        };
        let usage = row.usage;
        table.row([
            row.name.clone(),
            row.project_text(),
            row.status_text(),
            row.gpus_text(),
            row.owner.clone().unwrap_or_else(|| "?".into()),
            image,
            human::short_age(row.age),
            usage.map_or_else(|| NONE.into(), |usage| format!("{:.2}", usage.cpus)),
            usage.map_or_else(|| NONE.into(), |usage| memory(usage.memory)),
        ]);
    }
    table.render(style.width, style.either("…", "~"))
}

/// What a table cannot hold.
fn remarks(rows: &[ContainerView], all: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    if rows.is_empty() {
        remarks.push(if all {
            "there are no containers; `ds01-build deploy PROJECT` makes one".into()
        } else {
            "you have no containers; `--all` shows everybody's, `ds01-build deploy PROJECT` makes one".into()
        });
    }
    // Others' containers are others' to make anew.
    let old: Vec<_> = rows.iter().filter(|row| !all && row.managed && row.newer == Some(true)).collect();
    if let [first, more @ ..] = old.as_slice() {
        let others = if more.is_empty() { "" } else { ", and likewise for the others" };
        let (count, ContainerView { name, deploy, .. }) = (human::count(old.len(), "container"), first);
        remarks.push(format!(
            "a newer image exists for {count}; to have it: `ds01-build container retire {name}`, then `{deploy}`{others}"
        ));
    }
    remarks
}

#[cfg(test)]
mod tests;
