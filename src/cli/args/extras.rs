//! What `completions` and `man` take: for those who install the program.

use std::path::PathBuf;

use clap::Args;

use crate::cli::installed::NAMES;

pub(crate) const COMPLETIONS_EXAMPLES: &str = "Examples:\n  ds01-build completions bash > /etc/bash_completion.d/ds01-build\n  ds01-build completions zsh > /usr/local/share/zsh/site-functions/_ds01-build\n  ds01-build completions fish > ~/.config/fish/completions/ds01-build.fish";
pub(crate) const MAN_EXAMPLES: &str = "Examples:\n  ds01-build man /usr/local/share/man/man1";

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
