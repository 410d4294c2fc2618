//! `catalog check`: what is wrong with a catalogue's file, by its lines.

use std::sync::Arc;

use serde_json::json;

use crate::cli::args::CatalogCheckArgs;
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::model::problem::{Place, Problem, SourceFile};
use crate::spec::catalog::{self, Catalog};
use crate::ui::human::count;
use crate::ui::problems;

pub(crate) fn run(settings: &Settings, args: &CatalogCheckArgs) -> Result<Exit, CliError> {
    let file = match &args.file {
        Some(path) => Some(super::file(settings, path)?),
        None => super::named(settings)?,
    };
    let Some(file) = file else {
        settings.remark("no spec here names a catalogue; the program's own is checked");
        return report(settings, None, Catalog::own().rows().len(), &[], &[]);
    };
    let found = catalog::read(&file);
    report(settings, Some(&file), found.catalog.rows().len(), &found.errors, &found.warnings)
}

fn report(
    settings: &Settings,
    file: Option<&Arc<SourceFile>>,
    rows: usize,
    errors: &[Problem],
    warnings: &[Problem],
) -> Result<Exit, CliError> {
    let name = file.map(|file| file.path.display().to_string());
    let mut output = settings.output();
    if settings.json {
        output.value(&json!({
            "file": name,
            "rows": rows,
            "problems": problems::facts(errors),
            "warnings": problems::facts(warnings),
        }));
    } else {
        if !errors.is_empty() {
            output.problems(errors);
        }
        warnings.iter().for_each(|warning| output.note(&sentence(warning)));
        let name = name.unwrap_or_else(|| "the program's own catalogue".into());
        let said = |number: usize, noun| count(number as u64, noun);
        let rows = said(rows, "row");
        let warnings = said(warnings.len(), "warning");
        match errors.len() {
            0 => output.line(&format!("{name}: {rows}, no problems, {warnings}")),
            wrong => output.line(&format!("{name}: {rows}, {}, {warnings}", said(wrong, "problem"))),
        }
    }
    output.finish()?;
    Ok(if errors.is_empty() { Exit::Done } else { Exit::Usage })
}

fn sentence(warning: &Problem) -> String {
    let line = warning.place.as_ref().map_or(0, |place: &Place| place.line_column().0);
    let help = warning.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    let file = warning.place.as_ref().map(|place| place.file.path.display().to_string()).unwrap_or_default();
    format!("warning: {file}:{line}: {}{help}", warning.message)
}
