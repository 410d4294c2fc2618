//! What goes onto an image that a container was saved as.
//!
//! Of the image below, what it says of the account and the framework is still
//! true; of the recipe nothing is, since somebody has changed files since.
//! Nothing of the container comes along.

use std::fmt::Display;

use super::write::Labels;
use super::{
    ARCH, BASE_DIGEST, BASE_NAME, FRAMEWORK, GROUP_ID, HAS_USER_SETUP, IMAGE, Key, MANAGED, PROJECT, RECIPE,
    TITLE, USER_ID, USERNAME, read,
};

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
    pub(crate) fn to_map(&self) -> Labels {
        let mut map = Labels::new();
        let mut put = |key: &Key, value: &dyn Display| map.insert(key.name.to_owned(), value.to_string());
        put(&MANAGED, &"true");
        put(&IMAGE, &format_args!("{}{SAVED}", self.name));
        put(&BASE_NAME, &self.base_name);
        put(&BASE_DIGEST, &self.base_digest);
        put(&TITLE, &format_args!("{}, saved from {}", self.name, self.container));
        for key in [FRAMEWORK, ARCH] {
            if let Some(value) = read::text(self.below, &key) {
                put(&key, &value);
            }
        }
        if let Some(project) = self.project {
            put(&PROJECT, &project);
        }
        if let Some(account) = read::user_setup(self.below) {
            put(&HAS_USER_SETUP, &"true");
            put(&USER_ID, &account.uid);
            put(&GROUP_ID, &account.gid);
            if let Some(name) = account.username {
                put(&USERNAME, &name);
            }
        }
        map
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
    use crate::model::labels::{self, On, write};

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
        assert!(write::strays(&saved, &Labels::new()).is_empty());
        for name in saved.keys() {
            let on = labels::key(name).map(|key| key.on);
            assert!(matches!(on, Some(On::Image | On::Both)), "{name}");
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
        assert!(read::setup_said(&saved(&half)).is_empty());
    }

    #[test]
    fn a_plan_of_that_name_is_no_saved_container() {
        let plan = labels(&[("ds01.image", "vision@saved"), ("ds01.build.recipe", "ab")]);
        assert!(!is_saved(&plan));
    }
}
