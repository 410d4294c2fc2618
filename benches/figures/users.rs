//! Images of users on a base of 2 GB with 20,000 files, against the old way:
//! a container is run, an account made in it, the container committed.
//!
//! On engines of their own, so that storage drivers can be compared: overlay2
//! knows what a layer holds, others compare all files of it with those below.

use std::fmt::Write as _;
use std::io::{BufWriter, Read, Write};
use std::ops::Range;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use crate::line;
use crate::measure::{Measured, once};
use crate::second_engine::SecondEngine;
use crate::stacks::PROGRAM;

/// `scripts/bench` makes it.
const DEBIAN: &str = "ds01-quickstart/debian:bookworm";
const BASE: &str = "ds01-bench/large:1";
const FOLDERS: usize = 200;
const FILES: usize = 100;
const FILE_BYTES: usize = 104_857;
/// A uid as campus directories give them out.
const FIRST_UID: usize = 1_722_830_000;
/// Whole rounds of the old way; each is seconds.
const ROUNDS: usize = 3;

pub fn figures() {
    let own = docker(&["info", "--format", "{{.Driver}}"]);
    let drivers =
        ["overlay2".to_owned()].into_iter().chain((own.trim() != "overlay2").then(|| own.trim().to_owned()));
    for driver in drivers {
        match SecondEngine::with_driver(&driver) {
            Ok(engine) => on(&engine, &driver),
            Err(log) => println!("users on {driver}: left out, since no engine starts with it:\n{log}"),
        }
    }
}

fn on(engine: &SecondEngine, driver: &str) {
    large_base(engine);
    let rounds =
        |way: AttachMethod| Measured::of((0..=ROUNDS).map(|n| old_way(engine, way, n)).skip(1).collect(), 0);
    let (bare, old) = (rounds(AttachMethod::AccountAlone), rounds(AttachMethod::AsItWas));
    let people = People { dir: tempfile::tempdir().unwrap(), url: engine.url() };
    let since = now();
    let mut one = Vec::new();
    for n in 0..=super::RUNS {
        people.ask(n..n + 1, None);
        one.push(once(people.build()));
    }
    let peak_kb = one.iter().map(|run| run.peak_kb).max().unwrap_or(0);
    let one = Measured::of(one.iter().skip(1).map(|run| run.ms).collect(), peak_kb);

    // People of whom the engine has seen nothing yet.
    let new = 500..500 + super::RUNS + 1;
    people.know(new.clone());
    let created: Vec<_> = new.map(|n| once(people.create(n))).skip(1).collect();
    let created = Measured::of(created.iter().map(|run| run.ms).collect(), 0);

    // Drivers that compare all files take seconds for each.
    let count = if driver == "overlay2" { 100 } else { 10 };
    let all = 1000..1000 + count;
    people.ask(all.clone(), None);
    let batch = once(people.build());
    let before = people.images(engine, all.clone());
    people.ask(all.clone(), Some(all.start));
    let change = once(people.build());
    let after = people.images(engine, all.clone());
    let events = ["events", "--since", &since, "--until", &now(), "--filter", "type=container"];
    assert_eq!(engine.docker(&events), "", "containers were started");

    let single = |run: &crate::measure::Once, by: usize| Measured::of(vec![run.ms / by as f64], run.peak_kb);
    line(&format!("{driver}: run, set up as mlc-create does, commit"), &old, "");
    line(&format!("{driver}: run, useradd alone, commit"), &bare, "");
    line(&format!("{driver}: build, one user's image"), &one, "1000 ms");
    line(&format!("{driver}: image create, to a ready image"), &created, "1000 ms");
    line(&format!("{driver}: build, each of {count} users' images"), &single(&batch, count), "50 ms");
    line(&format!("{driver}: build, one user of {count} changed"), &single(&change, 1), "");
    for (what, way) in [("the old way", &old), ("useradd alone", &bare)] {
        println!(
            "    {:.1} times as fast as {what} for one user, {:.1} times for each of {count}; wanted: 100 times",
            way.median / one.median,
            way.median / (batch.ms / count as f64)
        );
    }
    let base = Image::of(engine, &[BASE.to_owned()]).remove(0);
    let unique = after.iter().map(|image| image.size - base.size).max().unwrap_or(0);
    println!("    at most {:.1} KiB of an image's own; wanted: 64 KiB", unique as f64 / 1024.0);
    let changed: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a.id != b.id).collect();
    assert_eq!(changed.len(), 1, "one image was to change");
    assert!(after.iter().all(|image| image.layers[..image.layers.len() - 1] == base.layers));
    println!(
        "    with one user changed: 1 of {count} images made anew, all layers below the last one shared"
    );
}

/// People with a project each, all on the large base.
struct People {
    dir: tempfile::TempDir,
    url: String,
}

impl People {
    /// Asks for images of these people only; one may have another shell.
    fn ask(&self, who: Range<usize>, other_shell: Option<usize>) {
        self.spec(who.clone(), other_shell);
        for n in who {
            let project = format!("p{n}: {{user: u{n}@example.org, image: large}}\n");
            std::fs::write(self.dir.path().join(format!("projects/p{n}.yml")), project).unwrap();
        }
    }

    /// People without any project.
    fn know(&self, who: Range<usize>) {
        self.spec(who, None);
    }

    fn spec(&self, who: Range<usize>, other_shell: Option<usize>) {
        let mut spec = format!(
            "version: 1\ntag: {{prefix: \"b\"}}\nbases:\n  large: {{image: \"{BASE}\"}}\nimages: {{}}\n\
             include: [projects/*.yml]\nusers:\n"
        );
        let _ = std::fs::remove_dir_all(self.dir.path().join("projects"));
        std::fs::create_dir_all(self.dir.path().join("projects")).unwrap();
        for n in who {
            let shell = if other_shell == Some(n) { ", shell: /bin/sh" } else { "" };
            let _ = writeln!(spec, "  u{n}@example.org: {{uid: {}{shell}}}", FIRST_UID + n);
        }
        std::fs::write(self.dir.path().join("spec.yml"), spec).unwrap();
    }

    fn build(&self) -> Command {
        self.program(&["build"])
    }

    fn create(&self, n: usize) -> Command {
        self.program(&[
            "image",
            "create",
            &format!("c{n}"),
            "--image",
            "large",
            "--user",
            &format!("u{n}@example.org"),
        ])
    }

    fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .current_dir(self.dir.path())
            .args(args)
            .args(["--progress", "quiet", "--engine", &self.url])
            .env("XDG_STATE_HOME", self.dir.path().join(".state"))
            .env("XDG_CACHE_HOME", self.dir.path().join(".cache"))
            .env("DS01_BRANCH", "main");
        command
    }

    fn images(&self, engine: &SecondEngine, who: Range<usize>) -> Vec<Image> {
        let names: Vec<_> = who.map(|n| format!("ds01-{}/p{n}:latest", FIRST_UID + n)).collect();
        Image::of(engine, &names)
    }
}

struct Image {
    id: String,
    /// Bytes, with all layers.
    size: i64,
    layers: Vec<String>,
}

impl Image {
    fn of(engine: &SecondEngine, names: &[String]) -> Vec<Self> {
        let template = "{{.Id}}\t{{.Size}}\t{{json .RootFS.Layers}}";
        let names = names.iter().map(String::as_str);
        let args: Vec<_> = ["image", "inspect", "--format", template].into_iter().chain(names).collect();
        let read = |line: &str| {
            let fields: Vec<_> = line.split('\t').collect();
            Self {
                id: fields[0].to_owned(),
                size: fields[1].parse().unwrap(),
                layers: serde_json::from_str(fields[2]).unwrap(),
            }
        };
        engine.docker(&args).lines().map(read).collect()
    }
}

/// How an account got into an image before.
#[derive(Clone, Copy, PartialEq)]
enum AttachMethod {
    /// The account, and nothing else.
    AccountAlone,
    /// As AIME MLC's `mlc-create` does: sudo and git are installed first, and
    /// the account gets a sudo rule.
    AsItWas,
}

/// Milliseconds of the old way for one user, at its best: without the login
/// records that `useradd` writes (with a uid as high as these they are
/// hundreds of GB to an engine).
fn old_way(engine: &SecondEngine, way: AttachMethod, n: usize) -> f64 {
    let workspace = tempfile::tempdir().unwrap();
    let (kind, number, install) = match way {
        AttachMethod::AccountAlone => ("bare", 5000, ":"),
        AttachMethod::AsItWas => ("old", 6000, "apt-get -q update && apt-get -qy install sudo git"),
    };
    let (name, mount) = (format!("{kind}{n}"), format!("{}:/workspace", workspace.path().display()));
    let uid = FIRST_UID + number + n;
    let rule = format!("echo '{name} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{name}");
    let rule = if way == AttachMethod::AsItWas { rule.as_str() } else { ":" };
    let script = format!(
        "export DEBIAN_FRONTEND=noninteractive; {{ {install}; }} >/dev/null 2>&1 && {rule} && groupadd -g {uid} {name} && useradd --no-log-init -u {uid} -g {uid} -m -s /bin/bash {name} 2>/dev/null && \
         mkdir -p /home/{name}/.local/bin && chown -R {uid}:{uid} /home/{name} /workspace"
    );
    let began = Instant::now();
    engine.docker(&["run", "--network", "host", "--name", &name, "-v", &mount, BASE, "bash", "-c", &script]);
    engine.docker(&["commit", "--change", &format!("USER {uid}:{uid}"), &name, &format!("old/{name}")]);
    engine.docker(&["rm", &name]);
    began.elapsed().as_secs_f64() * 1000.0
}

/// Imports the large base: its files and, after them, a Debian's.
fn large_base(engine: &SecondEngine) {
    let debian = docker(&["create", DEBIAN, "true"]);
    let debian = debian.trim();
    let mut export = Command::new("docker").args(["export", debian]).stdout(Stdio::piped()).spawn().unwrap();
    let mut import = Command::new("docker")
        .args([
            "--host",
            &engine.url(),
            "import",
            "--change",
            "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ])
        .args(["--change", "CMD [\"bash\"]", "-", BASE])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut tar = BufWriter::new(import.stdin.take().unwrap());
    files(&mut tar);
    std::io::copy(&mut export.stdout.take().unwrap().by_ref(), &mut tar).unwrap();
    drop(tar);
    assert!(export.wait().unwrap().success() && import.wait().unwrap().success());
    docker(&["rm", debian]);
}

/// 20,000 files of 2 GB in all, as an archive without its end.
fn files(tar: &mut impl Write) {
    let mut content: Vec<u8> = b"0123456789abcdef".iter().copied().cycle().take(FILE_BYTES).collect();
    content.resize(FILE_BYTES.next_multiple_of(512), 0);
    for folder in 0..FOLDERS {
        tar.write_all(&header(&format!("opt/data/d{folder}"), None)).unwrap();
        for file in 0..FILES {
            tar.write_all(&header(&format!("opt/data/d{folder}/f{file}"), Some(FILE_BYTES))).unwrap();
            tar.write_all(&content).unwrap();
        }
    }
}

/// An entry of a tar archive (POSIX.1-1988): a file of so many bytes, or a folder.
fn header(path: &str, size: Option<usize>) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, if size.is_some() { "0000644\0" } else { "0000755\0" });
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", size.unwrap_or(0)));
    put(136, "07346545000\0");
    // The sum counts itself as blanks.
    put(148, "        ");
    put(156, if size.is_some() { "0" } else { "5" });
    put(257, "ustar\x0000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

/// The machine's own engine.
fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
