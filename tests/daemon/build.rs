//! Building on the real engine: what is built, when, in which order, and what
//! a failure, a signal or a second run does.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use crate::client::docker;
use crate::stack::{Run, Stack, image_id};

const CHAIN: &str = "top:\n  base: busybox\nmiddle:\n  depend_on: top\nleaf:\n  depend_on: middle";

/// top → middle → leaf, each copying one file of its own.
fn chain() -> Stack {
    let stack = Stack::new();
    stack.spec(CHAIN);
    for name in ["top", "middle", "leaf"] {
        stack.write(
            &format!("images/{name}/Dockerfile"),
            format!(
                "ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nCOPY file /{name}\nRUN cat /{name} > /copy-{name}\n"
            ),
        );
        stack.write(&format!("images/{name}/file"), format!("one {}", stack.id));
    }
    stack
}

#[test]
fn only_what_changed_and_what_stands_on_it_is_built() {
    let stack = chain();
    assert_eq!(stack.build(&[]).expect(0).built(), ["top", "middle", "leaf"]);

    let again = stack.build(&[]).expect(0);
    assert!(again.ended().is_empty(), "nothing is solved: {}", again.out());

    stack.write("images/leaf/file", "two");
    assert_eq!(stack.build(&[]).expect(0).built(), ["leaf"]);

    stack.write("images/top/file", "two");
    assert_eq!(stack.build(&[]).expect(0).built(), ["top", "middle", "leaf"]);

    stack.write("images/top/README.md", "no instruction reads this");
    assert!(stack.build(&[]).expect(0).ended().is_empty());
}

#[test]
fn file_hashes_are_kept_and_a_lost_or_broken_cache_changes_nothing() {
    let stack = chain();
    // Old enough for its time stamp to tell of the next change.
    let past = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for name in ["top", "middle", "leaf"] {
        let file =
            std::fs::File::options().append(true).open(stack.root().join(format!("images/{name}/file")));
        file.unwrap().set_modified(past).unwrap();
    }
    // The status change of setting the time is what counts, so it has to age.
    std::thread::sleep(Duration::from_millis(2100));
    let plan = || stack.run(&["plan", "--json"]).expect(0).out();
    let first = plan();
    let cache = stack.root().join(".cache/ds01-build/file-hashes");
    let kept = std::fs::read_to_string(&cache).unwrap();
    assert!(kept.contains("images/leaf/file"), "{kept}");
    assert_eq!(plan(), first);
    std::fs::write(&cache, "rubbish").unwrap();
    assert_eq!(plan(), first);
    std::fs::remove_file(&cache).unwrap();
    assert_eq!(plan(), first);
    stack.write("images/leaf/file", "other");
    assert_ne!(plan(), first);
}

#[test]
fn a_finished_image_has_its_content_tag_its_branch_tag_and_its_labels() {
    let stack = chain();
    stack.build(&[]).expect(0);
    let leaf = stack.repository("leaf");
    let plan: serde_json::Value =
        serde_json::from_str(&stack.run(&["plan", "--json"]).expect(0).out()).unwrap();
    let planned = plan["images"].as_array().unwrap().iter().find(|i| i["name"] == "leaf").unwrap();
    let id = image_id(planned["content_tag"].as_str().unwrap()).expect("the content tag stands");
    assert_eq!(image_id(&format!("{leaf}:t-main")), Some(id));
    let labels = docker(&["image", "inspect", "-f", "{{json .Config.Labels}}", &format!("{leaf}:t-main")]);
    let labels: serde_json::Value = serde_json::from_str(&labels).unwrap();
    assert_eq!(labels["ds01.managed"], "true");
    assert_eq!(labels["ds01.image"], "leaf");
    assert_eq!(labels["ds01.build.recipe"], planned["recipe"]);
}

#[test]
fn a_failing_image_blocks_its_children_only_and_moves_no_branch_tag() {
    let stack = chain();
    stack.spec(&format!("{CHAIN}\nside:\n  depend_on: top"));
    stack.write("images/side/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN true\n");
    stack.write(
        "images/middle/Dockerfile",
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo about to fail; exit 7\n",
    );
    let run = stack.build(&[]).expect(1);
    let ended: std::collections::BTreeMap<_, _> = run.ended().into_iter().collect();
    assert_eq!(ended["top"], "built");
    assert_eq!(ended["side"], "built");
    assert_eq!(ended["middle"], "failed");
    assert_eq!(ended["leaf"], "blocked");
    for image in ["top", "side", "middle", "leaf"] {
        assert_eq!(image_id(&format!("{}:t-main", stack.repository(image))), None, "{image}");
    }

    let said = stack.run(&["build", "--progress", "plain"]).expect(1).err();
    for part in ["about to fail", "exit code 7", "RUN echo about to fail", "Dockerfile", "blocked by middle"]
    {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }

    stack.write("images/middle/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN true\n");
    assert_eq!(stack.build(&[]).expect(0).built(), ["middle", "leaf"], "what had finished is kept");
}

#[test]
fn ctrl_c_stops_the_step_within_two_seconds_and_moves_no_tag() {
    let stack = Stack::new();
    stack.spec("slow:\n  base: busybox");
    let sleep = format!("sleep 98{}", std::process::id());
    stack.write(
        "images/slow/Dockerfile",
        format!("ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo begun; {sleep}\n"),
    );
    let mut child = stack.start(&["build", "--progress", "json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = |line: &str| line.contains("\"event\":\"log\"") && line.contains("begun");
    assert!(lines.any(|line| begun(&line.unwrap())), "the step has run");
    // The shell may still be on its way from the first command to the second.
    let seen = Instant::now();
    while !running(&sleep) {
        assert!(seen.elapsed() < Duration::from_secs(10), "the step does not sleep");
        std::thread::sleep(Duration::from_millis(5));
    }

    let stopped = Instant::now();
    interrupt(&child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(stopped.elapsed() < Duration::from_secs(2), "ended after {:?}", stopped.elapsed());
    while running(&sleep) {
        assert!(stopped.elapsed() < Duration::from_secs(2), "the step still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(docker(&["images", "-q", &stack.repository("slow")]), "");
}

fn interrupt(child: &std::process::Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

/// Is a process with this command line running on the engine's machine?
fn running(command: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").trim() == command
    })
}

#[test]
fn two_runs_at_once_solve_each_image_once() {
    let stack = chain();
    // Long enough for the runs to meet.
    stack.write("images/top/Dockerfile", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN sleep 1\n");
    let runs: Vec<_> = (0..2).map(|_| stack.start(&["build", "--progress", "json"])).collect();
    let mut built: Vec<_> =
        runs.into_iter().flat_map(|run| Run(run.wait_with_output().unwrap()).expect(0).built()).collect();
    built.sort();
    assert_eq!(built, ["leaf", "middle", "top"]);
}

#[test]
fn of_a_large_context_only_what_changed_is_sent() {
    let stack = Stack::new();
    stack.spec("big:\n  base: busybox");
    stack.write("images/big/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY data /data\n");
    const FILES: usize = 20;
    const SIZE: usize = 10 << 20;
    for at in 0..FILES {
        // Not compressible to nothing and different in each run.
        let block: Vec<u8> =
            (0..SIZE).map(|i| (i * 31 + at * 7 + std::process::id() as usize) as u8).collect();
        stack.write(&format!("images/big/data/{at}"), block);
    }
    stack.write("images/big/data/small", vec![b'a'; 1024]);
    let first = stack.build(&[]).expect(0).context_bytes();
    assert!(first >= (FILES * SIZE) as u64, "{first}");

    stack.write("images/big/data/small", vec![b'b'; 1024]);
    let run = stack.build(&[]).expect(0);
    assert_eq!(run.built(), ["big"]);
    let second = run.context_bytes();
    assert!((1024..4096).contains(&second), "{second} bytes were sent for a change of 1024");
}

#[test]
fn a_context_that_twenty_images_share_is_sent_once() {
    let stack = Stack::new();
    let mut images = String::new();
    for at in 0..20 {
        images +=
            &format!("i{at}:\n  base: busybox\n  context: shared\n  dockerfile: shared/{at}.Dockerfile\n");
        stack.write(
            &format!("shared/{at}.Dockerfile"),
            format!("ARG BASE_IMAGE\nFROM $BASE_IMAGE\nCOPY common /common\nCOPY own/{at} /own\n"),
        );
        stack.write(&format!("shared/own/{at}"), format!("{at}"));
    }
    const SIZE: usize = 4 << 20;
    stack.write("shared/common", vec![7; SIZE]);
    stack.spec(&images);
    let run = stack.build(&["--jobs", "8"]).expect(0);
    assert_eq!(run.built().len(), 20);
    let sent = run.context_bytes();
    assert!((SIZE as u64..SIZE as u64 + 65536).contains(&sent), "{sent} bytes were sent of {SIZE}");
}

#[test]
fn a_users_image_has_the_account_and_is_the_same_with_the_cache_ignored() {
    let stack = Stack::new();
    stack.spec("tool:\n  base: busybox");
    stack.write("images/tool/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo tool > /tool\n");
    let person = stack.project("tool", "");
    stack.build(&[]).expect(0);
    let first = image_id(&person.image).expect("latest stands");
    stack.build(&["--force", &person.project, "--no-cache"]).expect(0);
    assert_eq!(image_id(&person.image), Some(first));

    let seen = docker(&[
        "run",
        "--rm",
        &person.image,
        "sh",
        "-c",
        "id -u; whoami; echo $HOME; ls -dn $HOME; ls -A $HOME",
    ]);
    let lines: Vec<_> = seen.lines().collect();
    let home = format!("/home/{}", person.account);
    assert_eq!(lines[..3], ["1722830498", &person.account, &home]);
    assert!(lines[3].contains("1722830498 1722830498"), "{seen}");
    assert_eq!(lines[4..], [".bashrc", ".local", ".profile"]);
}
