//! ONBUILD instructions that external bases leave for what is built FROM them,
//! as their image configs say it.
//!
//! What the engine lacks is asked from its registry, once for a digest: the
//! answer is kept, since it can never be another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures::future::join_all;

use super::bases::{BaseSnapshot, Bases};
use super::files::Dockerfiles;
use crate::dockerfile::Triggers;
use crate::host::files;
use crate::model::reference::Reference;
use crate::plan::{Context, Error};

/// More answers than this, and only those of the last run are kept.
const MOST: usize = 1000;

/// By the digest of a manifest.
type Known = BTreeMap<String, Vec<String>>;

/// What the external bases of these Dockerfiles leave. A base that cannot be
/// asked is taken to leave nothing, and named in `unknown`.
pub(super) async fn of_bases(
    dockerfiles: &Dockerfiles,
    bases: &Bases,
    platform: &str,
    context: &Context<'_>,
    unknown: &mut Vec<String>,
) -> Result<Triggers, Error> {
    let images = dockerfiles.values().flat_map(|read| &read.evaluated.images).filter(|image| image.from);
    let used: BTreeMap<String, _> = images
        .filter_map(|image| {
            Some((image.reference.canonical(), (image, bases.get(&image.reference.canonical())?)))
        })
        .collect();
    let kept = Answers::load(context);
    let asked =
        used.values().map(|(image, base)| one(&image.reference, base, platform, context, &kept.known));
    let mut triggers = Triggers::default();
    let mut answers = Known::new();
    for ((image, base), answer) in used.values().zip(join_all(asked).await) {
        match answer {
            Ok(texts) => {
                let told = triggers.add(&image.reference, &texts);
                told.map_err(|problem| Error::Problems(vec![problem]))?;
                if base.id.is_none() {
                    answers.extend(base.digest.clone().map(|digest| (digest, texts)));
                }
            }
            Err(Failed::Engine(error)) => return Err(error.into()),
            Err(Failed::Registry(why)) => unknown.push(format!(
                "whether {} has ONBUILD instructions could not be asked, and it is taken to have none: {why}",
                image.reference
            )),
        }
    }
    kept.save(answers);
    Ok(triggers)
}

enum Failed {
    Engine(crate::engine::Error),
    Registry(String),
}

async fn one(
    reference: &Reference,
    base: &BaseSnapshot,
    platform: &str,
    context: &Context<'_>,
    known: &Known,
) -> Result<Vec<String>, Failed> {
    if let Some(id) = &base.id {
        let image = context.engine.image(id.as_str()).await.map_err(Failed::Engine)?;
        return Ok(image.map(|image| image.onbuild).unwrap_or_default());
    }
    if let Some(texts) = base.digest.as_ref().and_then(|digest| known.get(digest)) {
        return Ok(texts.clone());
    }
    match context.registry.image(&base.given, platform).await {
        Ok(Some(image)) => Ok(image.onbuild),
        Ok(None) => Err(Failed::Registry(format!("its registry does not have {reference}"))),
        Err(error) => Err(Failed::Registry(error.to_string())),
    }
}

/// Answers of earlier runs. Only saves time.
struct Answers {
    path: PathBuf,
    known: Known,
}

impl Answers {
    fn load(context: &Context<'_>) -> Self {
        let path = context.records.join("onbuild.json");
        let known = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, known: known.unwrap_or_default() }
    }

    fn save(self, answers: Known) {
        if answers.iter().all(|(digest, texts)| self.known.get(digest) == Some(texts)) {
            return;
        }
        let old = if self.known.len() < MOST { self.known } else { Known::new() };
        let all: Known = old.into_iter().chain(answers).collect();
        let text = serde_json::to_vec(&all).expect("texts become JSON");
        // Without it the next run asks once more.
        let _ = self.path.parent().map(std::fs::create_dir_all);
        let _ = files::write(&self.path, &text);
    }
}
