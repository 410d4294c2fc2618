//! What kept a command from its work, and the code to end with.

use std::fmt;

use super::exit::Exit;
use crate::build::MoveError;
use crate::engine;
use crate::model::problem::Problem;
use crate::plan::{self, SelectionError};
use crate::ui::Output;

/// What kept a command from doing what it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    /// What is reported; nothing for an interrupt.
    pub(crate) problems: Vec<Problem>,
}

impl CliError {
    /// The spec, a Dockerfile or a context is wrong.
    pub(crate) fn problems(problems: Vec<Problem>) -> Self {
        Self { exit: Exit::Usage, problems }
    }

    /// A wrong command line, or a folder or file that cannot be used.
    pub(crate) fn usage(problem: impl Into<Problem>) -> Self {
        Self { exit: Exit::Usage, problems: vec![problem.into()] }
    }

    /// The engine, a registry, the network, or the machine's GPUs and disk.
    pub(crate) fn engine(problem: impl Into<Problem>) -> Self {
        Self { exit: Exit::Engine, problems: vec![problem.into()] }
    }

    /// A rule says no.
    pub(crate) fn refused(problem: impl Into<Problem>) -> Self {
        Self { exit: Exit::Refused, problems: vec![problem.into()] }
    }

    /// Something that cannot happen.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        let help = "this is a bug of ds01-build; please report it with this output";
        Self { exit: Exit::Bug, problems: vec![Problem::new(message).help(help)] }
    }

    /// Stopped by a signal before it did anything.
    pub(crate) fn interrupted() -> Self {
        Self { exit: Exit::Interrupted, problems: Vec::new() }
    }

    /// Reports it; the code to end with.
    pub(crate) fn report(&self, mut output: Output) -> Exit {
        if !self.problems.is_empty() {
            output.problems(&self.problems);
        }
        let _ = output.finish();
        self.exit
    }
}

/// In one line.
impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problems[..] {
            [] => f.write_str("interrupted"),
            [problem] => f.write_str(&problem.message),
            [first, more @ ..] => write!(f, "{}, and {} more problems", first.message, more.len()),
        }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::usage(format!("the output cannot be written: {error}"))
    }
}

impl From<engine::Error> for CliError {
    fn from(error: engine::Error) -> Self {
        Self::engine(&error)
    }
}

impl From<plan::Error> for CliError {
    fn from(error: plan::Error) -> Self {
        match error {
            plan::Error::Problems(problems) => Self::problems(problems),
            plan::Error::Bases(problems) => Self { exit: Exit::Engine, problems },
            plan::Error::Branch(problem) => Self::usage(problem),
            plan::Error::Engine(error) => error.into(),
            plan::Error::Replaced(problems) => Self { exit: Exit::Refused, problems },
            plan::Error::Registries(errors) => {
                Self { exit: Exit::Engine, problems: errors.iter().map(Problem::from).collect() }
            }
        }
    }
}

impl From<SelectionError> for CliError {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::Unknown(problems) => Self::problems(problems),
            SelectionError::Refused(problem) => Self::refused(problem),
        }
    }
}

impl From<MoveError> for CliError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Engine(error) => Self::engine(&error),
            MoveError::Registry(error) => Self::engine(&error),
        }
    }
}
