//! One image in full.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::{ImageFacts, ImageGroup, ImageSummary, Snapshot, SpecNode, summarize};
use crate::engine::ImageDetail;
use crate::model::field_list::FieldList;
use crate::model::human::{age, bytes};
use crate::model::labels::{self, read};
use crate::model::reference::Reference;

/// Width of what stands before a line.
const LABEL: usize = 11;

/// One image, and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImageInspect {
    #[serde(flatten)]
    pub(crate) summary: ImageSummary,
    /// `file:line` of the spec.
    pub(crate) declared: Option<String>,
    /// What it is based on, the nearest first.
    #[serde(rename = "stands_on")]
    pub(crate) bases: Vec<BaseSummary>,
    /// Declared packages, as the spec has them.
    pub(crate) apt: Vec<String>,
    pub(crate) pip: Vec<String>,
    /// Below the folder of the spec.
    pub(crate) dockerfile: Option<String>,
    pub(crate) account: Option<AccountSummary>,
    /// Recipe digest on its label.
    pub(crate) recipe: Option<String>,
    pub(crate) workdir: Option<String>,
    /// As the image config has it.
    pub(crate) runs_as: Option<String>,
}

/// Something that an image is based on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BaseSummary {
    pub(crate) name: String,
    /// The image behind a base.
    pub(crate) image: Option<Reference>,
    /// The digest that `spec.lock` pins, or that an old image was built on.
    pub(crate) digest: Option<String>,
}

/// An account in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AccountSummary {
    pub(crate) name: Option<String>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None`: the labels do not say.
    pub(crate) shell: Option<String>,
    pub(crate) sudo: Option<bool>,
}

/// Everything about a name's images. `detail`: of the image that it stands for
/// now; `pin`: what `spec.lock` has for a base.
pub(crate) fn inspect(
    snapshot: &Snapshot,
    facts: &ImageFacts,
    group: &ImageGroup<'_>,
    detail: Option<&ImageDetail>,
    pin: &dyn Fn(&Reference) -> Option<String>,
) -> ImageInspect {
    let node = snapshot.node(&group.key);
    let entry = node.map(SpecNode::entry);
    let labels = group.images.first().map(|image| &image.labels);
    let below_root = |path: &Path| {
        let root = node.map_or(Path::new(""), |node| &node.spec.root);
        path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
    };
    let packages = entry.map(|entry| entry.packages()).unwrap_or_default();
    let from_spec = entry.and_then(|entry| entry.account()).map(|account| AccountSummary {
        name: Some(account.name.clone()),
        uid: account.uid,
        gid: account.gid,
        shell: Some(account.shell.clone()),
        sudo: Some(account.sudo),
    });
    let from_labels = || {
        let setup = labels.and_then(read::user_setup)?;
        let (name, uid, gid) = (setup.username, setup.uid, setup.gid);
        Some(AccountSummary { name, uid, gid, shell: None, sudo: None })
    };
    ImageInspect {
        summary: summarize(snapshot, facts, group),
        declared: entry.map(|entry| {
            let place = entry.place();
            format!("{}:{}", below_root(&place.file.path), place.line_column().0)
        }),
        bases: match node {
            Some(node) if node.entry().external().is_none() => bases(node, pin),
            _ => labels.and_then(labelled_base).into_iter().collect(),
        },
        apt: packages.apt,
        pip: packages.pip,
        dockerfile: entry.and_then(|entry| Some(below_root(&entry.dockerfile()?.file))),
        account: from_spec.or_else(from_labels),
        recipe: labels.and_then(|labels| labels.get(labels::RECIPE.name).cloned()),
        workdir: detail.map(|detail| detail.workdir.clone()).filter(|folder| !folder.is_empty()),
        runs_as: detail.map(|detail| detail.user.clone()).filter(|user| !user.is_empty()),
    }
}

/// The first parents of a node down to the image that is not built here.
fn bases(node: SpecNode<'_>, pin: &dyn Fn(&Reference) -> Option<String>) -> Vec<BaseSummary> {
    let below = std::iter::successors(node.parent(), |node| node.parent());
    let summary = |node: SpecNode<'_>| {
        let image = node.entry().external();
        let digest = image.and_then(|image| image.digest().map(str::to_owned).or_else(|| pin(image)));
        BaseSummary { name: node.name().to_string(), image: image.cloned(), digest }
    };
    below.map(summary).collect()
}

fn labelled_base(labels: &labels::write::Labels) -> Option<BaseSummary> {
    let name = read::text(labels, &labels::BASE_NAME)?;
    let digest = read::text(labels, &labels::BASE_DIGEST).map(str::to_owned);
    Some(BaseSummary { name: name.to_owned(), image: None, digest })
}

impl ImageInspect {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let image = &self.summary;
        let declared = self.declared.as_ref().map(|declared| format!("  ({declared})")).unwrap_or_default();
        let mut list = FieldList::new(&format!("{}{declared}", image.name), LABEL);
        let mut line = |label: &str, value: &str| list.line(label, value);
        let because = image.state.because().map(|why| format!(": {why}")).unwrap_or_default();
        let legacy = if image.legacy { ", made by an older system" } else { "" };
        line("state", &format!("{}{because}{legacy}", image.state.words()));
        line("owner", image.owner.as_deref().unwrap_or_default());
        line("based on", &joined(&self.bases, ", on ", BaseSummary::text));
        line("dockerfile", self.dockerfile.as_deref().unwrap_or_default());
        line("apt", &self.apt.join(", "));
        line("pip", &self.pip.join(", "));
        line("account", &self.account.as_ref().map(AccountSummary::text).unwrap_or_default());
        let runs = [&self.runs_as, &self.workdir].into_iter().flatten().cloned();
        line("runs as", &runs.collect::<Vec<_>>().join(" in "));
        line("recipe", self.recipe.as_deref().unwrap_or_default());
        line("image", image.image.as_ref().map(|id| id.as_str()).unwrap_or_default());
        line("tags", &joined(&image.tags, ", ", ToString::to_string));
        if let Some(size) = image.size {
            let parts = image.own.zip(image.shared).map(|(own, shared)| {
                format!(": {} of its own, {} shared with other images", bytes(own), bytes(shared))
            });
            line("size", &format!("{}{}", bytes(size), parts.unwrap_or_default()));
        }
        line("built", &image.age_seconds.map(Duration::from_secs).map(age).unwrap_or_default());
        line("containers", &joined(&image.containers, ", ", |c| format!("{} ({})", c.container, c.status)));
        line("older", &joined(&image.older, ", ", |id| id.short().to_owned()));
        list.into_text()
    }
}

fn joined<T>(all: &[T], between: &str, text: impl Fn(&T) -> String) -> String {
    all.iter().map(text).collect::<Vec<_>>().join(between)
}

impl BaseSummary {
    fn text(&self) -> String {
        let image = self.image.as_ref().map(|image| format!(" ({image})")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!(" at {digest}")).unwrap_or_default();
        format!("{}{image}{digest}", self.name)
    }
}

impl AccountSummary {
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
