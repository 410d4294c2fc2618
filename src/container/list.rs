//! The containers of an engine, each as a line of the list: whose it is, who
//! made it, what it holds of the GPUs. Prints nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::engine::{Container, ContainerState, Engine, Error, Image, ImageIndex, Usage};
use crate::gpu::claims::{self, Claim, GpuClaim};
use crate::host::people::Caller;
use crate::model::labels::read::{self, LoginOfUid};
use crate::model::labels::write::Labels;
use crate::model::labels::{GPU_SLOTS, GPU_UUIDS, GPUS, INTERFACE, MANAGED, PROJECT, USER, is_old};
use crate::model::names::ImageId;

/// Characters of a UUID that are shown where no slot is known.
const SHORT_UUID: usize = 12;

/// Containers that are to be shown, and all images of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) containers: Vec<GpuClaim>,
    pub(crate) images: Vec<Image>,
}

/// Reads containers and images in one call each, and a single container only
/// where no label says which GPUs it holds. One that is gone by now is left out.
///
/// # Errors
/// The engine cannot be asked.
pub(crate) async fn snapshot(
    engine: &dyn Engine,
    is_shown: impl Fn(&Container) -> bool,
) -> Result<Snapshot, Error> {
    let (mut containers, images) = tokio::try_join!(engine.containers(), engine.images())?;
    containers.retain(is_shown);
    Ok(Snapshot { containers: claims::read_of(engine, containers, &[]).await?, images })
}

/// What a container holds of the machine's GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct HeldGpus {
    /// Every GPU.
    pub(crate) all: bool,
    /// GPUs below this index.
    pub(crate) first: u32,
    /// `GPU-…` or `MIG-…`.
    pub(crate) uuids: Vec<String>,
    /// `0`, or `0.1` for a MIG instance.
    pub(crate) slots: Vec<String>,
    /// Device files: each is the GPU of that minor number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<String>,
}

impl HeldGpus {
    /// With labels that name GPUs both ways, both are shown; what else it was
    /// created with comes after them.
    pub(super) fn new(claim: &Claim, labels: &Labels) -> Self {
        let (mut uuids, mut slots) = (read::list(labels, &GPU_UUIDS), read::list(labels, &GPU_SLOTS));
        for name in claim.names.iter().filter(|name| *name != "all") {
            let is_uuid = name.starts_with("GPU-") || name.starts_with("MIG-");
            let list = if is_uuid { &mut uuids } else { &mut slots };
            if !list.contains(name) {
                list.push(name.clone());
            }
        }
        let files = claim.minors.iter().map(|minor| format!("/dev/nvidia{minor}")).collect();
        Self { all: claim.all, first: claim.first, uuids, slots, files }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `none`, `0,1`, `1g.10gb 0.1`, `all`, for people. `request` is as the
    /// label has it.
    pub(super) fn text(&self, request: Option<&str>) -> String {
        let mut parts = Vec::new();
        // A profile says what a slot is.
        parts.extend(request.filter(|text| text.contains("g.") && !self.is_empty()).map(str::to_owned));
        if self.all {
            parts.push("all".into());
        } else if self.first > 0 {
            parts.push(format!("first {}", self.first));
        }
        if self.slots.is_empty() {
            let short = |uuid: &String| uuid.chars().take(SHORT_UUID).collect::<String>();
            parts.push(self.uuids.iter().map(short).collect::<Vec<_>>().join(","));
        } else {
            parts.push(self.slots.join(","));
        }
        parts.push(self.files.join(","));
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() { "none".into() } else { parts.join(" ") }
    }
}

/// Who made a container, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Maker {
    /// This program, or one that writes its labels.
    Ours,
    /// The systems before it: by old labels, or by the name.
    Legacy,
    /// Something else; it holds GPUs.
    Foreign,
    /// Something else, without GPUs: a registry, an editor's container.
    Other,
}

impl Maker {
    /// An image's labels are also those of a container that somebody made of it
    /// by hand, so only labels that no image has make it ours.
    fn of(container: &Container, gpus: Option<&HeldGpus>) -> Self {
        let labels = &container.labels;
        let is_named = container.uid().is_some();
        let is_written = [USER, INTERFACE].iter().any(|key| labels.contains_key(key.name));
        if is_written || is_named && labels.get(MANAGED.name).is_some_and(|is| is == "true") {
            Self::Ours
        } else if is_named || labels.keys().any(|key| is_old(key)) {
            Self::Legacy
        } else if gpus.is_some_and(|gpus| !gpus.is_empty()) {
            Self::Foreign
        } else {
            Self::Other
        }
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ContainerView {
    pub(crate) id: String,
    pub(crate) project: String,
    /// The engine's name, uid included.
    pub(crate) name: String,
    pub(crate) state: ContainerState,
    /// For people: `Up 3 minutes`.
    pub(crate) status: String,
    /// What people know it by; ids are cut to 12 digits.
    pub(crate) image: String,
    pub(crate) image_id: ImageId,
    /// Whether the engine has a newer image of that name; `None`: that cannot
    /// be told.
    #[serde(rename = "newer_image")]
    pub(crate) newer: Option<bool>,
    /// Login, or `uid 1001` where no login is known.
    pub(crate) owner: Option<String>,
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub(crate) age: Duration,
    /// The GPU request; `None`: the labels do not say.
    pub(crate) gpus: Option<String>,
    /// The GPUs themselves; `None`: nothing says so.
    #[serde(rename = "gpus_held")]
    pub(crate) held: Option<HeldGpus>,
    /// Made by us or by the system before us.
    pub(crate) managed: bool,
    pub(crate) made_by: Maker,
    pub(crate) protected: bool,
    /// What is to happen to it soon, for people.
    pub(crate) notice: Option<String>,
    /// What it takes now; `None`: it does not run, or nobody asked.
    pub(crate) usage: Option<Usage>,
    /// The command that makes one like it.
    #[serde(skip)]
    pub(crate) deploy: String,
}

fn seconds<S: serde::Serializer>(age: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(age.as_secs())
}

/// What is known besides what the engine says.
#[derive(Clone, Copy)]
pub(crate) struct ViewContext<'a> {
    /// Seconds since 1970.
    pub(crate) now: i64,
    pub(crate) users: LoginOfUid<'a>,
    /// By container id: what is to happen to it soon.
    pub(crate) notices: &'a BTreeMap<String, String>,
}

/// Whether a list shows a container: one's own, or with `all` every one.
pub(crate) fn is_shown(container: &Container, caller: &Caller, all: bool, users: LoginOfUid<'_>) -> bool {
    all || caller.owns(container, users)
}

/// A line for each container, in the order of owner and name.
pub(crate) fn views(snapshot: &Snapshot, context: &ViewContext<'_>) -> Vec<ContainerView> {
    let images = ImageIndex::new(&snapshot.images);
    let view = |one| ContainerView::new(one, &images, context);
    let mut views: Vec<_> = snapshot.containers.iter().map(view).collect();
    views.sort_by(|a, b| (&a.owner, &a.name).cmp(&(&b.owner, &b.name)));
    views
}

/// Adds what those that run take now.
///
/// # Errors
/// The engine cannot be asked.
pub(crate) async fn measure<'a>(
    engine: &dyn Engine,
    views: impl IntoIterator<Item = &'a mut ContainerView>,
) -> Result<(), Error> {
    let views: Vec<_> = views.into_iter().filter(|view| view.state.is_running()).collect();
    let ids: Vec<_> = views.iter().map(|view| view.id.clone()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let usage = engine.usage(&ids).await?;
    views.into_iter().for_each(|view| view.usage = usage.get(&view.id).copied());
    Ok(())
}

impl ContainerView {
    pub(super) fn new(claim: &GpuClaim, images: &ImageIndex<'_>, context: &ViewContext<'_>) -> Self {
        let GpuClaim { container, claim, source, .. } = claim;
        let held = source.map(|_| HeldGpus::new(claim, &container.labels));
        let age = context.now.saturating_sub(container.created).try_into().unwrap_or_default();
        Self {
            id: container.id.clone(),
            project: container.project().to_owned(),
            name: container.name.clone(),
            state: container.state,
            status: container.status.clone(),
            image: images.name_of(container),
            image_id: container.image_id.clone(),
            newer: images.newer_than(container),
            owner: container.owner(context.users).map(|owner| owner.to_string()),
            age: Duration::from_secs(age),
            gpus: read::text(&container.labels, &GPUS).map(str::to_owned),
            made_by: Maker::of(container, held.as_ref()),
            held,
            managed: container.is_managed(),
            protected: container.is_protected(),
            notice: context.notices.get(&container.id).cloned(),
            usage: None,
            deploy: match container.labels.get(PROJECT.name) {
                Some(project) => format!("ds01-build deploy {project}"),
                None => {
                    let image = images.deployed_as(container);
                    format!("ds01-build deploy {image} --name {}", container.short_name())
                }
            },
        }
    }

    /// GPUs for people: `none`, `0,1`, `1g.10gb 0.1`, `all`, `?`.
    pub(crate) fn gpus_text(&self) -> String {
        match (&self.held, self.gpus.as_deref()) {
            (Some(held), request) => held.text(request),
            (None, Some(request)) => format!("asked: {request}"),
            (None, None) => "?".into(),
        }
    }

    /// Its project; for what nobody deployed, what it is.
    pub(crate) fn project_text(&self) -> String {
        match self.made_by {
            Maker::Ours => self.project.clone(),
            Maker::Legacy => format!("{} (legacy)", self.project),
            Maker::Foreign => "(foreign)".into(),
            Maker::Other => "(other)".into(),
        }
    }

    /// How it is, and what else there is to know of that.
    pub(crate) fn status_text(&self) -> String {
        let protected = self.protected.then(|| "protected".to_owned());
        let parts = [Some(self.status.clone()), protected, self.notice.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(labels: &[(&str, &str)]) -> String {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let claim = Claim::from_labels(&labels).unwrap();
        HeldGpus::new(&claim, &labels).text(read::text(&labels, &GPUS))
    }

    #[test]
    fn gpus_are_shown_as_they_were_given() {
        let two = [("ds01.gpus", "2"), ("ds01.gpu.uuids", "GPU-1,GPU-2"), ("ds01.gpu.slots", "0,1")];
        assert_eq!(shown(&two), "0,1");
        let slice = [("ds01.gpus", "1g.10gb"), ("ds01.gpu.uuids", "MIG-1"), ("ds01.gpu.slots", "0.1")];
        assert_eq!(shown(&slice), "1g.10gb 0.1");
        assert_eq!(shown(&[("ds01.gpus", "0")]), "none");
        assert_eq!(shown(&[("ds01.gpu_slot", "GPU-0123456789-abc")]), "GPU-01234567");
        assert_eq!(shown(&[("ds01.gpu.allocated", "0")]), "0");
    }

    #[test]
    fn a_claim_of_no_label_is_shown_as_it_was_made() {
        let none = Labels::new();
        let names = ["GPU-01234567-89ab", "3", "all"].map(str::to_owned).into();
        let held = HeldGpus::new(&Claim { names, ..Claim::default() }, &none);
        assert_eq!((held.uuids.len(), held.slots.as_slice()), (1, &["3".to_owned()][..]));
        let text = |claim| HeldGpus::new(&claim, &none).text(None);
        assert_eq!(text(Claim { all: true, ..Claim::default() }), "all");
        assert_eq!(text(Claim { first: 2, ..Claim::default() }), "first 2");
        assert_eq!(text(Claim::default()), "none");
    }
}
