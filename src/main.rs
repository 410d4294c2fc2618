//! The program: reads the command line, runs the command, ends with its code.

use std::process::ExitCode;

use ds01_build::cli;

fn main() -> ExitCode {
    match cli::installed::parse(std::env::args_os().collect()) {
        Ok(cli) => ExitCode::from(cli::main(cli).code()),
        // Help and the version too: clap knows where to and with which code.
        Err(answer) => answer.exit(),
    }
}
