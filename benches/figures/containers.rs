//! `container list` on an engine with many containers.

use std::process::{Command, Output};

use crate::base::{BASE, base};
use crate::measure::repeat;
use crate::stacks::PROGRAM;
use crate::{RUNS, line};

const CONTAINERS: usize = 500;
/// Clients of the engine at once while the containers are made and removed.
const AT_ONCE: usize = 4;

/// Containers that are created and never started; removed in the end.
struct Crowd(Vec<String>);

impl Crowd {
    fn new() -> Self {
        base();
        // Root's own, as the bench runs; half of them hold a GPU.
        let name = |at: usize| format!("ds01-bench-{}-{at}._.0", std::process::id());
        let crowd = Self((0..CONTAINERS).map(name).collect());
        let made = crowd.each(|at, name| {
            let gpu = if at % 2 == 0 { "ds01.gpus=0".to_owned() } else { format!("ds01.gpu.uuids=GPU-{at}") };
            let labels = ["ds01.managed=true", "ds01.user=root", "ds01.project=bench", &gpu];
            let labels = labels.iter().flat_map(|label| ["--label", label]);
            let args = ["create", "--name", name].into_iter().chain(labels).chain([BASE, "sh"]);
            Command::new("docker").args(args).output().unwrap()
        });
        for output in made {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        crowd
    }

    fn each(&self, act: impl Fn(usize, &str) -> Output + Sync) -> Vec<Output> {
        let part = |first: usize| {
            let act = &act;
            let mine = self.0.iter().enumerate().skip(first).step_by(AT_ONCE);
            move || mine.map(|(at, name)| act(at, name)).collect::<Vec<_>>()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE).map(|first| scope.spawn(part(first))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.each(|_, name| Command::new("docker").args(["rm", "-f", name]).output().unwrap());
    }
}

pub fn figures() {
    let _crowd = Crowd::new();
    let list = |args: &'static [&'static str]| {
        move || {
            let mut command = Command::new(PROGRAM);
            command.args(["container", "list"]).args(args);
            command
        }
    };
    let wanted = "150 ms";
    line("container list, 500 containers", &repeat(RUNS, list(&[])), wanted);
    line("container list --all, 500 containers", &repeat(RUNS, list(&["--all"])), wanted);
    line("container list --json, 500 containers", &repeat(RUNS, list(&["--json"])), wanted);
}
