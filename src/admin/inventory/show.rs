//! One image in full.

use std::fmt::Write;

use serde::Serialize;

use super::{Group, Key, Known, Looked, Row, row};
use crate::engine::ImageDetail;
use crate::model::labels::{self, read};
use crate::model::reference::Reference;
use crate::spec::SpecEntry;

/// Width of what stands before a line.
const LABEL: usize = 11;

/// One image, and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    pub(crate) row: Row,
    /// `file:line` of the spec.
    pub(crate) declared: Option<String>,
    /// What it stands on, the nearest first.
    pub(crate) stands_on: Vec<Ground>,
    /// Declared packages, as the spec has them.
    pub(crate) apt: Vec<String>,
    pub(crate) pip: Vec<String>,
    /// Below the folder of the spec.
    pub(crate) dockerfile: Option<String>,
    pub(crate) account: Option<Baked>,
    /// Recipe digest on its label.
    pub(crate) recipe: Option<String>,
    pub(crate) workdir: Option<String>,
    /// As the image config has it.
    pub(crate) runs_as: Option<String>,
}

/// Something that an image stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ground {
    pub(crate) name: String,
    /// The image behind a base.
    pub(crate) image: Option<Reference>,
    /// The digest that `spec.lock` pins, or that an old image was built on.
    pub(crate) digest: Option<String>,
}

/// An account in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Baked {
    pub(crate) name: Option<String>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None`: the labels do not say.
    pub(crate) shell: Option<String>,
    pub(crate) sudo: Option<bool>,
}

/// Everything about a name's images. `detail`: of the image that it stands for
/// now; `pin`: what `spec.lock` has for a base.
pub(crate) fn show(
    known: &Known<'_>,
    looked: &Looked<'_>,
    group: &Group<'_>,
    detail: Option<&ImageDetail>,
    pin: &dyn Fn(&Reference) -> Option<String>,
) -> Shown {
    let subject = match (&group.key, known.stack) {
        (Key::Node(node), Some(stack)) => Some((stack, *node, stack.subject(*node))),
        _ => None,
    };
    let labels = group.images.first().map(|image| &image.labels);
    let packages = subject.map(|(_, _, subject)| subject.packages()).unwrap_or_default();
    let below = |path: &std::path::Path, root: &std::path::Path| {
        path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
    };
    Shown {
        row: row(known, looked, group),
        declared: subject.map(|(stack, _, subject)| {
            let place = subject.place();
            format!("{}:{}", below(&place.file.path, &stack.spec.root), place.line_column().0)
        }),
        stands_on: match subject {
            Some((stack, node, subject)) if subject.external().is_none() => grounds(stack, node, pin),
            _ => labels.and_then(labelled_ground).into_iter().collect(),
        },
        apt: packages.apt,
        pip: packages.pip,
        dockerfile: subject
            .and_then(|(stack, _, subject)| Some(below(&subject.dockerfile()?.file, &stack.spec.root))),
        account: match subject.and_then(|(_, _, subject)| subject.account()) {
            Some(account) => Some(Baked {
                name: Some(account.name.clone()),
                uid: account.uid,
                gid: account.gid,
                shell: Some(account.shell.clone()),
                sudo: Some(account.sudo),
            }),
            None => labels.and_then(read::user_setup).map(|setup| Baked {
                name: setup.username,
                uid: setup.uid,
                gid: setup.gid,
                shell: None,
                sudo: None,
            }),
        },
        recipe: labels.and_then(|labels| labels.get(labels::RECIPE.name).cloned()),
        workdir: detail.map(|detail| detail.workdir.clone()).filter(|folder| !folder.is_empty()),
        runs_as: detail.map(|detail| detail.user.clone()).filter(|user| !user.is_empty()),
    }
}

/// The first parents of a node down to the image that is not built here.
fn grounds(
    stack: super::Stack<'_>,
    node: crate::spec::graph::NodeId,
    pin: &dyn Fn(&Reference) -> Option<String>,
) -> Vec<Ground> {
    let mut found = Vec::new();
    let mut at = node;
    while let Some(&parent) = stack.graph.parents(at).first() {
        let image = SpecEntry::of(stack.spec, stack.graph, parent).external();
        found.push(Ground {
            name: stack.graph.node(parent).name.to_string(),
            image: image.cloned(),
            digest: image.and_then(|image| image.digest().map(str::to_owned).or_else(|| pin(image))),
        });
        at = parent;
    }
    found
}

fn labelled_ground(labels: &labels::write::Labels) -> Option<Ground> {
    let name = read::text(labels, &labels::BASE_NAME)?;
    let digest = read::text(labels, &labels::BASE_DIGEST).map(str::to_owned);
    Some(Ground { name: name.to_owned(), image: None, digest })
}

impl Shown {
    /// For people. `size` and `age` say numbers as people read them.
    pub(crate) fn text(&self, size: &dyn Fn(u64) -> String, age: &dyn Fn(u64) -> String) -> String {
        let (row, mut text) = (&self.row, String::new());
        let _ = match &self.declared {
            Some(declared) => writeln!(text, "{}  ({declared})", row.name),
            None => writeln!(text, "{}", row.name),
        };
        let mut line = |label: &str, value: &str| {
            if !value.is_empty() {
                let _ = writeln!(text, "  {label:LABEL$}{value}");
            }
        };
        let because = row.state.because().map(|why| format!(": {why}")).unwrap_or_default();
        let legacy = if row.legacy { ", made by an older system" } else { "" };
        line("state", &format!("{}{because}{legacy}", row.state.words()));
        line("owner", row.owner.as_deref().unwrap_or_default());
        line("stands on", &self.stands_on.iter().map(Ground::text).collect::<Vec<_>>().join(", on "));
        line("dockerfile", self.dockerfile.as_deref().unwrap_or_default());
        line("apt", &self.apt.join(", "));
        line("pip", &self.pip.join(", "));
        line("account", &self.account.as_ref().map(Baked::text).unwrap_or_default());
        line(
            "runs as",
            &[self.runs_as.as_deref(), self.workdir.as_deref()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" in "),
        );
        line("recipe", self.recipe.as_deref().unwrap_or_default());
        line("image", row.image.as_ref().map(|id| id.as_str()).unwrap_or_default());
        line("tags", &row.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        if let Some(bytes) = row.size {
            let parts = row.own.zip(row.shared).map(|(own, shared)| {
                format!(": {} of its own, {} shared with other images", size(own), size(shared))
            });
            line("size", &format!("{}{}", size(bytes), parts.unwrap_or_default()));
        }
        line("built", &row.age_seconds.map(age).unwrap_or_default());
        let containers = row.containers.iter().map(|user| format!("{} ({})", user.container, user.status));
        line("containers", &containers.collect::<Vec<_>>().join(", "));
        line("older", &row.older.iter().map(super::rows::short).collect::<Vec<_>>().join(", "));
        text
    }
}

impl Ground {
    fn text(&self) -> String {
        let image = self.image.as_ref().map(|image| format!(" ({image})")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!(" at {digest}")).unwrap_or_default();
        format!("{}{image}{digest}", self.name)
    }
}

impl Baked {
    fn text(&self) -> String {
        let name = self.name.as_deref().unwrap_or("?");
        let shell = self.shell.as_ref().map(|shell| format!(", {shell}")).unwrap_or_default();
        let sudo = match self.sudo {
            Some(true) => ", sudo",
            Some(false) => ", no sudo",
            None => "",
        };
        format!("{name} {}:{}{shell}{sudo}", self.uid, self.gid)
    }
}
