use std::fmt::Write;

use proptest::prelude::*;

use super::ops::TreeError;
use super::*;
use crate::image::user_layer::{FileKind, FileNode};
use crate::model::reference::Reference;

fn base() -> State {
    State::image(&Reference::parse("debian:12").unwrap())
}

fn node(path: &str, kind: FileKind, mode: u32, owner: u32) -> FileNode {
    FileNode { path: path.into(), kind, mode, uid: owner, gid: owner }
}

fn tree() -> Vec<FileNode> {
    vec![
        node("/etc", FileKind::Dir, 0o755, 0),
        node("/etc/passwd", FileKind::File(b"root:x:0:0::/root:/bin/sh\n".to_vec()), 0o644, 0),
        node("/home", FileKind::Dir, 0o755, 0),
        node("/home/ada", FileKind::Dir, 0o700, 1_722_830_498),
    ]
}

#[test]
fn a_user_layer_is_one_operation_made_on_scratch_and_copied_onto_the_base() {
    let state = base().with_tree(&tree(), 1_000_000_000, &Step::new("user ada")).unwrap();
    insta::assert_snapshot!(text(&state.definition().unwrap()));
}

#[test]
fn an_exec_step_mounts_caches_secrets_and_files_beside_the_root() {
    let exec = Exec {
        argv: vec!["pip".into(), "install".into(), "pandas>=1.5".into()],
        env: vec!["PATH=/bin".into()],
        proxy: BTreeMap::from([("HTTPS_PROXY".into(), "http://proxy:3128".into())]),
        mounts: vec![
            Mount::Cache { target: "/var/cache/apt".into(), id: "apt".into(), locked: true },
            Mount::Cache { target: "/root/.cache/pip".into(), id: "pip".into(), locked: false },
            Mount::Secret { target: "/run/ca".into(), id: "ca".into() },
            Mount::Tmpfs { target: "/tmp".into() },
            Mount::File { target: "/run/requirements.txt".into(), content: "timm\n".into() },
        ],
    };
    let step = Step { title: "pip install".into(), no_cache: true };
    insta::assert_snapshot!(text(&base().exec(&exec, &step).definition().unwrap()));
}

#[test]
fn a_tag_of_one_character_stays_a_tag() {
    let state = State::image(&Reference::parse("reg.local:5000/x/y:1").unwrap());
    let text = text(&state.definition().unwrap());
    assert!(text.contains("docker-image://reg.local:5000/x/y:1 "), "{text}");
}

#[test]
fn a_shared_context_is_the_same_operation_for_every_image() {
    let local = Local { name: "ctx-1".into(), session: "s".into(), title: "load context".into() };
    let digest = |s: State| s.definition().unwrap().digest();
    assert_eq!(digest(State::local(&local)), digest(State::local(&local)));
    let other = Local { name: "ctx-2".into(), ..local.clone() };
    assert_ne!(digest(State::local(&local)), digest(State::local(&other)));
}

#[test]
fn digests_are_stable_from_release_to_release() {
    // A change here means that every user layer is built anew: say so in the changelog.
    let state = base().with_tree(&tree(), 1_000_000_000, &Step::new("user ada")).unwrap();
    insta::assert_snapshot!(state.definition().unwrap().digest());
}

#[test]
fn a_definition_of_buildkit_is_taken_up_byte_for_byte() {
    let made = base().exec(&Exec { argv: vec!["true".into()], ..Exec::default() }, &Step::new("x"));
    let definition = made.definition().unwrap();
    let again = State::from_pb(definition.clone().into_pb()).unwrap();
    assert_eq!(again.definition().unwrap(), definition);
    let on_top = |s: &State| s.with_tree(&tree(), 0, &Step::default()).unwrap().definition();
    assert_eq!(on_top(&again), on_top(&made));
}

#[test]
fn a_definition_that_names_what_it_lacks_is_refused() {
    let mut definition = base().definition().unwrap().into_pb();
    definition.def.remove(0);
    assert!(State::from_pb(definition).unwrap_err().contains("before its use"));
    assert!(State::from_pb(pb::Definition::default()).is_err());
}

#[test]
fn a_mode_that_the_engine_would_change_silently_is_refused() {
    for mode in [0o775, 0o1777, 0o2755, 0o666] {
        let nodes = [node("/home", FileKind::Dir, mode, 0)];
        let error = base().with_tree(&nodes, 0, &Step::default()).unwrap_err();
        assert_eq!(error, TreeError::Mode { path: "/home".into(), mode });
    }
}

#[test]
fn scratch_cannot_be_sent() {
    assert_eq!(State::scratch().definition(), None);
}

proptest! {
    #[test]
    fn the_same_build_gives_the_same_bytes(
        names in prop::collection::vec("[a-z]{1,8}", 1..6),
        argv in prop::collection::vec("[ -~]{0,12}", 1..4),
        env in prop::collection::btree_map("[A-Z]{1,6}", "[ -~]{0,8}", 0..4),
        time in 0i64..4_000_000_000,
    ) {
        let build = || {
            let env = env.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let exec = Exec { argv: argv.clone(), env, proxy: env_of(&env_pairs(&names)), mounts: vec![] };
            let nodes: Vec<_> =
                names.iter().map(|n| node(&format!("/{n}"), FileKind::File(n.clone().into_bytes()), 0o644, 7)).collect();
            base().exec(&exec, &Step::new("run")).with_tree(&nodes, time, &Step::default()).unwrap()
        };
        let (one, two) = (build().definition().unwrap(), build().definition().unwrap());
        prop_assert_eq!(one.digest(), two.digest());
        let last = one.0.def.len();
        // Every operation but the result carries metadata, and every input comes before its use.
        prop_assert_eq!(one.0.metadata.len(), last - 1);
        prop_assert!(State::from_pb(one.into_pb()).is_ok());
    }
}

fn env_pairs(names: &[String]) -> Vec<(String, String)> {
    names.iter().map(|n| ("http_proxy".to_owned(), n.clone())).collect()
}

fn env_of(pairs: &[(String, String)]) -> BTreeMap<String, String> {
    pairs.iter().cloned().collect()
}

/// A definition as text: one line for each operation.
fn text(definition: &Definition) -> String {
    let definition = &definition.0;
    let mut names = BTreeMap::new();
    let mut out = String::new();
    for (at, bytes) in definition.def.iter().enumerate() {
        let op = pb::Op::decode(bytes.as_slice()).unwrap();
        let digest = sha256(bytes);
        let inputs: Vec<String> =
            op.inputs.iter().map(|i| format!("{}.{}", names[&i.digest], i.index)).collect();
        let _ = write!(out, "{at} <- [{}] {}", inputs.join(" "), kind(&op));
        if let Some(metadata) = definition.metadata.get(&digest) {
            let title = metadata.description.get("llb.customname");
            let _ = write!(out, "  # {:?} ignore_cache={}", title, metadata.ignore_cache);
        }
        out.push('\n');
        names.insert(digest, at);
    }
    out
}

fn kind(op: &pb::Op) -> String {
    match &op.op {
        None => "result".into(),
        Some(pb::op::Op::Source(source)) => format!("source {} {:?}", source.identifier, source.attrs),
        Some(pb::op::Op::Exec(exec)) => {
            let meta = exec.meta.as_ref().unwrap();
            let mounts: String = exec.mounts.iter().map(|m| format!("\n    mount {}", mount(m))).collect();
            format!(
                "exec {:?} env={:?} cwd={} proxy={:?}{mounts}",
                meta.args, meta.env, meta.cwd, meta.proxy_env
            )
        }
        Some(pb::op::Op::File(file)) => file.actions.iter().fold("file".to_owned(), |text, a| {
            let (from, to) = (a.secondary_input, a.output);
            format!("{text}\n    {} & {from} -> {to}: {}", a.input, action(a.action.as_ref().unwrap()))
        }),
        Some(other) => format!("{other:?}"),
    }
}

fn mount(m: &pb::Mount) -> String {
    let options = format!("{:?} {:?} {:?}", m.cache_opt, m.secret_opt, m.tmpfs_opt);
    format!(
        "{:?} {} from {}{} to {} readonly={} {options}",
        m.mount_type(),
        m.dest,
        m.input,
        m.selector,
        m.output,
        m.readonly
    )
}

fn action(action: &pb::file_action::Action) -> String {
    use pb::file_action::Action;
    match action {
        Action::Mkdir(a) => format!("mkdir {} {:o} {} at {}", a.path, a.mode, owner(&a.owner), a.timestamp),
        Action::Mkfile(a) => {
            let data = String::from_utf8_lossy(&a.data);
            format!("mkfile {} {:o} {} at {} {data:?}", a.path, a.mode, owner(&a.owner), a.timestamp)
        }
        Action::Copy(a) => {
            format!(
                "copy {} {} contents={} mode={} at {}",
                a.src, a.dest, a.dir_copy_contents, a.mode, a.timestamp
            )
        }
        other => format!("{other:?}"),
    }
}

fn owner(owner: &Option<pb::ChownOpt>) -> String {
    let id = |user: &Option<pb::UserOpt>| match user.as_ref().and_then(|u| u.user.as_ref()) {
        Some(pb::user_opt::User::ById(id)) => id.to_string(),
        other => format!("{other:?}"),
    };
    owner.as_ref().map_or("-".into(), |o| format!("{}:{}", id(&o.user), id(&o.group)))
}
