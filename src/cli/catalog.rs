//! `catalog list` and `catalog check`: the catalogue that the spec names, else
//! the program's own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::error::CliError;
use super::exit::Exit;
use super::session::Session;
use crate::model::problem::{Problem, SourceFile};
use crate::spec::catalog::{self, Catalog, CatalogMiss, CatalogRow, HostArch, LATEST};
use crate::spec::files::{Disk, Files, Unreadable};
use crate::spec::{self, SpecContext};
use crate::ui::human::count;
use crate::ui::problems;
use crate::ui::table::{Column, Table};
use crate::ui::text::clean;

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// List the framework images that a base may name, and which are `latest`
    #[command(
        after_help = "Examples:\n  ds01-build catalog list\n  ds01-build catalog list --framework pytorch --all\n  ds01-build catalog list --arch CUDA_ADA --json | jq -r '.rows[].image'\n\nShown are rows for one architecture: --arch, else this machine's, as MLC_ARCH or the installed\nCUDA or ROCm tell it. Where nothing tells it, all are shown."
    )]
    List(CatalogListArgs),
    /// Check a catalogue's file, line by line
    #[command(
        after_help = "Examples:\n  ds01-build catalog check\n  ds01-build catalog check /opt/aime-ml-containers/ml_images.repo\n\nA row that is wrong ends with exit code 2. A row that a row above hides is a warning."
    )]
    Check(CatalogCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CatalogListArgs {
    /// Only this framework
    #[arg(long, value_name = "NAME")]
    pub(crate) framework: Option<String>,
    /// Only this architecture [default: this machine's]
    #[arg(long, value_name = "ARCH", conflicts_with = "all")]
    pub(crate) arch: Option<String>,
    /// All architectures
    #[arg(long, short)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CatalogCheckArgs {
    /// An ml_images.repo, or a file in our own form [default: the one that the spec names]
    pub(crate) file: Option<PathBuf>,
}

/// Largest file that is read as a catalogue: some ten thousand rows.
const MAX_FILE: u64 = 1 << 20;

pub(crate) fn run(session: &Session, command: &CatalogCommand) -> Result<Exit, CliError> {
    match command {
        CatalogCommand::List(args) => list(session, args),
        CatalogCommand::Check(args) => check(session, args),
    }
}

/// Rows, and for which architectures they are `latest`.
fn list(session: &Session, args: &CatalogListArgs) -> Result<Exit, CliError> {
    let file = named(session)?;
    let reading = file.as_ref().map(catalog::read);
    let catalog = match &reading {
        Some(reading) if !reading.errors.is_empty() => {
            return Err(CliError::problems(reading.errors.clone()));
        }
        Some(reading) => &reading.catalog,
        None => Catalog::own(),
    };
    let arch = arch(args, &session.host);
    let rows = chosen(catalog, args.framework.as_deref(), arch)?;
    let mut output = session.output();
    if session.json {
        let (known, source) = match &session.host {
            HostArch::Known { arch, source } => (Some(arch), source),
            HostArch::Unknown(why) => (None, why),
        };
        output.value(&json!({
            "file": file.as_ref().map(|file| file.path.display().to_string()),
            "machine": {"arch": known, "because": source},
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
        output.note(&heading(catalog, arch, &session.host));
        output.table(&table(catalog, &rows, arch));
    }
    output.finish()?;
    Ok(Exit::Done)
}

/// Which architecture is shown; `None`: all of them.
fn arch<'a>(args: &'a CatalogListArgs, host: &'a HostArch) -> Option<&'a str> {
    match (args.all, &args.arch, host) {
        (true, ..) | (false, None, HostArch::Unknown(_)) => None,
        (false, Some(arch), _) | (false, None, HostArch::Known { arch, .. }) => Some(arch),
    }
}

fn chosen<'c>(
    catalog: &'c Catalog,
    framework: Option<&str>,
    arch: Option<&str>,
) -> Result<Vec<&'c CatalogRow>, CliError> {
    let of_framework = |row: &&CatalogRow| framework.is_none_or(|name| row.is_of(name));
    let of_arch = |row: &&CatalogRow| arch.is_none_or(|arch| row.arch(arch).is_some());
    let rows: Vec<_> = catalog.rows().iter().filter(of_framework).filter(of_arch).collect();
    if !rows.is_empty() {
        return Ok(rows);
    }
    let (message, help) = match (framework, arch) {
        // No row is of that framework, or none of it for that architecture.
        (Some(name), arch) => {
            let (name, arch) = (clean(name), clean(arch.unwrap_or_default()));
            let miss = catalog.find(&name, LATEST, &arch).err();
            let miss = miss.unwrap_or(CatalogMiss::Framework { known: Vec::new() });
            let more =
                if matches!(miss, CatalogMiss::Framework { .. }) { "" } else { "; --all shows every row" };
            (miss.message(catalog, &name, LATEST, &arch), miss.help() + more)
        }
        (None, arch) => {
            let message = format!("{} has nothing for {}", catalog.title(), clean(arch.unwrap_or_default()));
            let known: BTreeSet<_> =
                catalog.rows().iter().flat_map(|row| &row.archs).map(String::as_str).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            (message, format!("it has: {known}; --all shows every row"))
        }
    };
    Err(CliError::usage(Problem::new(message).help(help)))
}

fn heading(catalog: &Catalog, arch: Option<&str>, host: &HostArch) -> String {
    let title = catalog.title();
    let machine = match host {
        HostArch::Known { arch, source } => format!("this machine is {arch} ({source})"),
        HostArch::Unknown(why) => format!("this machine's architecture is not known: {why}"),
    };
    let shown = arch.map_or("all architectures".into(), |arch| format!("for {arch}"));
    clean(&format!("{title}, {shown}; {machine}"))
}

fn table(catalog: &Catalog, rows: &[&CatalogRow], arch: Option<&str>) -> Table {
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

/// What is wrong with a catalogue's file, by its lines.
fn check(session: &Session, args: &CatalogCheckArgs) -> Result<Exit, CliError> {
    let file = match &args.file {
        Some(path) => Some(read(session, path)?),
        None => named(session)?,
    };
    let (rows, errors, warnings) = match &file {
        Some(file) => {
            let reading = catalog::read(file);
            (reading.catalog.rows().len(), reading.errors, reading.warnings)
        }
        None => {
            session.remark("no spec here names a catalogue; the program's own is checked");
            (Catalog::own().rows().len(), Vec::new(), Vec::new())
        }
    };
    let name = file.map(|file| file.path.display().to_string());
    let mut output = session.output();
    if session.json {
        output.value(&json!({
            "file": name,
            "rows": rows,
            "problems": problems::facts(&errors),
            "warnings": problems::facts(&warnings),
        }));
    } else {
        if !errors.is_empty() {
            output.problems(&errors);
        }
        warnings.iter().for_each(|warning| output.note(&format!("warning: {}", warning.sentence())));
        let name = name.as_deref().unwrap_or("the program's own catalogue");
        let problems = if errors.is_empty() { "no problems".into() } else { count(errors.len(), "problem") };
        let (rows, warnings) = (count(rows, "row"), count(warnings.len(), "warning"));
        output.line(&format!("{name}: {rows}, {problems}, {warnings}"));
    }
    output.finish()?;
    Ok(if errors.is_empty() { Exit::Done } else { Exit::Usage })
}

/// The file that the spec names; `None`: there is no spec, or it names none.
fn named(session: &Session) -> Result<Option<Arc<SourceFile>>, CliError> {
    let Some(spec_file) = &session.spec_file else { return Ok(None) };
    spec::catalog_file(&session.here, spec_file, &SpecContext::of(&Disk)).map_err(CliError::problems)
}

/// A file that the command line names.
fn read(session: &Session, path: &Path) -> Result<Arc<SourceFile>, CliError> {
    let bytes = Disk.read(&session.here.join(path), MAX_FILE).map_err(|why| {
        let why = match why {
            Unreadable::Missing => "there is no such file".into(),
            Unreadable::NotAFile => "it is no file".into(),
            Unreadable::TooLarge(size) => format!("{} MiB are no catalogue", size >> 20),
            Unreadable::Io(error) => error.to_string(),
        };
        let problem = Problem::new(format!("cannot read the catalogue {}: {why}", path.display()));
        CliError::usage(problem.help("name an ml_images.repo"))
    })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Arc::new(SourceFile::new(path, text)))
}
