//! Pinned bases with a real engine and a real registry: what images are based on
//! while tags move, and what `update` and `--check-bases` say of it.

use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::client::docker;
use crate::registries::Registry;
use crate::stack::{Run, Stack, image_id};

/// A stack whose base lies in a registry of its own, removed with both.
struct Pinned {
    stack: Stack,
    registry: Registry,
    /// Images that a later build may take the tags from.
    built: Mutex<Vec<String>>,
}

impl Pinned {
    fn new() -> Self {
        Self { stack: Stack::new(), registry: Registry::start(), built: Mutex::default() }
    }

    /// `HOST/<stack>/NAME`; the stack's id in it makes the stack remove it.
    fn repository(&self, name: &str) -> String {
        self.registry.repository(&format!("{}/{name}", self.stack.id))
    }

    /// Puts an image under a tag whose `/version` says so; gives its digest.
    fn push(&self, name: &str, version: &str) -> String {
        let tag = self.repository(name);
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("bin")).unwrap();
        std::fs::copy("/bin/busybox", root.path().join("bin/busybox")).unwrap();
        for applet in ["sh", "cat", "cp"] {
            std::os::unix::fs::symlink("busybox", root.path().join("bin").join(applet)).unwrap();
        }
        std::fs::write(root.path().join("version"), version).unwrap();
        let mut tar = Command::new("tar");
        let mut tar =
            tar.arg("-C").arg(root.path()).args(["-c", "."]).stdout(Stdio::piped()).spawn().unwrap();
        let import = Command::new("docker")
            .args(["import", "--change", "ENV PATH=/bin", "-", &tag])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(import.status.success() && tar.wait().unwrap().success());
        docker(&["push", "-q", &tag]);
        let digests = docker(&["image", "inspect", "-f", "{{json .RepoDigests}}", &tag]);
        let digests: Vec<String> = serde_json::from_str(&digests).unwrap();
        digests[0].split_once('@').unwrap().1.to_owned()
    }

    /// Takes an image off the engine, so that only the registry has it.
    fn forget(&self, name: &str) {
        let repository = self.repository(name);
        let repository = repository.rsplit_once(':').unwrap().0;
        let ids = docker(&["images", "-q", "--no-trunc", repository]);
        for id in ids.lines() {
            docker(&["rmi", "-f", id]);
        }
    }

    /// One image on `base:1`, which keeps what it finds there.
    fn one(&self, dockerfile: &str) {
        let base = self.repository("base:1");
        self.stack.write(
            "spec.yml",
            format!(
                "tag: {{prefix: \"t\"}}\nbases:\n  pinned: {{image: \"{base}\"}}\nimages:\n  app:\n    \
                 base: pinned\n    image_name: {}\n",
                self.stack.repository("app")
            ),
        );
        self.stack.write("images/app/Dockerfile", dockerfile);
    }

    fn lock(&self) -> Option<String> {
        std::fs::read_to_string(self.stack.root().join("spec.lock")).ok()
    }

    /// What a file of the built image holds.
    fn file(&self, path: &str) -> String {
        let image = format!("{}:t-main", self.stack.repository("app"));
        self.built.lock().unwrap().extend(image_id(&image));
        docker(&["run", "--rm", &image, "cat", path])
    }

    fn json(&self, args: &[&str]) -> Value {
        let out = self.stack.run(&[args, &["--json"]].concat()).expect(0).out();
        serde_json::from_str(&out).unwrap()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What lost its tag to a later push has only its digest left.
        let all = docker(&["images", "--no-trunc", "--digests", "--format", "{{.Repository}} {{.ID}}"]);
        let host = format!("{}/", self.registry.host);
        let built = self.built.get_mut().unwrap();
        let left = all.lines().filter_map(|line| line.strip_prefix(&host)?.split_once(' '));
        for id in left.map(|(_, id)| id).chain(built.iter().map(String::as_str)) {
            let _ = Command::new("docker").args(["rmi", "-f", id]).output();
        }
    }
}

const ON_BASE: &str = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN cp /version /seen\n";

fn text(run: &Run) -> String {
    run.out() + &run.err()
}

#[test]
fn a_tag_that_moves_rebuilds_nothing_before_an_update_and_what_stands_on_it_after_it() {
    let pinned = Pinned::new();
    let one = pinned.push("base:1", "one");
    pinned.one(ON_BASE);
    let plan = pinned.stack.run(&["plan"]).expect(0);
    assert!(plan.err().contains("1 base is not pinned yet"), "{}", plan.err());
    assert_eq!(pinned.lock(), None, "a plan writes nothing");
    let build = pinned.stack.build(&[]).expect(0);
    assert_eq!(build.built(), ["app"]);
    assert!(build.err().contains("spec.lock: 1 base pinned"), "{}", build.err());
    let lock = pinned.lock().expect("the build wrote it");
    assert!(lock.contains(&format!("  {}:\n    digest: {one}\n", pinned.repository("base:1"))), "{lock}");

    // The engine's own tag moves, too: it pushed the new one.
    let two = pinned.push("base:1", "two");
    assert!(pinned.stack.build(&[]).expect(0).ended().is_empty());
    assert_eq!(pinned.lock().as_ref(), Some(&lock));
    let remark = pinned.stack.run(&["plan", "-v"]).expect(0).err();
    assert!(remark.contains(&format!("the engine's tag is at {}", &two[..19])), "{remark}");

    let checked = pinned.stack.run(&["plan", "--check-bases"]).expect(0).out();
    let behind = format!(
        "behind: {} pinned {}, the registry has {}; update would rebuild 1 image\n",
        pinned.repository("base:1"),
        &one[..19],
        &two[..19]
    );
    assert!(checked.ends_with(&behind), "{checked}");
    let checked = pinned.json(&["plan", "--check-bases"]);
    assert_eq!(checked["bases"][0]["state"], "behind");
    assert_eq!(checked["bases"][0]["registry"], json!(two));
    assert_eq!(checked["bases"][0]["rebuilds"], json!(["app"]));

    let dry = pinned.json(&["update", "--dry-run"]);
    assert_eq!((&dry["bases"][0]["state"], &dry["written"]), (&json!("moved"), &json!(false)));
    assert_eq!(pinned.lock().as_ref(), Some(&lock));
    let update = pinned.stack.run(&["update"]).expect(0).out();
    let moved = format!("{}  {} → {}\n", pinned.repository("base:1"), &one[..19], &two[..19]);
    assert_eq!(update, format!("{moved}to rebuild: 1 image (app)\n"));
    assert!(pinned.stack.run(&["update"]).expect(0).err().contains("1 base unchanged"));
    let plan = pinned.stack.run(&["plan"]).expect(0).out();
    assert!(plan.starts_with("build  app  base"), "{plan}");
    pinned.stack.build(&[]).expect(0);
    assert_eq!(pinned.file("/seen"), "two");
}

#[test]
fn images_stand_on_the_pinned_content_while_the_tags_stand_for_another() {
    let pinned = Pinned::new();
    pinned.push("base:1", "base one");
    pinned.push("tool:1", "tool one");
    let tool = pinned.repository("tool:1");
    let dockerfile = format!(
        "ARG BASE_IMAGE\nARG TOOL={tool}\nFROM $TOOL AS tool\nFROM ${{BASE_IMAGE}}\nCOPY \\\n  --from={tool} /version /copied\n\
         COPY --from=tool /version /staged\nRUN --mount=type=bind,from={tool},target=/t cp /t/version /mounted\n\
         RUN cp /version /seen\n"
    );
    pinned.one(&dockerfile);
    pinned.stack.run(&["update"]).expect(0);
    assert_eq!(pinned.lock().unwrap().matches("    digest: sha256:").count(), 2);
    let check = |note: &str| {
        pinned.stack.build(&["--locked", "--no-cache", "--force-all"]).expect(0);
        for (path, expected) in [
            ("/seen", "base one"),
            ("/copied", "tool one"),
            ("/staged", "tool one"),
            ("/mounted", "tool one"),
        ] {
            assert_eq!(pinned.file(path), expected, "{path} {note}");
        }
    };
    pinned.push("base:1", "base two");
    pinned.push("tool:1", "tool two");
    check("from the engine's store, under another's tag");
    pinned.forget("base:1");
    pinned.forget("tool:1");
    check("from the registry, by digest");
    pinned.push("base:1", "base three");
    pinned.push("tool:1", "tool three");
    check("from the registry, while the engine has other content under the tag");
}

#[test]
fn without_a_network_the_lock_and_the_engine_are_enough() {
    let mut pinned = Pinned::new();
    pinned.push("base:1", "one");
    pinned.one(ON_BASE);
    pinned.stack.run(&["update"]).expect(0);
    pinned.registry.stop();
    assert_eq!(pinned.stack.build(&["--locked"]).expect(0).built(), ["app"]);
    assert_eq!(pinned.file("/seen"), "one");
    let checked = pinned.stack.run(&["plan", "--check-bases"]).expect(0);
    assert!(checked.err().contains("warning: "), "{}", checked.err());
    let lock = pinned.lock();
    let update = pinned.stack.run(&["update"]).expect(3);
    assert!(update.err().contains("stays pinned to"), "{}", update.err());
    assert_eq!(pinned.lock(), lock);
}

#[test]
fn a_build_that_cannot_be_planned_pins_nothing() {
    let pinned = Pinned::new();
    pinned.push("base:1", "one");
    pinned.one(ON_BASE);
    let refused = pinned.stack.run(&["build", "--branch", "stable"]).expect(2);
    assert!(!refused.err().contains("pinned"), "{}", refused.err());
    assert_eq!(pinned.lock(), None);
}

#[test]
fn locked_refuses_what_is_not_pinned_and_builds_nothing() {
    let pinned = Pinned::new();
    pinned.push("base:1", "one");
    pinned.one(ON_BASE);
    let refused = pinned.stack.run(&["build", "--locked"]).expect(2);
    for part in [&pinned.repository("base:1"), "is not pinned", "ds01-build update", "spec.yml:3"] {
        assert!(refused.err().contains(part), "`{part}` is missing in {}", refused.err());
    }
    assert_eq!(pinned.lock(), None);
    // A stand-in is no business of the lock, and neither is what only this engine has.
    let stand_in = format!("pinned={}", crate::stack::BASE);
    let built = pinned.stack.build(&["--locked", "--base", &stand_in]);
    assert!(built.code() == 1, "{}", text(&built));
    pinned.one("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN true\n");
    pinned.stack.build(&["--locked", "--base", &stand_in]).expect(0);
    pinned.stack.build(&["--base", &format!("pinned={}", pinned.repository("base:1"))]).expect(0);
    assert_eq!(pinned.lock(), None, "a stand-in is never written down");
}

#[test]
fn update_keeps_what_is_gone_drops_what_is_unused_and_knows_what_was_meant() {
    let pinned = Pinned::new();
    pinned.push("base:1", "one");
    let tool = pinned.push("tool:1", "tool");
    pinned.one(&format!("{ON_BASE}COPY --from={} /version /tool\n", pinned.repository("tool:1")));
    pinned.stack.run(&["update", "pinned"]).expect(0);
    assert!(!pinned.lock().unwrap().contains(&tool), "only what was named");
    pinned.stack.run(&["update", &pinned.repository("tool:1")]).expect(0);
    assert!(pinned.lock().unwrap().contains(&tool));
    let meant = pinned.stack.run(&["update", "pined"]).expect(2);
    assert!(meant.err().contains("did you mean `pinned`?"), "{}", meant.err());

    pinned.forget("tool:1");
    delete(&pinned.registry.host, &format!("{}/tool", pinned.stack.id), &tool);
    let gone = pinned.stack.run(&["update"]).expect(0);
    assert!(gone.err().contains("is gone from its registry; it stays pinned"), "{}", gone.err());
    assert!(pinned.lock().unwrap().contains(&tool));

    pinned.one(ON_BASE);
    let dropped = pinned.stack.run(&["update"]).expect(0);
    assert!(dropped.out().contains("dropped "), "{}", dropped.out());
    assert!(!pinned.lock().unwrap().contains(&tool));
}

#[test]
fn of_an_index_the_platforms_manifest_is_recorded_and_alone_decides_whether_it_moved() {
    let pinned = Pinned::new();
    let (one, two) = (pinned.push("base:a", "one"), pinned.push("base:b", "two"));
    let index = |amd64: &str, arm64: &str| {
        let entry = |digest: &str, architecture: &str| {
            let size = manifest(&pinned.registry.host, &format!("{}/base", pinned.stack.id), digest).len();
            json!({
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "digest": digest, "size": size,
                "platform": {"architecture": architecture, "os": "linux"},
            })
        };
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
            "manifests": [entry(amd64, "amd64"), entry(arm64, "arm64")],
        });
        put_index(&pinned.registry.host, &format!("{}/base", pinned.stack.id), "1", &index.to_string())
    };
    let first = index(&one, &two);
    pinned.forget("base:a");
    pinned.one(ON_BASE);
    pinned.stack.build(&[]).expect(0);
    assert_eq!(pinned.file("/seen"), "one");
    let lock = pinned.lock().unwrap();
    let entry = format!("    digest: {first}\n    platforms:\n      linux/amd64: {one}\n");
    assert!(lock.contains(&entry), "{lock}");

    // Another platform's image has changed.
    let second = index(&one, &one);
    assert_ne!(first, second);
    let checked = pinned.json(&["plan", "--check-bases"]);
    assert_eq!(checked["bases"][0]["state"], "current", "{checked}");
    let third = index(&two, &one);
    assert_eq!(pinned.json(&["plan", "--check-bases"])["bases"][0]["state"], "behind");
    pinned.stack.run(&["update"]).expect(0);
    let entry = format!("    digest: {third}\n    platforms:\n      linux/amd64: {two}\n");
    assert!(pinned.lock().unwrap().contains(&entry), "{}", pinned.lock().unwrap());
    pinned.stack.build(&["--locked"]).expect(0);
    assert_eq!(pinned.file("/seen"), "two");
}

#[test]
fn a_lock_that_cannot_be_written_is_told_and_no_reason_not_to_build() {
    let pinned = Pinned::new();
    pinned.push("base:1", "one");
    pinned.one(ON_BASE);
    // The administrator may write anywhere; but no name is longer than 255
    // bytes, and what is written first has a longer one than the lock.
    let long = format!("{}.yml", "x".repeat(245));
    std::fs::rename(pinned.stack.root().join("spec.yml"), pinned.stack.root().join(&long)).unwrap();
    let run = pinned.stack.build(&["--spec", &long]).expect(0);
    assert_eq!(run.built(), ["app"]);
    assert!(run.err().contains("warning: ") && run.err().contains("cannot be written"), "{}", run.err());
}

#[test]
fn a_broken_lock_is_refused_by_whoever_reads_it() {
    let pinned = Pinned::new();
    pinned.one(ON_BASE);
    let lock = pinned.stack.root().join("spec.lock");
    std::fs::write(&lock, "<<<<<<< HEAD\n").unwrap();
    for command in [&["plan"][..], &["build"], &["update"], &["check"]] {
        let refused = pinned.stack.run(command).expect(2);
        assert!(refused.err().contains("a merge conflict is not solved"), "{}", refused.err());
    }
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    assert!(pinned.stack.run(&["plan"]).expect(2).err().contains("spec.lock cannot be read"));
}

#[test]
fn what_only_the_engine_has_is_no_business_of_the_lock() {
    let stack = Stack::new();
    stack.spec("app:\n  base: busybox");
    stack.write("images/app/Dockerfile", "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN true\n");
    let update = stack.run(&["update"]).expect(0).err();
    assert!(update.contains("is in this engine only"), "{update}");
    stack.build(&["--locked"]).expect(0);
    assert!(!stack.root().join("spec.lock").exists());
    let checked = stack.run(&["plan", "--check-bases"]).expect(0).err();
    assert!(checked.contains("no base is pinned"), "{checked}");
}

#[test]
fn an_update_needs_no_engine_and_counts_whose_images_it_rebuilds() {
    let pinned = Pinned::new();
    let one = pinned.push("base:1", "one");
    pinned.one(ON_BASE);
    let person = pinned.stack.project("app", "");
    pinned.stack.run(&["update"]).expect(0);
    pinned.push("base:1", "two");
    let away = ["update", "--engine", "unix:///nowhere/docker.sock"];
    let alone = pinned.stack.run(&[&away[..], &["--dry-run"]].concat()).expect(0).out();
    let user = format!("{}/{}", person.account, person.project);
    let last = format!("affected: 2 images (app, {user}); 1 project of 1 user\n");
    assert!(alone.ends_with(&last), "{alone}");
    let moved = pinned.json(&away);
    assert_eq!(moved["bases"][0]["old"], json!(one));
    assert_eq!(moved["rebuild"]["users"], json!([person.login]));
    assert_eq!((&moved["written"], &moved["rebuild"]["planned"]), (&json!(true), &json!(false)));
}

/// Speaks to a registry as curl does.
fn curl(args: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS", "--fail"]).args(args).output().expect("curl is installed");
    assert!(output.status.success(), "curl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn manifest(host: &str, repository: &str, digest: &str) -> String {
    let accept = "Accept: application/vnd.docker.distribution.manifest.v2+json";
    curl(&["-H", accept, &format!("http://{host}/v2/{repository}/manifests/{digest}")])
}

fn delete(host: &str, repository: &str, digest: &str) {
    curl(&["-X", "DELETE", &format!("http://{host}/v2/{repository}/manifests/{digest}")]);
}

/// Gives the index's digest.
fn put_index(host: &str, repository: &str, tag: &str, index: &str) -> String {
    let kind = "Content-Type: application/vnd.docker.distribution.manifest.list.v2+json";
    let url = format!("http://{host}/v2/{repository}/manifests/{tag}");
    let answer = curl(&["-D", "-", "-X", "PUT", "-H", kind, "--data-binary", index, &url]);
    let digest = answer.lines().find_map(|line| line.strip_prefix("Docker-Content-Digest: "));
    digest.expect("the registry says what it stored").trim().to_owned()
}
