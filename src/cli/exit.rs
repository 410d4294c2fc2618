//! The one table of exit codes (design: command line).

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    /// Something failed to build.
    BuildFailed,
    /// The command line or the spec is wrong.
    Usage,
    /// The engine, a registry or the network failed.
    Engine,
    /// Refused: quota, ownership, no such container.
    Refused,
    /// A bug of ours.
    Bug,
    /// Stopped by a signal.
    Interrupted,
    /// That of a program which was run in a container.
    Program(u8),
}

impl Exit {
    /// The code for the shell.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::BuildFailed => 1,
            Self::Usage => 2,
            Self::Engine => 3,
            Self::Refused => 5,
            Self::Bug => 70,
            Self::Interrupted => 130,
            Self::Program(code) => code,
        }
    }
}
