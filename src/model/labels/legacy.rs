//! Keys of older systems, and what each is read as.
//!
//! Labels cannot change on a container that exists, so these age out with
//! the containers that carry them. Nothing here is ever written.

use super::{
    ARCH, CREATED_AT, DATA_MOUNT, FRAMEWORK, GPU_SLOTS, GPU_UUIDS, GPUS, GROUP_ID, HAS_USER_SETUP, IMAGE,
    INTERFACE, Key, MANAGED, MLC_VERSION, MODELS_MOUNT, NAME, PROJECT, USER, USER_ID, USERNAME, WORK_MOUNT,
};

/// An old key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Legacy {
    pub(crate) name: &'static str,
    /// The key that replaced it.
    pub(crate) read_as: Key,
}

macro_rules! legacy {
    ($($name:literal => $key:ident,)*) => { &[$(Legacy { name: $name, read_as: $key }),*] };
}

/// Old keys; of those read as one key, an earlier one wins.
pub(crate) const LEGACY: &[Legacy] = legacy! {
    "aime.mlc.USER" => USER,
    "aime.mlc" => USER,
    "aime.mlc.username" => USER,
    "aime.mlc.NAME" => NAME,
    "aime.mlc.DS01_CONTAINER" => NAME,
    "aime.mlc.ARCH" => ARCH,
    "aime.mlc.FRAMEWORK" => FRAMEWORK,
    "aime.mlc.DS01_FRAMEWORK" => FRAMEWORK,
    "aime.mlc.GPUS" => GPUS,
    "aime.mlc.WORK_MOUNT" => WORK_MOUNT,
    "aime.mlc.DS01_WORKSPACE" => WORK_MOUNT,
    "aime.mlc.DATA_MOUNT" => DATA_MOUNT,
    "aime.mlc.MODELS_MOUNT" => MODELS_MOUNT,
    "aime.mlc.MLC_VERSION" => MLC_VERSION,
    "aime.mlc.VERSION" => MLC_VERSION,
    "aime.mlc.DS01_MANAGED" => MANAGED,
    "aime.mlc.CUSTOM_IMAGE" => IMAGE,
    "aime.mlc.DS01_IMAGE" => IMAGE,
    "aime.mlc.DS01_PROJECT" => PROJECT,
    "aime.mlc.DS01_HAS_USER_SETUP" => HAS_USER_SETUP,
    "aime.mlc.DS01_USER_ID" => USER_ID,
    "aime.mlc.DS01_GROUP_ID" => GROUP_ID,
    "aime.mlc.DS01_USERNAME" => USERNAME,
    "ds01.gpu.uuid" => GPU_UUIDS,
    "ds01.gpu_slot" => GPU_UUIDS,
    "ds01.gpu.allocated" => GPU_SLOTS,
    "ds01.container_type" => INTERFACE,
    "ds01.created" => CREATED_AT,
    "aime.mlc.DS01_CREATED" => CREATED_AT,
};

/// Whether a key is of an older system, read by us or not.
pub(crate) fn is_old(name: &str) -> bool {
    let namespace = "aime.mlc";
    let inside = name.strip_prefix(namespace).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    inside || LEGACY.iter().any(|old| old.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::labels;

    #[test]
    fn no_old_key_is_also_a_new_one() {
        for old in LEGACY {
            assert!(labels::key(old.name).is_none(), "{}", old.name);
            assert!(labels::key(old.read_as.name).is_some(), "{}", old.name);
        }
    }
}
