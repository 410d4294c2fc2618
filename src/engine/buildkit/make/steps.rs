//! Exec steps, as they are mounted and shown.

use super::{Draft, Make};
use crate::engine::buildkit::config::{self, Layer};
use crate::engine::llb::{Exec, Mount};
use crate::image::solve::ExecStep;

/// Folders that apt locks against a second user, and so must we.
const APT: [&str; 2] = ["/var/cache/apt", "/var/lib/apt"];

impl Make<'_> {
    pub(super) fn add_step(&self, draft: &mut Draft, step: &ExecStep) {
        let mut env = draft.config.env();
        for (name, value) in &step.env {
            config::set(&mut env, name, value);
        }
        let exec =
            Exec { argv: step.argv.clone(), env, proxy: self.solve.proxy.clone(), mounts: mounts(step) };
        draft.state = draft.state.exec(&exec, &self.step(&step.title));
        draft.known = None;
        draft.layers.push(Layer { made_by: step.title.clone(), created: None });
    }
}

fn mounts(step: &ExecStep) -> Vec<Mount> {
    let caches = step.caches.iter().map(|(target, id)| Mount::Cache {
        target: target.clone(),
        id: id.clone(),
        locked: APT.iter().any(|folder| target.starts_with(folder)),
    });
    let secrets =
        step.secrets.iter().map(|(target, id)| Mount::Secret { target: target.clone(), id: id.clone() });
    let tmpfs = step.tmpfs.iter().map(|target| Mount::Tmpfs { target: target.clone() });
    let files = step
        .files
        .iter()
        .map(|(target, content)| Mount::File { target: target.clone(), content: content.clone() });
    // A tmpfs first: what is mounted into it comes after.
    tmpfs.chain(caches).chain(secrets).chain(files).collect()
}
