//! `image list`.

use std::collections::HashSet;
use std::time::Duration;

use super::Inventory;
use crate::admin::inventory::{self, ImageGroup, ImageSummary};
use crate::cli::args::ImageListArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::ui::table::{Column, Table};
use crate::ui::{OutputStyle, human};

pub(crate) async fn run(session: &Session, args: &ImageListArgs) -> Result<Exit, CliError> {
    let inventory = Inventory::read(session).await?;
    let snapshot = &inventory.snapshot;
    let mut groups = inventory::groups(snapshot);
    // A project's own name may be that of a shared image, too; then it is not enough.
    let means = |name: &str, group: &ImageGroup| {
        inventory::find(name, &groups, snapshot).is_ok_and(|g| g.name == group.name)
    };
    let short: HashSet<String> = groups
        .iter()
        .filter(|group| !args.all && group.is_of_caller(snapshot) && means(&group.project, group))
        .map(|group| group.name.clone())
        .collect();
    groups.retain(|group| args.all || group.is_of_caller(snapshot));
    let facts = inventory.facts(session, &groups.iter().collect::<Vec<_>>()).await?;
    let rows: Vec<ImageSummary> =
        groups.iter().map(|group| inventory::summarize(snapshot, &facts, group)).collect();
    let mut output = session.output();
    output.data(&rows, |rows, look| text(rows, &short, args.all, look));
    if rows.is_empty() && !session.json {
        output.note(match args.all {
            true => "there are no images; `ds01-build image create NAME` makes one",
            false => {
                "you have no images; `--all` shows everybody's, `ds01-build image create NAME` makes one"
            }
        });
    }
    if let Err(cause) = &facts.states
        && !rows.is_empty()
    {
        output.note(&format!("whether images are up to date is not known: {cause}"));
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// A table, and below it why images are outdated, which no table has room for.
fn text(rows: &[ImageSummary], short: &HashSet<String>, all: bool, look: &OutputStyle) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let first = if all { "NAME" } else { "PROJECT" };
    let mut table = Table::new([
        Column::left(first),
        Column::left("BASED ON"),
        Column::right("OWN"),
        Column::right("SHARED"),
        Column::left("AGE"),
        Column::right("USED"),
        Column::left("STATE"),
    ]);
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), human::bytes);
    for row in rows {
        let state =
            if row.legacy { format!("old, {}", row.state.words()) } else { row.state.words().to_owned() };
        let running = row.containers.iter().filter(|user| user.running).count();
        table.row([
            called(row, short).to_owned(),
            row.base.clone().unwrap_or_else(|| "?".to_owned()),
            size(row.own),
            size(row.shared),
            row.age_seconds.map_or_else(|| "-".to_owned(), |age| human::short_age(Duration::from_secs(age))),
            format!("{running}/{}", row.containers.len()),
            state,
        ]);
    }
    let mut text = table.render(look.width, look.either("…", "~"));
    for row in rows {
        if let Some(why) = row.state.because() {
            text.push_str(&format!("{} is outdated: {why}\n", called(row, short)));
        }
    }
    text
}

/// The shortest name that commands take for it.
fn called<'a>(row: &'a ImageSummary, short: &HashSet<String>) -> &'a str {
    if short.contains(&row.name) { &row.project } else { &row.name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::inventory::summary::AgeSource;
    use crate::admin::inventory::{ContainerUse, ImageState};
    use crate::model::names::{ImageId, NodeName};
    use crate::plan::Reason;

    fn row(name: &str, state: ImageState) -> ImageSummary {
        let built = !matches!(state, ImageState::NotBuilt);
        let user = ContainerUse { container: "c".into(), running: true, status: "Up".into() };
        ImageSummary {
            name: name.into(),
            project: name.rsplit('/').next().unwrap_or(name).into(),
            node: Some(NodeName::new(name)),
            owner: None,
            legacy: false,
            base: Some("vision@py312".into()),
            image: built.then(|| ImageId::new("sha256:1")),
            tags: Vec::new(),
            size: built.then_some(19_000_000_000),
            own: built.then_some(32_100),
            shared: built.then_some(18_999_967_900),
            age_seconds: built.then_some(3 * 3600),
            age_from: built.then_some(AgeSource::Tag),
            state,
            containers: vec![user.clone(), ContainerUse { running: false, ..user }],
            older: Vec::new(),
        }
    }

    #[test]
    fn a_terminal_of_80_columns_shows_every_column_and_every_reason() {
        let rows = [
            row("h-baker/thesis", ImageState::UpToDate),
            row("c-fusarbassini/satellite", ImageState::Outdated { reasons: vec![Reason::Evicted] }),
            row("h-baker/maps", ImageState::NotBuilt),
            ImageSummary {
                node: None,
                legacy: true,
                base: Some("aimehub/pytorch-2.8.0-aime-cuda12.6.3".into()),
                ..row("aimehub/pytorch-2.8.0-aime-cuda12.6.3:old._.1722830498", ImageState::NotInSpec)
            },
        ];
        let look = OutputStyle { width: Some(80), ..OutputStyle::default() };
        let own: HashSet<String> = rows.iter().map(|row| row.name.clone()).collect();
        let text = text(&rows, &HashSet::new(), true, &look) + "\n" + &text(&rows, &own, false, &look);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!(text);
    }
}
