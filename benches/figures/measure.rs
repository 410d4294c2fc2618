//! Wall time and peak memory of a child process.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

/// First argument of the program when it runs one child and tells of it.
pub const WRAP: &str = "measure-one-child";

/// What one child took.
pub struct Once {
    pub ms: f64,
    pub peak_kb: i64,
}

/// Several runs of the same command.
pub struct Measured {
    pub median: f64,
    pub least: f64,
    pub most: f64,
    /// Of the run that took most.
    pub peak_kb: i64,
}

impl Measured {
    pub fn of(mut runs: Vec<f64>, peak_kb: i64) -> Self {
        runs.sort_by(f64::total_cmp);
        Self { median: runs[runs.len() / 2], least: runs[0], most: runs[runs.len() - 1], peak_kb }
    }
}

/// Runs a command once to warm up, then `runs` times.
pub fn repeat(runs: usize, command: impl Fn() -> Command) -> Measured {
    once(command());
    let all: Vec<Once> = (0..runs).map(|_| once(command())).collect();
    let peak_kb = all.iter().map(|run| run.peak_kb).max().unwrap_or(0);
    Measured::of(all.iter().map(|run| run.ms).collect(), peak_kb)
}

/// Runs a command that must end well. The kernel tells the peak of the largest
/// of all children so far, so each child gets a parent of its own.
pub fn once(command: Command) -> Once {
    let mut wrapped = Command::new(std::env::current_exe().unwrap());
    wrapped.arg(WRAP).arg(command.get_program()).args(command.get_args());
    wrapped.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    let output = wrapped.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (ms, peak) = text.trim().split_once(' ').unwrap();
    Once { ms: ms.parse().unwrap(), peak_kb: peak.parse().unwrap() }
}

/// Runs the child that the arguments name, and prints what it took.
pub fn wrap(mut args: impl Iterator<Item = String>) {
    let mut command = Command::new(args.next().unwrap());
    command.args(args).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().unwrap();
    let ms = start.elapsed().as_secs_f64() * 1000.0;
    assert!(status.success(), "{command:?} ended with {status}");
    println!("{ms} {}", getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss());
}
