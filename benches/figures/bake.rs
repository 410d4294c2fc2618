//! Against `docker buildx bake`, level by level, on the same graph and engine.
//!
//! With an engine whose BuildKit has no named contexts a child's parent must
//! be in the image store before the child is solved, so bake is called once
//! for each level of the tree.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::json;

use crate::line;
use crate::measure::{Measured, once, repeat};
use crate::stacks::{Stack, parent};

/// Targets of one call: BuildKit of 20.10 loses jobs when 143 come at once.
const AT_ONCE: usize = 50;

/// Whole rounds of bake; each is seconds.
const ROUNDS: usize = 3;

pub fn against() {
    let Ok(buildx) = std::env::var("DS01_BENCH_BUILDX") else {
        println!("against bake: left out, since DS01_BENCH_BUILDX names no docker-buildx");
        return;
    };
    for images in [200, 50] {
        let stack = Stack::tree(&format!("bake{images}"), images, 10);
        stack.build(&[]);
        let levels = levels(&stack);
        bake(&buildx, &stack, &levels);
        let rounds: Vec<_> = (0..ROUNDS).map(|_| bake(&buildx, &stack, &levels)).collect();
        let bake = Measured::of(rounds, 0);
        let ours = repeat(super::RUNS, || stack.command(&["build"]));
        line(&format!("bake, {images} images, nothing to do"), &bake, "");
        line(&format!("build, {images} images, nothing to do"), &ours, "");
        println!("    {:.0} times as fast; wanted: 100 times", bake.median / ours.median);
    }
}

/// Writes a bake file; gives the groups to call, parents first.
fn levels(stack: &Stack) -> Vec<String> {
    let (mut targets, mut levels) = (BTreeMap::new(), BTreeMap::<usize, Vec<String>>::new());
    for at in 0..stack.images {
        let base =
            parent(at).map_or(crate::base::BASE.to_owned(), |p| format!("{}:bake", stack.repository(p)));
        let target = json!({
            "context": format!("images/i{at}"),
            "args": {"BASE_IMAGE": base},
            "tags": [format!("{}:bake", stack.repository(at))],
        });
        targets.insert(format!("i{at}"), target);
        levels.entry(depth(at)).or_default().push(format!("i{at}"));
    }
    let calls = levels.values().flat_map(|names| names.chunks(AT_ONCE));
    let groups: BTreeMap<_, _> = calls
        .enumerate()
        .map(|(call, names)| (format!("call{call:02}"), json!({"targets": names})))
        .collect();
    let names = groups.keys().cloned().collect();
    stack.write("docker-bake.json", &json!({"group": groups, "target": targets}).to_string());
    names
}

fn depth(at: usize) -> usize {
    parent(at).map_or(0, |parent| depth(parent) + 1)
}

/// Milliseconds of all calls.
fn bake(buildx: &str, stack: &Stack, levels: &[String]) -> f64 {
    let call = |level: &String| {
        let mut command = Command::new(buildx);
        command.current_dir(stack.root()).args([
            "bake",
            "--progress",
            "quiet",
            "-f",
            "docker-bake.json",
            level,
        ]);
        once(command).ms
    };
    levels.iter().map(call).sum()
}
