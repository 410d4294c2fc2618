//! `check`: the spec and every file it names.

use serde_json::json;

use super::agree;
use super::exit::Exit;
use super::hashes::Hashes;
use super::load::{self, CliError};
use super::settings::Settings;
use crate::plan::observe;
use crate::ui::human;

pub(crate) fn run(settings: &Settings) -> Result<Exit, CliError> {
    let (spec, graph) = load::spec(settings)?;
    agree::check(settings, &spec, spec.users.keys())?;
    super::pins::load(settings)?;
    let hashes = Hashes::open(settings);
    observe::check_files(&spec, &graph, &hashes.cache).map_err(CliError::problems)?;
    hashes.save(settings);
    let counts = json!({
        "problems": [],
        "images": spec.images.len(),
        "bases": spec.bases.len(),
        "projects": spec.projects.len(),
    });
    let mut output = settings.output();
    output.data(&counts, |_, _| {
        let count = |number: usize, noun| human::count(number as u64, noun);
        let (images, bases) = (count(spec.images.len(), "image"), count(spec.bases.len(), "base"));
        format!("no problems: {images} on {bases}, {}\n", count(spec.projects.len(), "project"))
    });
    output.finish()?;
    Ok(Exit::Done)
}
