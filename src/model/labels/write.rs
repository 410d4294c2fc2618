//! What goes onto an image and onto a container.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    ARCH, BASE_DIGEST, BASE_NAME, CREATED_AT, DATA_MOUNT, FRAMEWORK, GPU_EQUIVALENTS, GPU_SLOTS, GPU_UUIDS,
    GPUS, GROUP, GROUP_ID, HAS_USER_SETUP, IMAGE, INGREDIENTS, INTERFACE, Key, LEGACY, MANAGED, MODELS_MOUNT,
    NAME, PROJECT, PROTECTED, RECIPE, RECORD, SCHEME, SLICE, TITLE, USER, USER_ID, USERNAME, WORK_MOUNT,
    WORKSPACE_FOLDER, read,
};
use crate::model::account::Account;
use crate::model::digest::short_hex;
use crate::model::names::{Login, NodeName, ProjectName};

/// Labels as the engine has them.
pub(crate) type Labels = BTreeMap<String, String>;

/// What is known of an image when it is built. No clock, host or commit:
/// they would make equal inputs unequal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageLabels {
    /// Name in the spec; for a plan variant `name@plan`.
    pub(crate) image: NodeName,
    /// Recipe digest, 64 hex digits.
    pub(crate) recipe: String,
    /// Version of the rule the recipe digest was made by.
    pub(crate) scheme: u32,
    /// Name and digest (at least 12 hex digits) of each ingredient, in order.
    pub(crate) ingredients: Vec<(String, String)>,
    /// What the recipe was made of, as JSON.
    pub(crate) record: String,
    /// Framework with version, and architecture class, from a catalogue base.
    pub(crate) catalogue: Option<Catalogue>,
    /// Of user images.
    pub(crate) user: Option<UserImage>,
    /// Reference of the image it is built on.
    pub(crate) base_name: String,
    /// `sha256:<64 hex>`: manifest digest of an external base, or image ID of
    /// one that exists only locally.
    pub(crate) base_digest: String,
    /// Name for people.
    pub(crate) title: String,
}

/// What a catalogue says of its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Catalogue {
    /// `Pytorch-2.8.0-aime`.
    pub(crate) framework: String,
    /// `CUDA_ADA`.
    pub(crate) arch: String,
}

/// Whose image it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserImage {
    /// `None`: the account was put onto an image that no project describes.
    pub(crate) project: Option<ProjectName>,
    pub(crate) account: Account,
}

impl ImageLabels {
    /// As the engine takes them.
    pub(crate) fn to_map(&self) -> Labels {
        let ingredients: Vec<_> =
            self.ingredients.iter().map(|(name, digest)| format!("{name}={}", short_hex(digest))).collect();
        let catalogue = self.catalogue.as_ref();
        let account = self.user.as_ref().map(|user| &user.account);
        Writer::default()
            .with(&MANAGED, "true")
            .with(&IMAGE, &self.image)
            .with(&RECIPE, &self.recipe)
            .with(&SCHEME, self.scheme)
            .with(&INGREDIENTS, ingredients.join(","))
            .with(&RECORD, &self.record)
            .with(&BASE_NAME, &self.base_name)
            .with(&BASE_DIGEST, &self.base_digest)
            .with(&TITLE, &self.title)
            .with_some(&FRAMEWORK, catalogue.map(|catalogue| &catalogue.framework))
            .with_some(&ARCH, catalogue.map(|catalogue| &catalogue.arch))
            .with_some(&PROJECT, self.user.as_ref().and_then(|user| user.project.as_ref()))
            .with_some(&HAS_USER_SETUP, account.map(|_| true))
            .with_some(&USER_ID, account.map(|account| account.uid))
            .with_some(&GROUP_ID, account.map(|account| account.gid))
            .with_some(&USERNAME, account.map(|account| &account.name))
            .0
    }
}

/// How a container came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    /// `deploy` of this program.
    Orchestration,
}

impl Interface {
    fn word(self) -> &'static str {
        match self {
            Self::Orchestration => "orchestration",
        }
    }
}

/// What is known of a container when it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerLabels {
    pub(crate) user: Login,
    pub(crate) group: String,
    pub(crate) interface: Interface,
    /// Without `._.<uid>`.
    pub(crate) name: String,
    pub(crate) project: Option<ProjectName>,
    /// ID or reference with digest it is created from.
    pub(crate) image: String,
    pub(crate) created_at: Timestamp,
    pub(crate) slice: Option<String>,
    /// Folder of the host behind `/workspace`.
    pub(crate) work_mount: Option<PathBuf>,
    /// Folder of the host behind `/data`.
    pub(crate) data_mount: Option<PathBuf>,
    /// Folder of the host behind `/models`.
    pub(crate) models_mount: Option<PathBuf>,
    /// The request: `0` for none.
    pub(crate) gpus: String,
    /// What was given for it; `None`: no GPU.
    pub(crate) assigned: Option<Gpus>,
    /// Folder in the container that editors open.
    pub(crate) workspace_folder: String,
    /// Labels of the image: those that a container has in common with its
    /// image (recipe, framework, architecture class) are written again.
    pub(crate) inherited: Labels,
}

/// The GPUs and MIG instances of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gpus {
    /// In the order given; AMD's have none.
    pub(crate) uuids: Vec<String>,
    /// Likewise.
    pub(crate) slots: Vec<String>,
    /// 1 for a whole GPU, a MIG slice its share of 7.
    pub(crate) equivalents: String,
}

impl ContainerLabels {
    /// As the engine takes them.
    pub(crate) fn to_map(&self) -> Labels {
        let folder = |folder: &Option<PathBuf>| folder.as_ref().map(|folder| folder.display().to_string());
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.join(","));
        let gpus = self.assigned.as_ref();
        Writer::default()
            .with(&MANAGED, "true")
            .with(&USER, &self.user)
            .with(&GROUP, &self.group)
            .with(&INTERFACE, self.interface.word())
            .with(&NAME, &self.name)
            .with(&IMAGE, &self.image)
            .with(&CREATED_AT, format_args!("{:.0}", self.created_at))
            .with(&GPUS, &self.gpus)
            .with(&WORKSPACE_FOLDER, &self.workspace_folder)
            .with_some(&PROJECT, self.project.as_ref())
            .with_some(&SLICE, self.slice.as_ref())
            .with_some(&WORK_MOUNT, folder(&self.work_mount))
            .with_some(&DATA_MOUNT, folder(&self.data_mount))
            .with_some(&MODELS_MOUNT, folder(&self.models_mount))
            .with_some(&GPU_EQUIVALENTS, gpus.map(|gpus| &gpus.equivalents))
            .with_some(&GPU_UUIDS, gpus.and_then(|gpus| list(&gpus.uuids)))
            .with_some(&GPU_SLOTS, gpus.and_then(|gpus| list(&gpus.slots)))
            .copied(&[RECIPE, FRAMEWORK, ARCH], &self.inherited)
            .0
    }
}

/// Keys that decide what a container holds and who may remove it.
const DECISIVE: [Key; 6] = [GPU_UUIDS, GPU_SLOTS, GPU_EQUIVALENTS, PROTECTED, DATA_MOUNT, MODELS_MOUNT];

/// Labels of an image that a container of it must not inherit, and would:
/// GPU, mount and protection keys, new or legacy, that `written` does not override.
/// The engine can override an inherited label but not drop it, so that a GPU
/// key on an image would look like an assignment.
pub(crate) fn leaked_labels(image: &Labels, written: &Labels) -> Vec<String> {
    let meant = |name: &str| {
        let old = LEGACY.iter().find(|old| old.name == name);
        old.map_or(name, |old| old.read_as.name).to_owned()
    };
    image
        .keys()
        .filter(|name| {
            let meant = meant(name);
            DECISIVE.iter().any(|key| key.name == meant) && !written.contains_key(&meant)
        })
        .cloned()
        .collect()
}

#[derive(Default)]
struct Writer(Labels);

impl Writer {
    fn with(mut self, key: &Key, value: impl Display) -> Self {
        self.0.insert(key.name.to_owned(), value.to_string());
        self
    }

    fn with_some(self, key: &Key, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// What other labels say under these keys.
    fn copied(self, keys: &[Key], from: &Labels) -> Self {
        keys.iter().fold(self, |writer, key| writer.with_some(key, read::text(from, key)))
    }
}

// An image that a container was saved as. Of the image below, what it says of the account and the framework is still
// true; of the recipe nothing is, since somebody has changed files since.
// Nothing of the container comes along.

/// Ends the name of an image that is a saved container. A plan of a spec may
/// be called so, too; then the image has a recipe.
const SAVED: &str = "@saved";

/// What is known of a saved image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SavedLabels<'a> {
    /// The last part of its repository.
    pub(crate) name: &'a str,
    /// The container's whole name.
    pub(crate) container: &'a str,
    pub(crate) project: Option<&'a str>,
    /// Labels of the image that the container was made from.
    pub(crate) below: &'a Labels,
    /// That image, by name and by id.
    pub(crate) base_name: &'a str,
    pub(crate) base_digest: &'a str,
}

impl SavedLabels<'_> {
    /// As the engine takes them.
    pub(crate) fn to_map(self) -> Labels {
        let account = read::user_setup(self.below);
        let account = account.as_ref();
        Writer::default()
            .with(&MANAGED, "true")
            .with(&IMAGE, format_args!("{}{SAVED}", self.name))
            .with(&BASE_NAME, self.base_name)
            .with(&BASE_DIGEST, self.base_digest)
            .with(&TITLE, format_args!("{}, saved from {}", self.name, self.container))
            .copied(&[FRAMEWORK, ARCH], self.below)
            .with_some(&PROJECT, self.project)
            .with_some(&HAS_USER_SETUP, account.map(|_| true))
            .with_some(&USER_ID, account.map(|account| account.uid))
            .with_some(&GROUP_ID, account.map(|account| account.gid))
            .with_some(&USERNAME, account.and_then(|account| account.username.as_ref()))
            .0
    }
}

/// Whether an image is a saved container.
pub(crate) fn is_saved(labels: &Labels) -> bool {
    let named = labels.get(IMAGE.name).is_some_and(|name| name.ends_with(SAVED));
    named && !labels.contains_key(RECIPE.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::labels::{self, LabelCarrier, NAMESPACE};

    fn account() -> Account {
        Account {
            login: Login::new("h.baker@hertie-school.lan"),
            name: "h-baker".into(),
            uid: 1_722_830_498,
            gid: 1_722_830_498,
            shell: "/bin/bash".into(),
            sudo: false,
            jupyter: None,
        }
    }

    fn image() -> ImageLabels {
        ImageLabels {
            image: NodeName::new("h-baker/thesis"),
            recipe: "ab".repeat(32),
            scheme: 1,
            ingredients: vec![("base".into(), "0123456789abcdef".into()), ("user".into(), "f".repeat(64))],
            record: r#"{"recipe":{"fields":{"platform":{"platform":"linux/amd64"}}}}"#.into(),
            catalogue: Some(Catalogue { framework: "Pytorch-2.8.0-aime".into(), arch: "CUDA_ADA".into() }),
            user: Some(UserImage { project: Some(ProjectName::new("thesis")), account: account() }),
            base_name: "reg.local:5000/ds01/vision:r-0123456789abcdef".into(),
            base_digest: format!("sha256:{}", "c".repeat(64)),
            title: "thesis".into(),
        }
    }

    fn container() -> ContainerLabels {
        ContainerLabels {
            user: account().login,
            group: "student".into(),
            interface: Interface::Orchestration,
            name: "thesis".into(),
            project: Some(ProjectName::new("thesis")),
            image: "sha256:1".into(),
            created_at: Timestamp::from_second(1_760_000_000).unwrap(),
            slice: Some("ds01-student-h_baker.slice".into()),
            work_mount: Some("/home/h.baker/workspace/thesis".into()),
            data_mount: None,
            models_mount: None,
            gpus: "0".into(),
            assigned: None,
            workspace_folder: "/workspace".into(),
            inherited: image().to_map(),
        }
    }

    #[test]
    fn a_user_image_carries_every_image_key() {
        let map = image().to_map();
        insta::assert_snapshot!(lines(&map));
        for key in labels::SCHEMA.iter().filter(|key| key.on != LabelCarrier::Container) {
            assert!(map.contains_key(key.name), "{}", key.name);
        }
    }

    #[test]
    fn an_image_never_carries_a_key_of_one_container() {
        for name in image().to_map().keys() {
            assert_ne!(labels::key(name).map(|key| key.on), Some(LabelCarrier::Container), "{name}");
        }
    }

    #[test]
    fn a_container_carries_every_required_key() {
        let map = container().to_map();
        insta::assert_snapshot!(lines(&map));
        for key in labels::SCHEMA.iter().filter(|key| key.on != LabelCarrier::Image) {
            assert!(key.required != labels::Required::Yes || map.contains_key(key.name), "{}", key.name);
        }
    }

    #[test]
    fn a_container_with_gpus_and_mounts_carries_every_key_but_protection() {
        let assigned = Gpus {
            uuids: vec!["GPU-1".into(), "MIG-2".into()],
            slots: vec!["0".into(), "1.3".into()],
            equivalents: "1.1429".into(),
        };
        let map = ContainerLabels {
            data_mount: Some("/srv/data".into()),
            models_mount: Some("/srv/models".into()),
            gpus: "2".into(),
            assigned: Some(assigned),
            ..container()
        }
        .to_map();
        assert_eq!(map["ds01.gpu.uuids"], "GPU-1,MIG-2");
        assert_eq!(map["ds01.gpu.slots"], "0,1.3");
        assert_eq!(map["ds01.gpu.equivalents"], "1.1429");
        let never = [PROTECTED.name, labels::MLC_VERSION.name];
        for key in
            labels::SCHEMA.iter().filter(|key| key.on != LabelCarrier::Image && !never.contains(&key.name))
        {
            assert!(map.contains_key(key.name), "{}", key.name);
        }
    }

    #[test]
    fn only_lower_case_keys_are_written() {
        for name in image().to_map().into_keys().chain(container().to_map().into_keys()) {
            assert!(labels::key(&name).is_some(), "{name}");
            assert!(!name.starts_with(NAMESPACE) || name == name.to_lowercase(), "{name}");
        }
    }

    #[test]
    fn an_allocation_baked_into_an_image_is_a_stray() {
        let written = container().to_map();
        let mut image = image().to_map();
        assert!(leaked_labels(&image, &written).is_empty());
        for name in
            ["ds01.gpu.uuids", "ds01.gpu.allocated", "ds01.protected", "aime.mlc.USER", "aime.mlc.GPUS"]
        {
            image.insert(name.into(), "x".into());
        }
        // The owner and the request are written anew, and new keys win.
        assert_eq!(
            leaked_labels(&image, &written),
            ["ds01.gpu.allocated", "ds01.gpu.uuids", "ds01.protected"]
        );
    }

    fn lines(map: &Labels) -> String {
        map.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn saved(below: &Labels) -> Labels {
        SavedLabels {
            name: "thesis",
            container: "thesis._.1001",
            project: Some("thesis"),
            below,
            base_name: "ds01-1001/thesis:latest",
            base_digest: "sha256:1",
        }
        .to_map()
    }

    #[test]
    fn of_the_image_below_only_account_and_framework_are_kept() {
        let below = labels(&[
            ("ds01.managed", "true"),
            ("ds01.image", "thesis"),
            ("ds01.build.recipe", "ab"),
            ("ds01.build.record", "{}"),
            ("ds01.framework", "Pytorch-2.8.0"),
            ("ds01.arch", "CUDA_ADA"),
            ("ds01.has_user_setup", "true"),
            ("ds01.user_id", "1001"),
            ("ds01.group_id", "1001"),
            ("ds01.username", "ann"),
            ("ds01.gpu.uuids", "GPU-1"),
            ("ds01.protected", "true"),
        ]);
        let saved = saved(&below);
        let text: String = saved.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        insta::assert_snapshot!(text);
        assert!(is_saved(&saved) && !is_saved(&below));
        assert!(leaked_labels(&saved, &Labels::new()).is_empty());
        for name in saved.keys() {
            let on = labels::key(name).map(|key| key.on);
            assert!(matches!(on, Some(LabelCarrier::Image | LabelCarrier::Both)), "{name}");
        }
    }

    #[test]
    fn an_account_of_the_old_generation_is_written_with_new_keys_and_half_a_one_with_none() {
        let old = labels(&[
            ("aime.mlc.DS01_HAS_USER_SETUP", "true"),
            ("aime.mlc.DS01_USER_ID", "1001"),
            ("aime.mlc.DS01_GROUP_ID", "100"),
            ("aime.mlc.USER", "ann"),
        ]);
        assert!(read::has_setup_for(&saved(&old), 1001, 100));
        assert!(saved(&old).keys().all(|key| !key.starts_with("aime")));
        let half = labels(&[("ds01.user_id", "1001")]);
        assert!(read::setup_labels(&saved(&half)).is_empty());
    }

    #[test]
    fn a_plan_of_that_name_is_no_saved_container() {
        let plan = labels(&[("ds01.image", "vision@saved"), ("ds01.build.recipe", "ab")]);
        assert!(!is_saved(&plan));
    }
}
