//! The variables that a word of a Dockerfile can name.

use std::collections::BTreeMap;

use super::expand::Value;

/// Variables of a stage; `None`: only the build knows the value.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    pub(crate) all: BTreeMap<String, Option<String>>,
    /// Those set by ENV, which a stage FROM this one sees whatever its args are.
    pub(crate) env: BTreeMap<String, Option<String>>,
    /// True when no base image can have set others.
    pub(crate) complete: bool,
}

impl Variables {
    /// What a word sees.
    pub(crate) fn get(&self, name: &str) -> Value {
        match self.all.get(name) {
            Some(Some(value)) => Value::Set(value.clone()),
            None if self.complete => Value::Unset,
            Some(None) | None => Value::Unknown,
        }
    }
}

/// The args that BuildKit gives every Dockerfile before the first FROM.
pub(super) fn platform_args(platform: &str) -> Vec<(String, String)> {
    let mut parts = platform.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (os, arch, variant) = (part(), part(), part());
    ["BUILD", "TARGET"]
        .iter()
        .flat_map(|side| {
            [
                (format!("{side}PLATFORM"), platform.to_owned()),
                (format!("{side}OS"), os.clone()),
                (format!("{side}ARCH"), arch.clone()),
                (format!("{side}VARIANT"), variant.clone()),
            ]
        })
        .collect()
}
