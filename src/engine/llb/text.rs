//! A definition as text, for golden files: one line for each operation.

use std::collections::BTreeMap;
use std::fmt::Write;

use bollard_buildkit_proto::pb;
use prost::Message;

use super::{Definition, digest};

pub(super) fn text(definition: &Definition) -> String {
    let definition = &definition.0;
    let mut names = BTreeMap::new();
    let mut out = String::new();
    for (at, bytes) in definition.def.iter().enumerate() {
        let op = pb::Op::decode(bytes.as_slice()).unwrap();
        let digest = digest(bytes);
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
