//! What `container enter` takes.

use clap::Args;

pub(crate) const EXAMPLES: &str = "Examples:
  ds01-build container enter thesis
  ds01-build container enter thesis -- python train.py --epochs 10
  ds01-build container enter thesis -- nvidia-smi | head -20
  ssh gpu1 ds01-build container enter thesis -- sh < steps.sh

Without a command it is your account's shell in the container; the workspace is where it starts.
On a terminal the program has that terminal, and Ctrl-C is the program's. Elsewhere standard input
goes to the program (`</dev/null` keeps it), and its two outputs are kept apart. The exit code is
the program's; before there is one it is 3 (no engine, or the connection broke) or 5 (no such
container, not yours, not running). If the command is told to stop (130), the program may go on.";

#[derive(Debug, Args)]
pub(crate) struct EnterArgs {
    /// A container: `thesis`, its whole name `thesis._.1722830498`, or its id
    pub(crate) container: String,
    /// A program and its arguments, instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
