//! `catalog list`: rows, and for which architectures they are `latest`.

use serde_json::json;

use crate::cli::args::CatalogListArgs;
use crate::cli::exit::Exit;
use crate::cli::load::CliError;
use crate::cli::settings::Settings;
use crate::model::problem::Problem;
use crate::spec::catalog::{self, Catalog, Host, LATEST, Miss, Row};
use crate::ui::table::{Column, Table};
use crate::ui::text::clean;

pub(crate) fn run(settings: &Settings, args: &CatalogListArgs) -> Result<Exit, CliError> {
    let file = super::named(settings)?;
    let read = match &file {
        Some(file) => {
            let reading = catalog::read(file);
            if !reading.errors.is_empty() {
                return Err(CliError::Problems(reading.errors));
            }
            Some(reading.catalog)
        }
        None => None,
    };
    let catalog = read.as_ref().unwrap_or_else(|| Catalog::own());
    let arch = arch(args, &settings.host);
    let rows = chosen(catalog, args.framework.as_deref(), arch)?;
    let mut output = settings.output();
    if settings.json {
        let (known, told_by) = match &settings.host {
            Host::Known { arch, told_by } => (Some(arch), told_by),
            Host::Unknown(why) => (None, why),
        };
        output.value(&json!({
            "file": file.as_ref().map(|file| file.path.display().to_string()),
            "machine": {"arch": known, "because": told_by},
            "arch": arch,
            "rows": rows.iter().map(|row| json!({
                "framework": row.framework,
                "version": row.version,
                "architectures": row.archs,
                "image": row.image.to_string(),
                "latest_for": catalog.latest_for(row),
                "line": row.line,
            })).collect::<Vec<_>>(),
        }));
    } else {
        output.note(&heading(catalog, arch, &settings.host));
        output.table(&table(catalog, &rows, arch));
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// Which architecture is shown; `None`: all of them.
fn arch<'a>(args: &'a CatalogListArgs, host: &'a Host) -> Option<&'a str> {
    match (args.all, &args.arch, host) {
        (true, ..) | (false, None, Host::Unknown(_)) => None,
        (false, Some(arch), _) | (false, None, Host::Known { arch, .. }) => Some(arch),
    }
}

fn chosen<'c>(
    catalog: &'c Catalog,
    framework: Option<&str>,
    arch: Option<&str>,
) -> Result<Vec<&'c Row>, CliError> {
    let of_framework = |row: &&Row| framework.is_none_or(|name| row.is_of(name));
    let of_arch = |row: &&Row| arch.is_none_or(|arch| row.arch(arch).is_some());
    let rows: Vec<_> = catalog.rows().iter().filter(of_framework).filter(of_arch).collect();
    if !rows.is_empty() {
        return Ok(rows);
    }
    let (message, help) = match (framework, arch) {
        // No row is of that framework, or none of it for that architecture.
        (Some(name), arch) => {
            let (name, arch) = (clean(name), clean(arch.unwrap_or_default()));
            let miss = catalog.find(&name, LATEST, &arch).err();
            let miss = miss.unwrap_or(Miss::Framework { known: Vec::new() });
            let more = if matches!(miss, Miss::Framework { .. }) { "" } else { "; --all shows every row" };
            (miss.message(catalog, &name, LATEST, &arch), miss.help() + more)
        }
        (None, arch) => {
            let message = format!("{} has nothing for {}", catalog.title(), clean(arch.unwrap_or_default()));
            let known: std::collections::BTreeSet<_> =
                catalog.rows().iter().flat_map(|row| &row.archs).map(String::as_str).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            (message, format!("it has: {known}; --all shows every row"))
        }
    };
    Err(CliError::Usage(Problem::new(message).help(help)))
}

fn heading(catalog: &Catalog, arch: Option<&str>, host: &Host) -> String {
    let title = catalog.title();
    let machine = match host {
        Host::Known { arch, told_by } => format!("this machine is {arch} ({told_by})"),
        Host::Unknown(why) => format!("this machine's architecture is not known: {why}"),
    };
    let shown = arch.map_or("all architectures".into(), |arch| format!("for {arch}"));
    clean(&format!("{title}, {shown}; {machine}"))
}

fn table(catalog: &Catalog, rows: &[&Row], arch: Option<&str>) -> Table {
    let mut table = Table::new([
        Column::left("FRAMEWORK"),
        Column::left("VERSION"),
        Column::left("ARCHITECTURES"),
        Column::left("LATEST FOR"),
        Column::left("IMAGE").whole(),
    ]);
    for row in rows {
        let is_shown = |latest: &&str| arch.is_none_or(|arch| arch.eq_ignore_ascii_case(latest));
        let latest: Vec<_> = catalog.latest_for(row).into_iter().filter(is_shown).collect();
        table.row([
            row.framework.clone(),
            row.version.clone(),
            row.archs.join(", "),
            latest.join(", "),
            row.image.to_string(),
        ]);
    }
    table
}
