//! The cache of file digests, in the user's cache folder: it may be deleted
//! at any time, and whatever is wrong with it costs time alone.

use std::path::PathBuf;

use super::settings::Settings;
use crate::plan::observe::HashCache;

/// The cache while a command uses it.
pub(crate) struct Hashes {
    pub(crate) cache: HashCache,
    file: PathBuf,
    /// When this command began to hash, in nanoseconds since 1970.
    begun_ns: i64,
}

impl Hashes {
    /// Reads what earlier commands hashed.
    pub(crate) fn open(settings: &Settings) -> Self {
        #[expect(clippy::disallowed_methods, reason = "files that changed just now are told by the clock")]
        let begun = jiff::Timestamp::now().as_nanosecond();
        let file = settings.cache_dir.join("file-hashes");
        Self { cache: HashCache::load(&file), file, begun_ns: i64::try_from(begun).unwrap_or(0) }
    }

    /// Keeps what this command hashed, if that is news.
    pub(crate) fn save(&self, settings: &Settings) {
        if !self.cache.has_news() {
            return;
        }
        let written = std::fs::create_dir_all(&settings.cache_dir)
            .and_then(|()| self.cache.save(&self.file, self.begun_ns));
        if let Err(error) = written {
            settings.remark(&format!("file hashes are not kept in {}: {error}", self.file.display()));
        }
    }
}
