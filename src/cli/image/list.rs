//! `image list`.

use super::look::Scene;
use crate::cli::args::ImageListArgs;
use crate::cli::exit::Exit;
use crate::cli::load::Trouble;
use crate::cli::settings::Settings;
use crate::images::{self, Row};
use crate::report::table::{Column, Table};
use crate::report::{Look, human};

pub async fn run(settings: &Settings, args: &ImageListArgs) -> Result<Exit, Trouble> {
    let scene = Scene::look(settings).await?;
    let known = scene.known();
    let mut groups = images::groups(&known);
    groups.retain(|group| args.all || group.is_of(&known));
    let sight = scene.seen(settings, &groups.iter().collect::<Vec<_>>()).await?;
    let looked = sight.looked();
    let rows: Vec<Row> = groups.iter().map(|group| images::row(&known, &looked, group)).collect();
    let mut output = settings.output();
    output.data(&rows, |rows, look| text(rows, args.all, look));
    if rows.is_empty() && !settings.json {
        output.note(match args.all {
            true => "there are no images; `ds01-build image create NAME` makes one",
            false => {
                "you have no images; `--all` shows everybody's, `ds01-build image create NAME` makes one"
            }
        });
    }
    if let Some(cause) = sight.silence().filter(|_| !rows.is_empty()) {
        output.note(&format!("whether images are up to date is not known: {cause}"));
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// A table, and below it why images are outdated, which no table has room for.
fn text(rows: &[Row], all: bool, look: &Look) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let first = if all { "NAME" } else { "PROJECT" };
    let mut table = Table::new([
        Column::left(first),
        Column::left("STANDS ON"),
        Column::right("OWN"),
        Column::right("SHARED"),
        Column::left("BUILT"),
        Column::right("USED"),
        Column::left("STATE"),
    ]);
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), human::bytes);
    for row in rows {
        let state =
            if row.legacy { format!("{}, old", row.state.words()) } else { row.state.words().to_owned() };
        let running = row.containers.iter().filter(|user| user.running).count();
        table.row([
            called(row, all).to_owned(),
            row.base.clone().unwrap_or_else(|| "?".to_owned()),
            size(row.own),
            size(row.shared),
            row.age_seconds.map_or_else(|| "-".to_owned(), age),
            format!("{running}/{}", row.containers.len()),
            state,
        ]);
    }
    let mut text = table.render(look.width, look.either("…", "~"));
    for row in rows {
        if let Some(why) = row.state.because() {
            text.push_str(&format!("{} is outdated: {why}\n", called(row, all)));
        }
    }
    text
}

fn called(row: &Row, all: bool) -> &str {
    if all || row.node.is_none() { &row.name } else { &row.project }
}

fn age(seconds: u64) -> String {
    human::age(std::time::Duration::from_secs(seconds))
}
