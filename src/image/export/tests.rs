//! Dockerfiles of each kind, whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::dockerfile::context::Context;
use crate::dockerfile::ignore::Ignore;
use crate::image::solve::{ConfigChange, ExecStep};
use crate::image::user_layer::{self, FileKind, FileNode};
use crate::model::account::Account;
use crate::model::names::Login;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn solve(start: Start) -> Solve {
    Solve {
        node: NodeName::new("ann/thesis"),
        start,
        steps: Vec::new(),
        user: None,
        sudo: None,
        config: ConfigChange { labels: map(&[("ds01.managed", "true")]), ..ConfigChange::default() },
        secrets: BTreeMap::new(),
        proxy: BTreeMap::new(),
        no_cache: false,
        cache_from: Vec::new(),
        inline_cache: false,
    }
}

fn step() -> ExecStep {
    ExecStep {
        title: "apt install git".into(),
        argv: ["/bin/sh", "/run/x/install.sh", "git", "it's"].map(str::to_owned).to_vec(),
        env: map(&[("A", "b c")]),
        caches: map(&[("/var/cache/apt", "apt")]),
        secrets: map(&[("/run/secrets/ca", "ca")]),
        tmpfs: BTreeSet::from(["/run".to_owned()]),
        files: map(&[("/run/x/install.sh", "set -eu\napt install \"$@\"\n")]),
        origins: Vec::new(),
    }
}

fn account() -> (Account, LayerFiles) {
    let account = Account {
        login: Login::new("ann@x"),
        name: "ann".into(),
        uid: 1001,
        gid: 1001,
        shell: "/bin/sh".into(),
        sudo: false,
        jupyter: None,
    };
    let node = |path: &str, kind, mode, uid| FileNode { path: path.into(), kind, mode, uid, gid: uid };
    let nodes = vec![
        node("/etc", FileKind::Dir, 0o755, 0),
        node(
            "/etc/passwd",
            FileKind::File(b"root:x:0:0:r\xe4t:/root:/bin/sh\nann:x:1001\n".to_vec()),
            0o644,
            0,
        ),
        node("/home/ann", FileKind::Dir, 0o755, 1001),
    ];
    (account, LayerFiles { nodes, notes: Vec::new() })
}

fn text(solve: &Solve, layer: &LayerFiles, below: Option<BaseConfig<'_>>) -> Result<String, String> {
    let parents = [(NodeName::new("tool"), reference("ds01/tool:r-0123456789abcdef"))];
    let tag = reference("ds01-1001/thesis:latest");
    DockerfileExport { solve, layer, tag: &tag, parents: &parents, below }.text()
}

const NOTHING: LayerFiles = LayerFiles { nodes: Vec::new(), notes: Vec::new() };

#[test]
fn packages_and_an_account_on_a_shared_image() {
    let (account, layer) = account();
    let mut solve = solve(Start::Image(reference("ds01/tool:r-0123456789abcdef")));
    solve.steps = vec![step()];
    solve.config = user_layer::config(&account);
    solve.config.labels = map(&[("ds01.managed", "true"), ("ds01.build.record", r#"{"a":"$b\\"}"#)]);
    solve.user = Some(account);
    let labels = map(&[("ds01.framework", "Pytorch"), ("ds01.managed", "true"), ("other", "x")]);
    let below = BaseConfig { user: "", labels: &labels };
    insta::assert_snapshot!(text(&solve, &layer, Some(below)).unwrap());
}

#[test]
fn a_persons_own_dockerfile_keeps_its_directives_first_and_its_secrets_out() {
    let context = Context {
        id: "c".into(),
        root: "/srv/my stack/images/x".into(),
        ignore: Ignore::default(),
        readable: Default::default(),
    };
    let solve = solve(Start::Dockerfile(DockerfileBuild {
        dockerfile: "# syntax=docker/dockerfile:1\n# escape=`\n# mine\nFROM a AS b\nRUN true".into(),
        path: "images/x/Dockerfile".into(),
        context: Arc::new(context),
        files: Arc::default(),
        target: Some("b".into()),
        args: map(&[("BASE_IMAGE", "a:1"), ("API_TOKEN", "hunter2")]),
    }));
    let text = text(&solve, &NOTHING, None).unwrap();
    assert!(!text.contains("hunter2"));
    insta::assert_snapshot!(text);
}

#[test]
fn what_has_several_lines_never_ends_the_comment_that_it_would_stand_in() {
    let context = Context {
        id: "c".into(),
        root: "/srv/x\nRUN a".into(),
        ignore: Ignore::default(),
        readable: Default::default(),
    };
    let solve = solve(Start::Dockerfile(DockerfileBuild {
        dockerfile: "FROM a\n".into(),
        path: "Dockerfile".into(),
        context: Arc::new(context),
        files: Arc::default(),
        target: None,
        args: map(&[("NOTE", "x\nRUN b"), ("B", "x\rRUN c")]),
    }));
    let text = text(&solve, &NOTHING, None).unwrap();
    assert!(!text.contains("RUN"), "{text}");
    assert!(text.contains("--build-arg B --build-arg NOTE -f - CONTEXT < THIS-FILE"), "{text}");
}

#[test]
fn packages_alone_leave_the_user_of_what_they_stand_on() {
    let mut solve = solve(Start::Image(reference("debian:12")));
    solve.steps = vec![step()];
    let labels = BTreeMap::new();
    let text = |user: &str| text(&solve, &NOTHING, Some(BaseConfig { user, labels: &labels })).unwrap();
    assert!(text("app").ends_with("\nUSER \"app\"\n"));
    assert!(!text("").contains("\nUSER \"\""));
}

#[test]
fn what_a_dockerfile_cannot_say_is_an_error_and_no_other_image() {
    let mut odd = solve(Start::Image(reference("debian:12")));
    odd.config.labels = map(&[("a", "two\nlines")]);
    assert!(text(&odd, &NOTHING, None).unwrap_err().contains("several lines"));
    let mut odd = solve(Start::Image(reference("debian:12")));
    odd.steps = vec![ExecStep { files: map(&[("/etc/x", "")]), ..step() }];
    assert!(text(&odd, &NOTHING, None).unwrap_err().contains("`/etc/x`"));
}

#[test]
fn long_files_are_written_in_pieces_that_a_line_has_room_for() {
    let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    let node = FileNode { path: "/x".into(), kind: FileKind::File(bytes), mode: 0o600, uid: 0, gid: 0 };
    let layer = LayerFiles { nodes: vec![node; 2], notes: Vec::new() };
    let text = text(&solve(Start::Image(reference("debian:12"))), &layer, None).unwrap();
    assert!(text.lines().all(|line| line.len() < 60_000));
    assert!(text.matches("\nRUN ").count() > 1 && text.matches("\"file:00600\"").count() == 2);
}
