//! Containers with GPUs from the command line to a real engine, which grants
//! them and attaches none: what is held by others, by killed ones, or twice.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::base::{BASE, base};
use crate::nvml::{gpu, mig};
use crate::race::{Dice, Race, Wants, available, check, real, twice};
use crate::second_engine::{Gpus, SecondEngine};

fn started(gpus: Gpus) -> (SecondEngine, Race) {
    base();
    let engine = real::engine("vfs", gpus, BASE);
    let race = Race::new(env!("CARGO_BIN_EXE_ds01-build"), &engine.url());
    (engine, race)
}

/// Code and what was said.
fn run(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn inspect(engine: &SecondEngine, name: &str) -> Value {
    serde_json::from_str::<Value>(&engine.docker(&["inspect", name])).unwrap()[0].clone()
}

#[test]
fn gpus_are_given_attached_and_refused_to_the_next_with_their_holders_name() {
    let (engine, race) = started(Gpus::Driver);
    let args = ["deploy", "race", "--workspace", "work", "--gpus"];
    let (code, said) = run(race.command(&[&args[..], &["3"]].concat()));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with(&format!("race._.1722830498 is running with GPUs 0 ({}), 1 (", gpu(0))),
        "{said}"
    );
    assert!(said.contains("ds01-build container enter race"), "{said}");

    let one = inspect(&engine, "race._.1722830498");
    let uuids = [gpu(0), gpu(1), gpu(2)];
    assert_eq!(one["State"]["Running"], true);
    assert_eq!(one["Config"]["Labels"]["ds01.gpu.uuids"], uuids.join(","));
    assert_eq!(one["Config"]["Labels"]["ds01.gpus"], "3");
    let requests = one["HostConfig"]["DeviceRequests"].as_array().unwrap();
    assert_eq!(requests.len(), 1, "several GPUs are one request: {requests:?}");
    assert_eq!(requests[0]["DeviceIDs"], serde_json::json!(uuids));
    let env = one["Config"]["Env"].as_array().unwrap();
    assert!(env.contains(&format!("NVIDIA_VISIBLE_DEVICES={}", uuids.join(",")).into()), "{env:?}");

    // Somebody without this program has one, and all but one of the others go.
    engine.docker(&["run", "-d", "--name", "eve", "--gpus", "\"device=4\"", BASE, "sleep", "600"]);
    let output = race.command(&[&args[..], &["3", "--name", "second", "--json"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let given: Value = serde_json::from_slice(&output.stdout).unwrap();
    let slots: Vec<_> = given["gpus"].as_array().unwrap().iter().map(|one| one["slot"].clone()).collect();
    assert!(!slots.contains(&"4".into()) && slots.len() == 3, "{slots:?}");
    let (code, said) = run(race.command(&[&args[..], &["2", "--name", "third"]].concat()));
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("race._.1722830498") && said.contains("eve"), "the holders are named: {said}");

    // A slice is given as one, and a dry run takes nothing.
    let slice = ["deploy", "race", "--workspace", "work", "--mig", "1g.10gb", "--name", "slice"];
    let (code, said) = run(race.command(&[&slice[..], &["--dry-run", "--json"]].concat()));
    assert!(code == Some(0) && said.contains("MIG-"), "{said}");
    let (code, said) = run(race.command(&slice));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" is running with MIG instance 8.") && said.contains(&mig(8, 0)[..8]), "{said}");
    assert_eq!(twice(&real::containers(&engine)), [""; 0]);
}

#[test]
fn an_engine_without_a_driver_for_gpus_uses_nvidias_runtime_or_says_what_is_missing() {
    let (engine, race) = started(Gpus::Runtime);
    let (code, said) = run(race.deploy("a", Wants::Whole));
    assert_eq!(code, Some(0), "{said}");
    let one = inspect(&engine, "a._.1722830498");
    assert_eq!(one["HostConfig"]["Runtime"], "nvidia");
    assert!(
        one["Config"]["Env"]
            .as_array()
            .unwrap()
            .contains(&format!("NVIDIA_VISIBLE_DEVICES={}", gpu(0)).into())
    );

    let (engine, race) = started(Gpus::None);
    let (code, said) = run(race.deploy("a", Wants::Whole));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("cannot give GPUs") && said.contains("NVIDIA container toolkit"), "{said}");
    assert_eq!(engine.docker(&["ps", "-aq"]), "", "nothing is left");
}

#[test]
fn deploys_at_once_get_what_there_is_and_killed_ones_keep_none_of_it() {
    let (engine, race) = started(Gpus::Driver);
    let mut dice = Dice(7);
    let begin = Instant::now();
    let wants: Vec<_> = (0..16).map(|at| if at % 4 == 0 { Wants::Slice } else { Wants::Whole }).collect();
    check(&race.round(&wants, &[]), &real::containers(&engine));
    let round = begin.elapsed();
    real::clear(&engine);

    let kills: Vec<_> = (0..16)
        .map(|at| (at % 2 == 0).then(|| Duration::from_millis(dice.below(round.as_millis() as u64))))
        .collect();
    race.round(&wants, &kills);
    assert_eq!(twice(&real::containers(&engine)), [""; 0]);
    let running = |kind: &str| {
        let all = real::containers(&engine);
        all.iter()
            .filter(|one| one.running)
            .flat_map(|one| &one.units)
            .filter(|unit| unit.starts_with(kind))
            .count()
    };
    let held = running("GPU-");
    assert_eq!(race.rest(Wants::Whole), available(Wants::Whole) - held);
    assert_eq!(running("GPU-"), available(Wants::Whole));
    assert_eq!(twice(&real::containers(&engine)), [""; 0]);
    assert!(real::containers(&engine).iter().all(|one| one.running), "what was never started is gone");
}

#[test]
fn an_interrupted_deploy_leaves_nothing_and_who_waits_too_long_learns_for_whom() {
    let (engine, race) = started(Gpus::Driver);
    // Somebody holds the machine.
    std::fs::create_dir_all(race.locks()).unwrap();
    let lock = race.locks().join("deploy");
    let mut holder = Command::new("flock")
        .args([lock.to_str().unwrap(), "sleep", "600"])
        .stdout(Stdio::null())
        .spawn()
        .expect("flock is of util-linux");
    let end = Instant::now() + Duration::from_secs(10);
    while !std::fs::read_to_string("/proc/locks").unwrap().contains(&format!(" {} ", holder.id())) {
        assert!(Instant::now() < end, "flock did not get the lock");
        std::thread::sleep(Duration::from_millis(10));
    }
    let args = ["deploy", "race", "--workspace", "work", "--gpus", "1", "--wait"];
    let (code, said) = run(race.command(&[&args[..], &["0"]].concat()));
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(&format!("process {}", holder.id())) && said.contains("sleep 600"), "{said}");

    let waiting = race.command(&[&args[..], &["600"]].concat()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let began = Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&waiting), rustix::process::Signal::INT)
        .unwrap();
    let ended = waiting.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(engine.docker(&["ps", "-aq"]), "");
    // `flock` started it and waits for it.
    let group = Command::new("pgrep").args(["-P", &holder.id().to_string()]).output().unwrap();
    let child = String::from_utf8(group.stdout).unwrap();
    Command::new("kill").arg(child.trim()).status().unwrap();
    holder.wait().unwrap();
}
