//! What engines in memory push to and pull from: the registries of a test,
//! shared by all engines of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::store::Stored;
use crate::model::reference::Reference;
use crate::registry::fake::FakeRegistry;
use crate::registry::{Error, Registry};

/// Registries, with all that engines keep of an image and registries do not
/// tell. An image put there by nobody's push has its labels and layers only.
#[derive(Debug, Default)]
pub(crate) struct FakeHub {
    pub(crate) registry: Arc<FakeRegistry>,
    images: Mutex<BTreeMap<String, Stored>>,
}

impl FakeHub {
    /// Takes an image in; gives its digest.
    pub(super) async fn take(
        &self,
        reference: &Reference,
        image: &Stored,
        diff_ids: &[String],
    ) -> Result<String, Error> {
        // Asked first, so that a registry that is gone or refuses does so.
        self.registry.image(reference, "").await?;
        let diff_ids: Vec<_> = diff_ids.iter().map(String::as_str).collect();
        let digest = self.registry.push(reference, &image.labels, &diff_ids);
        self.images.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone(), image.clone());
        Ok(digest)
    }

    /// Gives an image out, with its digest.
    pub(super) async fn give(&self, reference: &Reference) -> Result<Option<(String, Stored)>, Error> {
        let Some(image) = self.registry.image(reference, "").await? else { return Ok(None) };
        let kept = self.images.lock().unwrap_or_else(PoisonError::into_inner).get(&image.digest).cloned();
        let bare = || Stored { labels: image.labels, layers: image.diff_ids, ..Stored::default() };
        Ok(Some((image.digest, kept.unwrap_or_else(bare))))
    }
}
