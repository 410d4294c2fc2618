//! Manifests, indexes and image configs, as far as they are read here.
//! OCI's and Docker's are alike in it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// An image's manifest, in OCI's form.
pub(crate) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
/// Every kind that is read. What is not named here, a registry may convert,
/// and then gives another digest.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// A manifest or an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) media_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    /// Of an index.
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: String,
}

impl Platform {
    fn name(&self) -> String {
        let parts = [self.os.as_str(), &self.architecture, &self.variant];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }

    /// Without a variant, any is right.
    fn is(&self, wanted: &str) -> bool {
        self.name() == wanted || format!("{}/{}", self.os, self.architecture) == wanted
    }
}

impl Manifest {
    /// # Errors
    /// It is none.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| format!("its manifest cannot be read: {e}"))
    }

    /// The digest of the platform's manifest; `None`: this is one, no index.
    ///
    /// # Errors
    /// There is none for the platform.
    pub(crate) fn of_platform(&self, wanted: &str) -> Result<Option<String>, String> {
        let Some(manifests) = &self.manifests else { return Ok(None) };
        let with_platform = manifests.iter().filter_map(|entry| Some((entry, entry.platform.as_ref()?)));
        let known: Vec<_> = with_platform.filter(|(_, platform)| platform.os != "unknown").collect();
        match known.iter().find(|(_, platform)| platform.is(wanted)) {
            Some((entry, _)) => Ok(Some(entry.digest.clone())),
            None => {
                let known: Vec<_> = known.iter().map(|(_, platform)| platform.name()).collect();
                Err(format!("it is not for {wanted}, only for: {}", known.join(", ")))
            }
        }
    }

    /// The config's digest, and the bytes of all layers.
    ///
    /// # Errors
    /// It is of no image.
    pub(crate) fn image(&self) -> Result<(String, u64), String> {
        let config = self.config.as_ref().ok_or("its manifest is not one of an image")?;
        let size = self.layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
        Ok((config.digest.clone(), size))
    }
}

/// An image's config.
#[derive(Deserialize)]
pub(crate) struct Config {
    config: Option<Inner>,
    pub(crate) rootfs: RootFs,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
    /// Docker's; OCI's configs may have it all the same.
    #[serde(rename = "OnBuild")]
    onbuild: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(crate) struct RootFs {
    pub(crate) diff_ids: Vec<String>,
}

impl Config {
    /// # Errors
    /// It is none.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| format!("its config cannot be read: {e}"))
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.config.as_ref().and_then(|inner| inner.labels.clone()).unwrap_or_default()
    }

    pub(crate) fn onbuild(&self) -> Vec<String> {
        self.config.as_ref().and_then(|inner| inner.onbuild.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = r#"{"manifests": [
        {"digest": "sha256:1", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "sha256:2", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {"digest": "sha256:3", "platform": {"os": "unknown", "architecture": "unknown"}}]}"#;

    #[test]
    fn an_index_is_asked_for_a_platform_with_or_without_its_variant() {
        let index = Manifest::parse(INDEX.as_bytes()).unwrap();
        assert_eq!(index.of_platform("linux/amd64"), Ok(Some("sha256:1".into())));
        assert_eq!(index.of_platform("linux/arm64"), Ok(Some("sha256:2".into())));
        assert_eq!(index.of_platform("linux/arm64/v8"), Ok(Some("sha256:2".into())));
        let missing = index.of_platform("linux/riscv64").unwrap_err();
        assert_eq!(missing, "it is not for linux/riscv64, only for: linux/amd64, linux/arm64/v8");
        assert!(index.image().is_err());
    }

    #[test]
    fn a_config_without_labels_has_none() {
        for text in [
            r#"{"rootfs": {"diff_ids": ["sha256:1"]}}"#,
            r#"{"config": {"Labels": null, "OnBuild": null}, "rootfs": {"diff_ids": ["sha256:1"]}}"#,
        ] {
            let config = Config::parse(text.as_bytes()).unwrap();
            assert!(config.labels().is_empty() && config.onbuild().is_empty());
            assert_eq!(config.rootfs.diff_ids, ["sha256:1"]);
        }
    }
}
