//! The figures that this project is judged by: whole processes, wall time and
//! peak memory, on a real engine. Nothing here is a test: machines differ.
//!
//! `scripts/bench` runs it with what it needs; `scripts/bench plan` runs the
//! parts whose name holds `plan`.
#![expect(clippy::disallowed_macros, reason = "a program of its own that prints a table")]
#![expect(clippy::disallowed_methods, reason = "a program of its own that reads its environment")]

mod bake;
#[path = "../../tests/daemon/base.rs"]
mod base;
mod containers;
mod deploys;
mod measure;
#[path = "../../tests/nvml/mod.rs"]
mod nvml;
#[expect(dead_code, reason = "tests use more of it")]
#[path = "../../tests/race/mod.rs"]
mod race;
#[expect(dead_code, reason = "tests use more of it")]
#[path = "../../tests/daemon/second_engine.rs"]
mod second_engine;
mod stacks;
mod users;

use std::process::Command;

use measure::{Measured, repeat};
use stacks::Stack;

/// Runs of each figure, after one that warms caches.
const RUNS: usize = 7;

fn main() {
    let mut args = std::env::args().skip(1);
    // The program calls itself to learn what one child took.
    if std::env::args().nth(1).is_some_and(|arg| arg == measure::WRAP) {
        return measure::wrap(args.skip(1));
    }
    // What cargo adds is not for us.
    let wanted: Vec<String> = args.by_ref().filter(|arg| !arg.starts_with("--")).collect();
    let parts: [(&str, fn()); 8] = [
        ("version", version),
        ("plan-10000", plan_10000),
        ("plan-200", plan_200),
        ("leaf-200", leaf_200),
        ("containers", containers::figures),
        ("users", users::figures),
        ("bake", bake::against),
        ("deploys", deploys::figures),
    ];
    println!("{:44} {:>22} {:>10} {:>20}", "figure", "median (min-max) ms", "peak MB", "wanted");
    for (_, part) in
        parts.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| name.contains(w)))
    {
        part();
    }
}

/// One line of the table.
pub fn line(what: &str, measured: &Measured, wanted: &str) {
    let Measured { median, least, most, peak_kb } = measured;
    let wall = format!("{median:.1} ({least:.1}-{most:.1})");
    println!("{what:44} {wall:>22} {:>10.1} {wanted:>20}", *peak_kb as f64 / 1000.0);
}

fn version() {
    let measured = repeat(RUNS, || {
        let mut command = Command::new(stacks::PROGRAM);
        command.arg("--version");
        command
    });
    line("--version", &measured, "5 ms");
}

fn plan_200() {
    let stack = Stack::tree("p200", 200, 10);
    stack.build(&[]);
    line("plan, 200 images, 2,000 files", &repeat(RUNS, || stack.command(&["plan"])), "60 ms, 30 MB");
    line("build, 200 images, nothing to do", &repeat(RUNS, || stack.command(&["build"])), "60 ms, 30 MB");
}

fn plan_10000() {
    let stack = Stack::synthetic("p10000", 10_000);
    line("plan, 10,000 images", &repeat(RUNS, || stack.command(&["plan"])), "600 ms, 200 MB");
}

/// One leaf of 200 changed: the whole process without what that image takes.
fn leaf_200() {
    let stack = Stack::tree("leaf", 200, 10);
    stack.build(&[]);
    let mut outside = Vec::new();
    let mut peak_kb = 0;
    for run in 0..=RUNS {
        stack.write(&format!("images/i{}/files/f0", stack.leaf()), &format!("change {run}\n"));
        let took = measure::once(stack.command(&["build", "--progress", "quiet"]));
        let own = stack.last_try_ms(stack.leaf());
        if run > 0 {
            outside.push(took.ms - own);
            peak_kb = peak_kb.max(took.peak_kb);
        }
    }
    line("build, one leaf of 200, all but the image", &Measured::of(outside, peak_kb), "60 ms");
}
