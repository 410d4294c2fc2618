//! Names under which the program is installed besides its own.
//!
//! Called as `image-create`, it is `ds01-build image create`: habits and
//! scripts of before go on working. Usage, help and errors of the command line
//! then name what was typed.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::builder::Resettable;
use clap::{Args, CommandFactory, Parser};

use super::args::{Cli, Global};

/// A name, and the command that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) name: &'static str,
    /// `["image", "create"]`.
    pub(crate) command: [&'static str; 2],
}

/// The names under which the program is installed, for tests of the installation.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|installed| installed.name)
}

/// All of them.
pub(crate) const NAMES: [Installed; 9] = [
    Installed { name: "image-create", command: ["image", "create"] },
    Installed { name: "image-update", command: ["image", "update"] },
    Installed { name: "image-list", command: ["image", "list"] },
    Installed { name: "image-retire", command: ["image", "retire"] },
    Installed { name: "container-deploy", command: ["container", "deploy"] },
    Installed { name: "container-list", command: ["container", "list"] },
    Installed { name: "container-retire", command: ["container", "retire"] },
    Installed { name: "container-start", command: ["container", "start"] },
    Installed { name: "container-stop", command: ["container", "stop"] },
];

/// The program's own name.
pub(crate) const PROGRAM: &str = "ds01-build";

/// Reads a whole command line, the name of the program first.
///
/// # Errors
/// What clap says of it; help and the version are also such answers.
pub(crate) fn parse(argv: Vec<OsString>) -> Result<Cli, clap::Error> {
    if let Some(installed) = called(&argv) {
        // Only for its help and its errors, which name what was typed.
        command(installed).try_get_matches_from(&argv)?;
    }
    Cli::try_parse_from(arguments(argv))
}

/// The command line as it would be typed with the program's own name.
pub(crate) fn arguments(argv: Vec<OsString>) -> Vec<OsString> {
    let Some(installed) = called(&argv) else { return argv };
    let own = [PROGRAM].into_iter().chain(installed.command).map(OsString::from);
    own.chain(argv.into_iter().skip(1)).collect()
}

fn called(argv: &[OsString]) -> Option<Installed> {
    let name = argv.first().and_then(|path| Path::new(path).file_name())?;
    NAMES.into_iter().find(|installed| OsStr::new(installed.name) == name)
}

/// What an installed name takes, under that name.
pub(crate) fn command(installed: Installed) -> clap::Command {
    let Installed { name, command: path } = installed;
    let mut command = Cli::command();
    for word in path {
        command = command.find_subcommand(word).cloned().unwrap_or_default();
    }
    // Whose arguments are added gives the command its own description.
    let [short, long] = [command.get_about(), command.get_long_about()].map(Option::<&_>::cloned);
    let command = Global::augment_args(command.name(name).bin_name(name).display_name(name));
    let command = command.about(Resettable::from(short)).long_about(Resettable::from(long));
    let command = command.version(env!("CARGO_PKG_VERSION")).max_term_width(100);
    match command.get_after_help().map(ToString::to_string) {
        Some(help) => command.after_help(renamed(&help, installed)),
        None => command,
    }
}

/// Examples, as they are typed with the name. `deploy` is short for `container deploy`.
fn renamed(help: &str, Installed { name, command: [group, word] }: Installed) -> String {
    help.replace(&format!("{PROGRAM} {group} {word}"), name)
        .replace(&format!("{PROGRAM} {word} "), &format!("{name} "))
}

#[cfg(test)]
mod tests {
    use super::super::args::{Command, ImageCommand};
    use super::super::container::ContainerCommand;
    use super::*;

    fn line(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    fn answer(text: &str) -> String {
        parse(line(text)).map(|cli| format!("{cli:?}")).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn an_installed_name_is_its_command() {
        for (typed, meant) in [
            ("image-create thesis", "ds01-build image create thesis"),
            ("/usr/local/bin/image-list --all", "ds01-build image list --all"),
            ("./container-retire x --dry-run", "ds01-build container retire x --dry-run"),
            ("container-deploy --json thesis", "ds01-build container deploy --json thesis"),
            ("image-update", "ds01-build image update"),
            // Anything else is what it is.
            ("ds01-build image-create", "ds01-build image-create"),
            ("/opt/image-create/ds01-build check", "/opt/image-create/ds01-build check"),
            ("image-creates thesis", "image-creates thesis"),
        ] {
            assert_eq!(arguments(line(typed)), line(meant), "{typed}");
        }
        assert!(arguments(Vec::new()).is_empty());
    }

    #[test]
    fn every_name_is_a_command_that_takes_every_global_flag() {
        for installed in NAMES {
            let [group, word] = installed.command;
            let command = command(installed);
            let mut typed = Cli::command();
            let typed = typed.find_subcommand_mut(group).and_then(|group| group.find_subcommand_mut(word));
            let typed = typed.unwrap_or_else(|| panic!("{installed:?} is no command"));
            assert_eq!(command.get_about(), typed.get_about());
            for flag in ["spec", "engine", "progress", "json", "bases", "verbose"] {
                assert!(command.get_arguments().any(|arg| arg.get_id() == flag), "{group} {word} {flag}");
            }
            command.debug_assert();
        }
    }

    #[test]
    fn help_usage_and_errors_name_what_was_typed() {
        for Installed { name, command: [group, word] } in NAMES {
            let help = answer(&format!("{name} --help"));
            assert!(help.contains(&format!("\nUsage: {name} ")), "{help}");
            assert!(help.contains(&format!("Examples:\n  {name}")), "{help}");
            assert!(!help.contains(&format!("{PROGRAM} {group} {word}")), "{help}");
            let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
            assert_eq!(answer(&format!("/bin/{name} --version")), version);
        }
        let error = answer("image-create thesis --nonsense");
        assert!(error.contains("Usage: image-create ") && !error.contains(PROGRAM), "{error}");
        let error = answer("container-retire");
        assert!(error.contains("<CONTAINER>") && error.contains("Usage: container-retire "), "{error}");
    }

    #[test]
    fn what_is_typed_arrives() {
        let cli = parse(line("container-deploy -v thesis --json --dry-run")).unwrap();
        assert!(cli.global.json && cli.global.verbose == 1);
        let Command::Container { command: ContainerCommand::Deploy(args) } = cli.command else {
            panic!("{:?}", cli.command)
        };
        assert!(args.dry_run && args.image == "thesis");
        let cli = parse(line("image-list")).unwrap();
        assert!(matches!(cli.command, Command::Image { command: ImageCommand::List(_) }));
        assert!(matches!(parse(line("ds01-build check")).unwrap().command, Command::Check));
    }
}
