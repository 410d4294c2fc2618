//! The program: reads the command line, runs the command, ends with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ds01_build::main(std::env::args_os().collect())
}
