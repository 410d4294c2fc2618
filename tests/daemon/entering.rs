//! Into containers that run, and out of them again; what they wrote; stopping
//! and starting them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::docker;
use crate::nvml::{Nvml, gpu, whole};
use crate::stack::{BASE, Person, Run, Stack};
use crate::terminal::Terminal;

const UID: &str = "1722830498";

/// A person's container that runs.
fn deployed() -> (Stack, Person) {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    let dockerfile = "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nENV PATH=/opt/tool/bin:$PATH\n";
    stack.write("images/tool/Dockerfile", dockerfile);
    let person = stack.project("tool", "");
    stack.build(&[]).expect(0);
    stack.run(&["deploy", &person.project, "--workspace", "work"]).expect(0);
    (stack, person)
}

/// A container of a stack as nobody's deploy makes it; it goes with the stack.
fn made(stack: &Stack, name: &str, options: &[&str], program: &str) -> String {
    let name = format!("{name}-{}", stack.id);
    let labels = ["--label", "ds01.managed=true", "--label", "ds01.user=ann"];
    docker(&[&["create", "--name", &name], &labels[..], options, &[BASE, "sh", "-c", program]].concat());
    name
}

fn fed(stack: &Stack, args: &[&str], input: &[u8]) -> Run {
    let mut child = stack
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // What comes back is read meanwhile: neither waits for the other.
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        Run(child.wait_with_output().unwrap())
    })
}

#[test]
fn a_program_is_run_as_the_account_with_its_input_outputs_and_exit_code() {
    let (stack, person) = deployed();
    let name = person.container.as_str();
    let enter = |command: &[&str]| stack.run(&[&["container", "enter", name, "--"], command].concat());
    assert_eq!(enter(&["id", "-u"]).expect(0).out(), format!("{UID}\n"));
    assert_eq!(enter(&["pwd"]).expect(0).out(), "/workspace\n");
    let run = enter(&["sh", "-c", "echo out; echo err >&2; exit 7"]).expect(7);
    assert_eq!((run.out().as_str(), run.err().as_str()), ("out\n", "err\n"));
    assert_eq!(enter(&["sh", "-c", "kill -9 $$"]).expect(137).err(), "");
    let missing = enter(&["frobnicate"]);
    assert!([126, 127].contains(&missing.code()), "{}", missing.code());
    assert!((missing.out() + &missing.err()).contains("frobnicate"));

    // Any bytes, more than any buffer holds, and the end of them.
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let echoed = fed(&stack, &["container", "enter", name, "--", "cat"], &bytes).expect(0);
    assert!(echoed.0.stdout == bytes, "{} of {} bytes", echoed.0.stdout.len(), bytes.len());

    // A shell without a terminal reads a script; it is the account's own.
    let script = b"whoami; echo $SHELL $HOME; echo $PATH; exit 3\n";
    let shell = fed(&stack, &["container", "enter", name], script).expect(3).out();
    let mut lines = shell.lines();
    assert_eq!(lines.next(), Some(person.account.as_str()), "{shell}");
    assert!(lines.next().is_some_and(|line| line.starts_with("/bin/sh /home/")), "{shell}");
    assert!(lines.next().is_some_and(|line| line.contains("/opt/tool/bin:")), "the image's PATH: {shell}");

    // A reader that leaves ends it.
    let began = Instant::now();
    let piped = format!("{} container enter {name} -- yes | head -n 1", env!("CARGO_BIN_EXE_ds01-build"));
    let piped = Command::new("sh")
        .args(["-c", &piped])
        .stdin(Stdio::null())
        .current_dir(stack.root())
        .output()
        .unwrap();
    assert_eq!(piped.stdout, b"y\n", "{}", String::from_utf8_lossy(&piped.stderr));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_terminal_is_the_programs_and_comes_back() {
    let (stack, person) = deployed();
    let command = stack.command(&["container", "enter", &person.container]);
    let mut terminal = Terminal::start(command);
    terminal.reads("$ ").types("stty size\r").reads("40 120\r\n").reads("$ ");
    assert!(terminal.is_raw());
    terminal.types("echo $TERM; tty\r").reads("xterm\r\n").reads("/dev/pts/").reads("$ ");
    terminal.resizes(90, 25);
    // The shell is told by a signal of its own, some time.
    terminal.types("until stty size | grep '^25 90$'; do sleep 0.1; done\r").reads("25 90\r\n").reads("$ ");
    // Ctrl-C is the program's.
    terminal.types("sleep 600; echo was $?\r").reads("echo was $?");
    std::thread::sleep(Duration::from_millis(500));
    terminal.types("\u{3}").reads("$ ");
    terminal.types("exit 9\r");
    assert_eq!(terminal.ends(), 9, "{}", terminal.text());
    assert!(!terminal.is_raw());

    // Told to end from outside: it does, and gives the terminal back.
    let mut terminal = Terminal::start(stack.command(&["container", "enter", &person.container]));
    terminal.reads("$ ");
    terminal.interrupts();
    assert_eq!(terminal.ends(), 130);
    assert!(!terminal.is_raw());

    // The container ends under it.
    let mut terminal = Terminal::start(stack.command(&["container", "enter", &person.container]));
    terminal.reads("$ ");
    docker(&["kill", &person.container]);
    assert_eq!(terminal.ends(), 137, "{}", terminal.text());
    assert!(!terminal.is_raw());
    let said = stack.run(&["container", "enter", &person.container]).expect(5).err();
    assert!(said.contains("does not run") && said.contains("container start"), "{said}");
}

#[test]
fn a_container_is_stopped_and_started_and_both_are_said_to_be_done_already() {
    let (stack, person) = deployed();
    let name = person.container.as_str();
    let state = || docker(&["inspect", "--format", "{{.State.Status}}", name]);
    assert!(stack.run(&["container", "start", name]).expect(0).out().contains("runs already"));
    stack.run(&["container", "stop", name, "--dry-run"]).expect(0);
    assert_eq!(state(), "running");
    stack.run(&["container", "stop", name]).expect(0);
    assert_eq!(state(), "exited");
    assert!(stack.run(&["container", "stop", name]).expect(0).out().contains("does not run"));
    stack.run(&["container", "start", name, "--dry-run"]).expect(0);
    assert_eq!(state(), "exited");
    let run = stack.run(&["container", "start", name, "nobodys", "--json"]).expect(5);
    assert_eq!(state(), "running");
    let all: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!((&all[0]["outcome"], &all[1]["outcome"]), (&"started".into(), &"failed".into()));
}

#[test]
fn both_streams_of_a_program_are_read_from_its_end_and_until_it_ends() {
    let stack = Stack::new();
    let name = made(&stack, "logs", &[], "echo one; echo two >&2; printf 'three, no line end'");
    docker(&["start", "-a", &name]);
    let logs = |args: &[&str]| stack.run(&[&["container", "logs", &name], args].concat()).expect(0);
    let all = logs(&[]);
    assert_eq!((all.out().as_str(), all.err().as_str()), ("one\nthree, no line end", "two\n"));
    assert_eq!(logs(&["--tail", "1"]).out(), "three, no line end");
    assert_eq!(logs(&["--since", "1h", "--tail", "0"]).out(), "");
    assert_eq!(logs(&["--since", "2999-01-01T00:00:00Z"]).out(), "");
    let stamped = logs(&["--timestamps"]).out();
    assert!(stamped.starts_with("20") && stamped.contains("Z one\n"), "{stamped}");
    let json = logs(&["--json"]).out();
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.contains(&serde_json::json!({"stream": "stderr", "line": "two"})), "{json}");
    assert_eq!(lines.len(), 3);

    // With a terminal there are no frames, whatever the first byte is.
    let tty = made(&stack, "tty", &["-t"], "printf '\\001\\002odd\\n'; sleep 1; echo end");
    docker(&["start", &tty]);
    let followed = stack.run(&["container", "logs", &tty, "--follow"]).expect(0);
    assert_eq!(followed.0.stdout, b"\x01\x02odd\r\nend\r\n");

    let sleeps = made(&stack, "sleeps", &[], "echo up; sleep 600");
    docker(&["start", &sleeps]);
    let mut following = Terminal::start(stack.command(&["container", "logs", &sleeps, "--follow"]));
    following.reads("up\r\n").interrupts();
    assert_eq!(following.ends(), 130);
}

#[test]
fn a_container_whose_gpu_is_gone_or_given_away_is_not_started() {
    let stack = Stack::new();
    // Of this test only: others make holders of the usual ones.
    let own = format!("GPU-{}", stack.id);
    let nvml = Nvml::new(&whole(1));
    let uuids = format!("ds01.gpu.uuids={own}");
    let name = made(&stack, "gone", &["--label", &uuids, "--label", "ds01.gpus=1"], "sleep 600");
    let start = |more: &[&str]| {
        let mut command = stack.command(&[&["container", "start", &name], more].concat());
        Run(command.env("DS01_NVML_LIBRARY", nvml.library()).output().unwrap())
    };
    for more in [&[][..], &["--dry-run"]] {
        let said = start(more).expect(5).err();
        assert!(said.contains(&format!("no {own}")) && said.contains("container retire"), "{said}");
        assert!(said.contains("--gpus 1"), "{said}");
    }
    assert_eq!(docker(&["inspect", "--format", "{{.State.Status}}", &name]), "created");
    nvml.say(&whole(1).replace(&gpu(0), &own));
    let other = made(&stack, "other", &["--label", &uuids], "sleep 600");
    let said = start(&[]).expect(5).err();
    assert!(said.contains(&other), "{said}");
    docker(&["rm", &other]);
    start(&[]).expect(0);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Status}}", &name]), "running");
}

#[test]
fn a_protected_container_and_one_of_another_tool_are_left_as_they_are() {
    let stack = Stack::new();
    let kept = made(&stack, "kept", &["--label", "ds01.protected=true"], "sleep 600");
    let foreign = format!("foreign-{}", stack.id);
    docker(&["run", "-d", "--name", &foreign, BASE, "sleep", "600"]);
    docker(&["start", &kept]);
    let said = stack.run(&["container", "stop", &kept]).expect(5).err();
    assert!(said.contains("is protected") && said.contains("--force"), "{said}");
    let said = stack.run(&["container", "stop", &foreign, &kept]).expect(5).err();
    assert!(said.contains(&format!("docker stop {foreign}")) && said.contains("is protected"), "{said}");
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &kept, &foreign]), "true\ntrue");
    assert_eq!(stack.run(&["container", "enter", &kept, "--", "echo", "in"]).expect(0).out(), "in\n");
    stack.run(&["container", "stop", &kept, "--force", "--time", "1"]).expect(0);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &kept]), "false");
}

#[test]
fn a_program_that_ends_as_soon_as_it_is_started_is_told_with_its_last_lines() {
    let stack = Stack::new();
    let name = made(&stack, "ends", &[], "echo no such data >&2; exit 4");
    let said = stack.run(&["container", "start", &name]).expect(0).out();
    assert!(said.contains("ended already with code 4") && said.contains("no such data"), "{said}");
}
