//! `catalog list` and `catalog check`: the catalogue that the spec names, else
//! the program's own.

mod check;
mod list;

use std::path::Path;
use std::sync::Arc;

use super::args::CatalogCommand;
use super::exit::Exit;
use super::load::CliError;
use super::settings::Settings;
use crate::model::problem::{Problem, SourceFile};
use crate::spec::files::{Disk, Files, Unreadable};
use crate::spec::{self, World};

/// Largest file that is read as a catalogue: some ten thousand rows.
const MAX_FILE: u64 = 1 << 20;

pub(crate) fn run(settings: &Settings, command: &CatalogCommand) -> Result<Exit, CliError> {
    match command {
        CatalogCommand::List(args) => list::run(settings, args),
        CatalogCommand::Check(args) => check::run(settings, args),
    }
}

/// The file that the spec names; `None`: there is no spec, or it names none.
fn named(settings: &Settings) -> Result<Option<Arc<SourceFile>>, CliError> {
    let Some(spec_file) = &settings.spec_file else { return Ok(None) };
    spec::catalog_file(&settings.here, spec_file, &World::of(&Disk)).map_err(CliError::Problems)
}

/// A file that the command line names.
fn file(settings: &Settings, path: &Path) -> Result<Arc<SourceFile>, CliError> {
    let bytes = Disk.read(&settings.here.join(path), MAX_FILE).map_err(|why| {
        let why = match why {
            Unreadable::Missing => "there is no such file".into(),
            Unreadable::NotAFile => "it is no file".into(),
            Unreadable::TooLarge(size) => format!("{} MiB are no catalogue", size >> 20),
            Unreadable::Io(error) => error.to_string(),
        };
        let problem = Problem::new(format!("cannot read the catalogue {}: {why}", path.display()));
        CliError::Usage(problem.help("name an ml_images.repo"))
    })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Arc::new(SourceFile { path: path.to_owned(), text }))
}
