//! The program: reads the command line, runs the command, ends with its code.

use std::process::ExitCode;

use clap::Parser;
use ds01_build::cli::{self, args::Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    ExitCode::from(cli::main(cli).code())
}
