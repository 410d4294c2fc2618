//! What is found in what was seen.

use std::collections::BTreeMap;
use std::path::Path;

use super::Severity::{Error, Note, Ok, Warning};
use super::machine::RegistryUse;
use super::*;
use crate::engine::fake::FakeEngine;
use crate::engine::{Container, Engine, Error as EngineError, Image, ImageDetail};
use crate::gpu::DriverState;
use crate::host::people::fake::FakePeople;
use crate::image::user_layer::{BaseFacts, FactKind, FileFact};
use crate::model::account::Account;
use crate::model::names::{ImageId, Login};
use crate::model::reference::Reference;
use crate::spec::files::memory::MemoryFiles;
use crate::spec::{Spec, SpecContext};

fn spec(text: &str) -> Spec {
    let head = "tag: {prefix: \"1\"}\nbases:\n  slim: {image: \"debian:12\"}\n";
    let files = MemoryFiles::default().file("/r/spec.yml", format!("{head}{text}"));
    crate::spec::read(Path::new("/r"), Path::new("spec.yml"), &SpecContext::of(&files)).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn image(id: &str, tags: &[&str], pairs: &[(&str, &str)]) -> Image {
    Image {
        id: ImageId::new(format!("sha256:{id}")),
        tags: tags.iter().map(|tag| Reference::parse(tag).unwrap()).collect(),
        digests: Vec::new(),
        labels: labels(pairs),
        size: 1 << 30,
        created: 0,
    }
}

fn container(name: &str, image: &str, pairs: &[(&str, &str)]) -> Container {
    Container {
        id: name.into(),
        name: name.into(),
        image: image.into(),
        image_id: ImageId::new(format!("sha256:{image}")),
        labels: labels(pairs),
        state: "running".into(),
        status: "Up".into(),
        created: 0,
    }
}

/// `severity subject: message`, a line for each.
fn shown(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("{:?} {}: {}\n", f.severity, f.subject, f.message)).collect()
}

fn lost() -> EngineError {
    EngineError::Unreachable { address: "unix:///x".into(), cause: "refused".into() }
}

#[test]
fn only_errors_make_a_machine_broken() {
    let finding = |severity| Check::of("x", "y").finding(severity, "z");
    let mut report = Diagnosis::default();
    report.extend([Ok, Note, Warning].map(finding));
    assert!(!report.is_broken());
    report.extend([finding(Error)]);
    assert!(report.is_broken());
    assert_eq!(report.count(Error), 1);
}

#[tokio::test]
async fn an_engine_says_what_it_is_or_what_to_do() {
    let fake = FakeEngine::new();
    let facts = fake.info().await;
    let found = machine::engine("fake://", "--engine", &facts);
    assert_eq!(
        (found.severity, found.message.as_str()),
        (Ok, "version 20.10.24, interface 1.41 (address from --engine)")
    );
    assert_eq!(machine::buildkit("fake://", &fake.lacks().await).severity, Ok);
    let found = machine::engine("unix:///x", "the default", &Err(lost()));
    assert_eq!(found.severity, Error);
    assert!(found.help.unwrap().contains("Is the engine running?"));
    let found = machine::buildkit("x", &Result::Ok(vec!["file.base".into()]));
    assert_eq!((found.severity, found.check), (Error, "buildkit"));
    assert!(found.message.contains("file.base"));
    assert_eq!(machine::buildkit("x", &Err(lost())).check, "buildkit");
}

#[test]
fn slow_drivers_are_told_and_good_ones_are_not_blamed() {
    let of = |storage: &str, cgroups: &str| {
        let facts = crate::engine::EngineInfo {
            storage_driver: storage.into(),
            cgroup_driver: cgroups.into(),
            ..Default::default()
        };
        machine::drivers(&facts).map(|finding| finding.severity)
    };
    assert_eq!(of("overlay2", "systemd"), [Ok, Ok]);
    assert_eq!(of("fuse-overlayfs", "cgroupfs"), [Note, Note]);
    assert_eq!(of("vfs", "none"), [Warning, Warning]);
}

#[test]
fn room_is_measured_by_the_largest_image() {
    let images = [image("1", &[], &[])];
    let of = |free| machine::space(Path::new("/x"), free, &images).severity;
    assert_eq!(of(Result::Ok(1)), Error);
    assert_eq!(of(Result::Ok(2 << 30)), Warning);
    assert_eq!(of(Result::Ok(50 << 30)), Ok);
    assert_eq!(of(Err("elsewhere".into())), Note);
}

#[test]
fn registries_of_images_are_needed_and_those_of_bases_are_not() {
    let spec = spec("registry: reg.local:5000/x\nimages:\n  a: {base: slim, packages: {apt: [git]}}\n");
    let hosts = machine::registries(&spec);
    assert_eq!(
        hosts.into_iter().collect::<Vec<_>>(),
        [("docker.io".to_owned(), RegistryUse::Bases), ("reg.local:5000".to_owned(), RegistryUse::Images)]
    );
    let gone = crate::registry::Error::Unreachable { host: "h".into(), cause: "refused".into() };
    assert_eq!(machine::registry("h", RegistryUse::Bases, &Err(gone.clone())).severity, Warning);
    assert_eq!(machine::registry("h", RegistryUse::Images, &Err(gone)).severity, Error);
    let found = machine::login("h", RegistryUse::Images, &Result::Ok(None));
    assert_eq!((found.severity, found.command.as_deref()), (Note, Some("docker login h")));
    let broken = crate::registry::credentials::CredentialsError::Helper {
        helper: "pass".into(),
        host: "h".into(),
        cause: "it does not answer".into(),
    };
    assert!(machine::login("h", RegistryUse::Bases, &Err(broken)).message.contains("`pass` failed"));
}

#[test]
fn no_state_of_the_driver_keeps_images_from_being_built() {
    let states = [
        (DriverState::Ready { driver: "570".into(), gpus: 1 }, Ok),
        (DriverState::NoLibrary { cause: "x".into() }, Note),
        (DriverState::NoDriver, Warning),
        (DriverState::NoPermission, Warning),
        (DriverState::Mismatch, Warning),
        (DriverState::Failed { cause: "x".into() }, Warning),
    ];
    for (state, severity) in states {
        let found = machine::gpu_driver(&state);
        assert_eq!(found.severity, severity, "{state:?}");
        assert_eq!(found.help.is_none(), severity == Ok, "{state:?}");
    }
}

const ANN: [(&str, &str); 4] = [
    ("ds01.has_user_setup", "true"),
    ("ds01.user_id", "1001"),
    ("ds01.group_id", "1002"),
    ("ds01.username", "ann"),
];

fn with<'a>(key: &str, value: &'a str) -> Vec<(&'static str, &'a str)> {
    ANN.into_iter().map(|(k, v)| if k == key { (k, value) } else { (k, v) }).collect()
}

#[test]
fn an_account_in_an_image_is_compared_with_the_host_s() {
    let spec = spec("users: {ann@x: {uid: 1001, gid: 1002}}\n");
    let of = |pairs: &[(&str, &str)], spec: Option<&Spec>, people: &FakePeople| {
        shown(&images::accounts(
            &[image("1", &["ds01-1001/t:r-0123456789abcdef", "ds01-1001/t:latest"], pairs)],
            spec,
            people,
        ))
    };
    let nobody = FakePeople::default();
    assert_eq!(
        of(&ANN, Some(&spec), &nobody),
        "Ok images: 1 image for the uid, gid and name that their owner has\n"
    );
    assert!(of(&ANN, None, &FakePeople::default().with("ann", 1001, 1002, &[])).starts_with("Ok"));
    assert_eq!(
        of(&with("ds01.group_id", "7000"), Some(&spec), &nobody),
        "Warning ds01-1001/t:latest: it has uid 1001, gid 7000 and ann in it, but the gid of ann@x is 1002\n"
    );
    assert!(of(&with("ds01.username", "bob"), Some(&spec), &nobody).contains("but uid 1001 is ann@x's"));
    assert!(of(&with("ds01.user_id", "1009"), Some(&spec), &nobody).contains("but the uid of ann@x is 1001"));
    assert!(
        of(&ANN, None, &FakePeople::default().with("ann", 1009, 1, &[])).contains("the uid of ann is 1009")
    );
    assert!(of(&ANN, None, &nobody).contains("nobody has that uid now"));
    let gone = images::accounts(&[image("1", &["ds01-1001/t:latest"], &ANN)], None, &nobody);
    assert!(gone.iter().all(|finding| finding.command.is_none()), "another spec may have its owner");
    assert!(of(&ANN, None, &FakePeople::lost("it hangs")).starts_with("Note"));
    assert_eq!(of(&[("ds01.user_id", "1001")], None, &nobody), "", "half a set of labels is no account");
    let old: Vec<_> =
        [("HAS_USER_SETUP", "true"), ("USER_ID", "1001"), ("GROUP_ID", "1002"), ("USERNAME", "ann")]
            .map(|(key, value)| (format!("aime.mlc.DS01_{key}"), value))
            .to_vec();
    let old: Vec<_> = old.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    assert!(of(&old, Some(&spec), &nobody).starts_with("Ok"), "older images are looked at too");
}

#[test]
fn what_the_old_way_left_is_named_with_what_removes_it() {
    let images = [
        image("1", &["busybox:thesis._.1001", "busybox:1"], &[]),
        image("2", &[], &[("aime.mlc.USER", "ann")]),
        image("3", &[], &[("ds01.managed", "true")]),
        image("4", &[], &[("maintainer", "x")]),
        image("5", &["x:a._.b", "reg.local:5000/x:1"], &[("ds01.managed", "true")]),
    ];
    let containers = [container("used", "3", &[])];
    let found = images::leftovers(&images, &containers);
    let commands: Vec<_> = found.iter().filter_map(|f| f.command.as_deref()).collect();
    assert_eq!(
        commands,
        ["docker image rm busybox:thesis._.1001", "docker image rm sha256:2", "docker image rm sha256:3"]
    );
    assert!(found[0].message.contains("`thesis` of uid 1001"), "{}", found[0].message);
    assert!(found.iter().all(|f| f.bytes == Some(1 << 30) && f.severity == Warning));
    assert_eq!(found[2].items, ["used"]);
    assert!(found[2].help.as_deref().unwrap().contains("1 container is still based on it"));
    assert_eq!(images::leftovers(&images[3..], &[])[0].severity, Ok);
}

#[test]
fn only_what_nothing_newer_answers_for_relies_on_old_labels() {
    let images = [
        image("1", &["x:1"], &[("aime.mlc.FRAMEWORK", "Pytorch"), ("ds01.framework", "Pytorch")]),
        image("2", &["y:1"], &[("aime.mlc.FRAMEWORK", "Pytorch")]),
    ];
    let containers = [
        container("b", "1", &[("aime.mlc.USER", "ann"), ("aime.mlc", "ann")]),
        container("a", "1", &[("aime.mlc.NAME", "a")]),
        container("new", "1", &[("ds01.user", "ann"), ("aime.mlc.USER", "ann")]),
    ];
    let found = images::legacy_labels(&images, &containers);
    assert_eq!(
        shown(&found),
        "Note containers: 2 containers rely on keys of older systems: aime.mlc.NAME, aime.mlc.USER\n\
         Note images: 1 image relies on a key of older systems: aime.mlc.FRAMEWORK\n"
    );
    assert_eq!(found[0].items, ["a: aime.mlc.NAME", "b: aime.mlc.USER"]);
    assert!(images::legacy_labels(&[], &[]).iter().all(|finding| finding.severity == Ok));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_only_where_nothing_works_without() {
    let of = |name, needed, writable| {
        machine::folder(&machine::Folder { name, path: "/x".into(), needed, writable }).severity
    };
    assert_eq!(of("locks", true, Err("no".into())), Error);
    assert_eq!(of("cache", false, Err("no".into())), Warning);
    assert_eq!(of("locks", true, Result::Ok(())), Ok);
}

fn ann() -> Account {
    Account {
        login: Login::new("ann@x"),
        name: "ann".into(),
        uid: 1001,
        gid: 1002,
        shell: "/bin/bash".into(),
        sudo: false,
        jupyter: None,
    }
}

fn detail(pairs: &[(&str, &str)]) -> ImageDetail {
    ImageDetail {
        id: ImageId::new("sha256:1"),
        tags: vec![Reference::parse("ds01-1001/t:latest").unwrap()],
        labels: labels(pairs),
        env: ["HOME=/home/ann", "PATH=/home/ann/.local/bin:/bin", "PIP_BREAK_SYSTEM_PACKAGES=1"]
            .map(str::to_owned)
            .to_vec(),
        user: "1001:1002".into(),
        workdir: "/workspace".into(),
        command: vec!["sh".into()],
        onbuild: Vec::new(),
        diff_ids: vec!["sha256:a".into()],
        size: 1,
    }
}

#[test]
fn the_settings_of_an_image_are_those_of_its_account() {
    assert_eq!(image::settings("t", &ann(), &detail(&[]))[0].severity, Ok);
    let broken = ImageDetail {
        env: ["HOME=/root", "PATH=/usr/home/ann/.local/bin", "PIP_BREAK_SYSTEM_PACKAGES=1"]
            .map(str::to_owned)
            .to_vec(),
        user: "0".into(),
        workdir: "/".into(),
        ..detail(&[])
    };
    assert_eq!(
        shown(&image::settings("t", &ann(), &broken)),
        "Warning t: starts as `0`, not 1001:1002\n\
         Warning t: HOME is `/root`, not /home/ann\n\
         Warning t: /home/ann/.local/bin is not on PATH, so what `pip install --user` brings is not found\n\
         Warning t: the working folder is `/`, not /workspace\n"
    );
}

#[test]
fn an_account_whose_home_is_another_s_is_an_error() {
    let found = image::files("t", &ann(), Result::Ok(&BaseFacts::default()));
    assert!(found.severity == Error && found.message.contains("`/etc/passwd` is not in the image"));
    let mut read = BaseFacts::default();
    for (path, text) in
        [("/etc/passwd", "ann:x:1001:1002::/home/ann:/bin/sh\n"), ("/etc/group", "ann:x:1002:\n")]
    {
        let kind = FactKind::File(Some(text.into()));
        read.learn(path, FileFact { kind, mode: 0o644, uid: 0, gid: 0 });
    }
    let folder = |uid| FileFact { kind: FactKind::Dir(None), mode: 0o755, uid, gid: 1002 };
    for path in ["/home/ann", "/home/ann/.local/bin", "/workspace"] {
        read.learn(path, folder(1001));
    }
    assert_eq!(image::files("t", &ann(), Result::Ok(&read)).severity, Ok);
    read.learn("/home/ann", folder(0));
    assert!(image::files("t", &ann(), Result::Ok(&read)).message.contains("`/home/ann` belongs to 0:1002"));
}

#[test]
fn labels_tell_who_made_an_image() {
    let of = |pairs: &[(&str, &str)]| image::labels("t", &detail(pairs));
    let ours = [("ds01.managed", "true"), ("ds01.image", "ann/t"), ("ds01.build.recipe", "x")];
    assert_eq!(of(&ours).message, "made by ds01-build as ann/t");
    assert_eq!(of(&ours[..2]).severity, Warning);
    assert!(of(&[("aime.mlc.DS01_MANAGED", "true")]).message.contains("older system"));
    assert!(of(&[]).message.contains("not made by ds01-build"));
    assert!(image::setup("t", &detail(&ANN)).is_ok());
    assert_eq!(image::setup("t", &detail(&ANN[..2])).unwrap_err().severity, Warning);
    assert_eq!(image::setup("t", &detail(&[])).unwrap_err().severity, Ok);
}

#[test]
fn disagreements_are_errors_and_a_silent_database_is_a_warning() {
    let stack = spec("users: {ann@x: {uid: 1001}}\n");
    let of = |people: &FakePeople| {
        machine::users("spec.yml", &stack, &stack.disagreements(stack.users.keys(), people))
    };
    assert_eq!(of(&FakePeople::default())[0].severity, Ok);
    assert_eq!(of(&FakePeople::lost("it hangs"))[0].severity, Warning);
    let found = of(&FakePeople::default().with("ann@x", 1, 1, &[]));
    assert_eq!(
        (found[0].severity, found[0].check, found[0].subject.as_str()),
        (Error, "users", "spec.yml:4:9")
    );
}
