//! For those who install the program: `completions SHELL` and `man DIR`, for the
//! program and each of its installed names.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::args::Cli;
use super::error::CliError;
use super::exit::Exit;
use super::installed_names::{self, NAMES, PROGRAM};
use super::session::Session;
use crate::model::problem::Problem;
use crate::ui::human::count;

pub(super) const COMPLETIONS_EXAMPLES: &str = "Examples:\n  ds01-build completions bash > /etc/bash_completion.d/ds01-build\n  ds01-build completions zsh > /usr/local/share/zsh/site-functions/_ds01-build\n  ds01-build completions fish > ~/.config/fish/completions/ds01-build.fish";
pub(super) const MAN_EXAMPLES: &str = "Examples:\n  ds01-build man /usr/local/share/man/man1";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that will read it
    pub(crate) shell: clap_complete::Shell,
    /// Complete an installed name, such as image-create [default: ds01-build]
    #[arg(long, value_name = "NAME", value_parser = NAMES.map(|installed| installed.name))]
    #[arg(hide_possible_values = true)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder to write the pages to
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

pub(crate) fn completions(session: &Session, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let installed = NAMES.into_iter().find(|installed| args.name.as_deref() == Some(installed.name));
    let (mut command, name) = match installed {
        Some(installed) => (installed_names::command(installed), installed.name),
        None => (Cli::command(), PROGRAM),
    };
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let mut output = session.output();
    output.text(&String::from_utf8_lossy(&script));
    output.finish()?;
    Ok(Exit::Done)
}

/// A manual page for each command and for each installed name.
pub(crate) fn man(session: &Session, args: &ManArgs) -> Result<Exit, CliError> {
    let folder = session.here.join(&args.folder);
    let write = || -> io::Result<usize> {
        fs::create_dir_all(&folder)?;
        let pages = pages();
        for command in &pages {
            fs::write(folder.join(format!("{}.1", name(command))), page(command)?)?;
        }
        Ok(pages.len())
    };
    let written = write().map_err(|error| {
        let message = format!("cannot write the pages to {}: {error}", args.folder.display());
        CliError::usage(Problem::new(message).help("name a folder that you may write to"))
    })?;
    session.remark(&format!("{}: {}", args.folder.display(), count(written, "page")));
    Ok(Exit::Done)
}

/// Every command that has a page, under the name of its page.
fn pages() -> Vec<clap::Command> {
    fn walk(command: &clap::Command, pages: &mut Vec<clap::Command>) {
        pages.push(command.clone());
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        shown.for_each(|sub| walk(sub, pages));
    }
    let mut program = Cli::command().disable_help_subcommand(true);
    // Names of subcommands and flags of all commands are known after this only.
    program.build();
    let mut pages = Vec::new();
    walk(&program, &mut pages);
    pages.extend(NAMES.map(installed_names::command));
    pages
}

/// One page. Head, synopsis and examples are written here: clap_mangen loses
/// the empty date, lists every flag without its value, and fills lines.
fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let name = name(command);
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(".TH \"{name}\" 1 \"\" \"{PROGRAM} {version}\" \"{PROGRAM}\"\n").into_bytes();
    let man = Man::new(command.clone());
    man.render_name_section(&mut page)?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    Roff::new().control("SH", ["SYNOPSIS"]).text([roman(usage)]).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = command.get_after_help() {
        after(&help.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

/// `ds01-build-image-create`, or the installed name.
fn name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// What stands behind the options: `Examples:` and its lines as they are, then
/// paragraphs.
fn after(help: &str) -> Roff {
    let mut roff = Roff::new();
    let mut notes: Vec<&str> = Vec::new();
    for paragraph in help.split("\n\n") {
        let Some(examples) = paragraph.strip_prefix("Examples:\n") else {
            notes.push(paragraph);
            continue;
        };
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    if !notes.is_empty() {
        roff.control("SH", ["NOTES"]);
    }
    for note in notes {
        roff.control("PP", []).text([roman(note)]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> String {
        let pages = pages();
        let found = pages.iter().find(|page| super::name(page) == name);
        String::from_utf8(page(found.unwrap_or_else(|| panic!("no page {name}"))).unwrap()).unwrap()
    }

    #[test]
    fn there_is_a_page_for_every_command_and_every_installed_name() {
        let pages = pages();
        let names: Vec<_> = pages.iter().map(name).collect();
        for command in ["ds01-build", "ds01-build-image", "ds01-build-image-create", "image-create"] {
            assert!(names.contains(&command), "{command}: {names:?}");
        }
        // Hidden commands are for those who install the program.
        assert!(!names.contains(&"ds01-build-man"));
        for page in &pages {
            assert!(page.get_about().is_some(), "{}", name(page));
        }
    }

    #[test]
    fn a_page_has_its_sections_in_order_and_its_examples_line_by_line() {
        let page = text("container-deploy");
        let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        let all = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "GPUS",
            "SIZES",
            "FOLDERS",
            "PROGRAM",
            "\"OPTIONS OF EVERY COMMAND\"",
            "EXAMPLES",
            "NOTES",
        ];
        assert_eq!(sections, all);
        assert!(page.starts_with(".TH \"container-deploy\" 1 \"\" \"ds01-build "), "{page}");
        assert!(
            page.contains("\ncontainer\\-deploy [OPTIONS] <PROJECT|IMAGE> [\\-\\- <CMD>...]\n"),
            "{page}"
        );
        let (_, examples) = page.split_once(".SH EXAMPLES\n.nf\n").unwrap();
        assert!(examples.starts_with("  container\\-deploy thesis\n"), "{examples}");
    }
}
