//! `image retire`.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::look::Inventory;
use super::show::refused;
use crate::admin::inventory::retire::{self, ProjectEntry, Removal, Retirement};
use crate::cli::args::ImageRetireArgs;
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::host::files;
use crate::model::problem::Problem;
use crate::spec::edit;
use crate::ui::human;

pub(crate) async fn run(settings: &Settings, args: &ImageRetireArgs) -> Result<Exit, CliError> {
    let Inventory { engine, snapshot, .. } = Inventory::read(settings).await?;
    let layers = retire::layers(engine.as_ref(), &snapshot.images).await?;
    let retirement =
        retire::decide(&args.name, args.keep_spec, &snapshot, &layers).map_err(|error| refused(&error))?;
    // All that can be known to fail fails before anything is gone.
    let change = retirement.entry().map(|entry| Change::of(settings, entry)).transpose()?;
    let mut output = settings.output();
    if args.dry_run {
        output.data(&retirement, |retirement, _| told(settings, retirement, "would go"));
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
    if !args.yes && settings.can_ask {
        output.note(told(settings, &retirement, "will go").trim_end());
        if !settings.asks("remove this? [y/N]")? {
            output.note("nothing was done");
            output.finish()?;
            return Ok(Exit::Refused);
        }
    }
    let gone = retire::retire(engine.as_ref(), &retirement).await?;
    if let Some(change) = &change {
        change.make().map_err(|error| not_written(settings, change, &retirement, &error))?;
    }
    output.data(
        &Done { gone: &gone, project_file: change.as_ref().map(|change| change.file.as_path()) },
        |_, _| done(settings, &retirement, &gone, change.as_ref()),
    );
    if snapshot.spec.is_none() && settings.spec_file.is_some() {
        output.note("the spec cannot be read, so nothing was taken out of it; `ds01-build check` says why");
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// What was done, as data.
#[derive(serde::Serialize)]
struct Done<'a> {
    #[serde(flatten)]
    gone: &'a Removal,
    project_file: Option<&'a Path>,
}

/// What becomes of a project's file.
struct Change {
    file: PathBuf,
    /// As the spec has it.
    shown: PathBuf,
    before: String,
    /// `None`: the file goes.
    after: Option<String>,
}

impl Change {
    fn of(settings: &Settings, entry: &ProjectEntry) -> Result<Self, CliError> {
        let after = match entry.alone {
            true => None,
            false => edit::remove(&entry.text, &entry.project).map_err(|why| {
                let problem = Problem::new(format!("{}: {why}", entry.file.display()));
                CliError::refused(problem.help("take the entry out by hand, or say --keep-spec"))
            })?,
        };
        let file = settings.here.join(&entry.file);
        changeable(&file).map_err(|error| {
            let problem = Problem::new(format!("{} cannot be changed: {error}", entry.file.display()));
            let help = "somebody with rights can take the entry out; --keep-spec removes the image alone";
            CliError::refused(problem.help(help))
        })?;
        Ok(Self { file, shown: entry.file.clone(), before: entry.text.clone(), after })
    }

    /// Whole or not at all; never over what somebody else wrote meanwhile.
    fn make(&self) -> io::Result<()> {
        if std::fs::read_to_string(&self.file)? != self.before {
            return Err(io::Error::other("it was changed meanwhile"));
        }
        let Some(after) = &self.after else { return std::fs::remove_file(&self.file) };
        files::replace(&self.file, &self.before, after)
    }
}

/// Whether files may come and go beside it, which is how it is changed.
fn changeable(file: &Path) -> io::Result<()> {
    let file = std::fs::canonicalize(file)?;
    let folder = file.parent().unwrap_or(&file);
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn not_written(settings: &Settings, change: &Change, retirement: &Retirement, error: &io::Error) -> CliError {
    let file = settings.shown(&change.shown);
    let message = format!(
        "the images of {} are gone, but {} was not changed: {error}",
        retirement.name(),
        file.display()
    );
    CliError::refused(
        Problem::new(message).help("take the entry out by hand; until then `build` makes the image again"),
    )
}

/// One line for each thing.
fn told(settings: &Settings, retirement: &Retirement, verb: &str) -> String {
    let tags = retirement.tags().iter().map(|tag| format!("image {tag} {verb}\n"));
    let untagged = retirement.untagged().map(|id| format!("image {id} {verb}\n"));
    let entry = retirement.entry().map(|entry| {
        let file = settings.shown(&entry.file);
        match entry.alone {
            true => format!("file {} {verb}\n", file.display()),
            false => format!("entry `{}` of {} {verb}\n", entry.project, file.display()),
        }
    });
    tags.chain(untagged).chain(entry).collect()
}

fn done(settings: &Settings, retirement: &Retirement, gone: &Removal, change: Option<&Change>) -> String {
    let images = human::count(gone.images.len() as u64, "image");
    let tags = human::count(gone.tags.len() as u64, "tag");
    let file = change.map(|change| {
        let file = settings.shown(&change.shown);
        match &change.after {
            None => format!("; {} is deleted", file.display()),
            Some(_) => format!("; its entry is no longer in {}", file.display()),
        }
    });
    format!("{} is removed: {images}, {tags}{}\n", retirement.name(), file.unwrap_or_default())
}
