//! The one table of exit codes (design: command line).

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// Something failed to build.
    BuildFailed = 1,
    /// The command line or the spec is wrong.
    Usage = 2,
    /// The engine, a registry or the network failed.
    Engine = 3,
    /// Refused: quota, ownership, no such container.
    Refused = 5,
    /// A bug of ours.
    Bug = 70,
    /// Stopped by a signal.
    Interrupted = 130,
}

impl Exit {
    /// The code for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }
}
