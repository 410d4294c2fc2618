//! `image retire`.

use std::path::Path;

use super::Inventory;
use crate::admin::inventory::retire::{self, FileChange, ImageRemoval, Removal};
use crate::cli::args::ImageRetireArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::model::problem::Problem;
use crate::ui::human;

pub(crate) async fn run(session: &Session, args: &ImageRetireArgs) -> Result<Exit, CliError> {
    let Inventory { engine, snapshot, .. } = Inventory::read(session).await?;
    let layers = retire::layers(engine.as_ref(), &snapshot.images).await?;
    let retirement = retire::decide(&args.name, args.keep_spec, &snapshot, &layers)?;
    // All that can be known to fail fails before anything is gone.
    let change = retirement.entry().map(|entry| FileChange::without(entry, &session.here)).transpose()?;
    let mut output = session.output();
    if args.dry_run {
        output.data(&retirement, |retirement, _| lines(session, retirement, "would go"));
        output.note("nothing was done");
        output.finish()?;
        return Ok(Exit::Done);
    }
    if retirement.is_empty() {
        output.data(&Removal::default(), |_, _| {
            format!("{} has no image; there is nothing to remove\n", retirement.name())
        });
        output.finish()?;
        return Ok(Exit::Done);
    }
    if !args.yes && session.can_ask {
        output.note(lines(session, &retirement, "will go").trim_end());
        if !session.asks("remove this? [y/N]")? {
            output.note("nothing was done");
            output.finish()?;
            return Ok(Exit::Refused);
        }
    }
    let removal = retire::retire(engine.as_ref(), &retirement).await?;
    if let Some(change) = &change {
        change.apply().map_err(|error| not_written(session, &retirement, change, &error))?;
    }
    let project_file = change.as_ref().map(FileChange::path);
    output.data(&Report { removal: &removal, project_file }, |_, _| summary(session, &retirement, &removal));
    if snapshot.spec.is_none() && session.spec_file.is_some() {
        output.note("the spec cannot be read, so nothing was taken out of it; `ds01-build check` says why");
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// What was done, as data.
#[derive(serde::Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    removal: &'a Removal,
    project_file: Option<&'a Path>,
}

fn not_written(
    session: &Session,
    retirement: &ImageRemoval,
    change: &FileChange,
    error: &std::io::Error,
) -> CliError {
    let message = format!(
        "the images of {} are gone, but {} was not changed: {error}",
        retirement.name(),
        session.shown(change.path()).display()
    );
    CliError::refused(
        Problem::new(message).help("take the entry out by hand; until then `build` makes the image again"),
    )
}

/// One line for each thing.
fn lines(session: &Session, retirement: &ImageRemoval, verb: &str) -> String {
    let tags = retirement.tags().iter().map(|tag| format!("image {tag} {verb}\n"));
    let untagged = retirement.untagged().map(|id| format!("image {id} {verb}\n"));
    let entry = retirement.entry().map(|entry| {
        let file = session.shown(&entry.file).display().to_string();
        if entry.alone {
            return format!("file {file} {verb}\n");
        }
        format!("entry `{}` of {file} {verb}\n", entry.project)
    });
    tags.chain(untagged).chain(entry).collect()
}

fn summary(session: &Session, retirement: &ImageRemoval, removal: &Removal) -> String {
    let images = human::count(removal.images.len(), "image");
    let tags = human::count(removal.tags.len(), "tag");
    let file = retirement.entry().map(|entry| {
        let file = session.shown(&entry.file).display().to_string();
        if entry.alone {
            format!("; {file} is deleted")
        } else {
            format!("; its entry is no longer in {file}")
        }
    });
    format!("{} is removed: {images}, {tags}{}\n", retirement.name(), file.unwrap_or_default())
}
