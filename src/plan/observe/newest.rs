//! What registries say of tags and pins now. Decides nothing.

use crate::engine::Engine;
use crate::model::reference::Reference;
use crate::registry::{self, Registry};
use crate::spec::pins::Pin;

/// Why a registry could not be asked, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistryUnavailable(pub(crate) String);

/// What a registry says of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Newest {
    /// The pin is what the tag stands for.
    Same,
    /// The tag stands for this; the pin is behind, or there is none yet, or it
    /// lacks a platform.
    Pin(Pin),
    /// The registry has no such tag.
    Gone,
    RegistryUnavailable(RegistryUnavailable),
}

/// The manifest digest a reference stands for. Where our own question leads
/// nowhere, the engine is asked: it may know a mirror, or another way.
///
/// # Errors
/// Neither of us could ask.
pub(crate) async fn digest_of(
    reference: &Reference,
    registry: &dyn Registry,
    engine: Option<&dyn Engine>,
) -> Result<Option<String>, RegistryUnavailable> {
    let ours = registry.digest(reference).await;
    if let Ok(Some(digest)) = ours {
        return Ok(Some(digest));
    }
    let Some(engine) = engine else { return ours.map_err(|error| told(&error)) };
    match (ours, engine.resolve(reference).await) {
        (_, Ok(found)) => Ok(found),
        (Ok(_), Err(_)) => Ok(None),
        (Err(error), Err(_)) => Err(told(&error)),
    }
}

fn told(error: &registry::Error) -> RegistryUnavailable {
    let help = error.help().map(|help| format!(" ({help})"));
    RegistryUnavailable(format!("{error}{}", help.unwrap_or_default()))
}

/// Compares a pin with what its tag stands for. Of an index, the manifests of
/// the platforms that the pin knows are compared, and `platform` is recorded
/// too; no layer is fetched.
pub(crate) async fn newest(
    reference: &Reference,
    pin: Option<&Pin>,
    platform: Option<&str>,
    registry: &dyn Registry,
    engine: Option<&dyn Engine>,
) -> Newest {
    let digest = match digest_of(reference, registry, engine).await {
        Ok(Some(digest)) => digest,
        Ok(None) => return Newest::Gone,
        Err(unasked) => return Newest::RegistryUnavailable(unasked),
    };
    let known = |platform: &str| pin.is_some_and(|pin| pin.platforms().contains_key(platform));
    if pin.is_some_and(|pin| pin.digest() == digest) && platform.is_none_or(known) {
        return Newest::Same;
    }
    let recorded = pin.iter().flat_map(|pin| pin.platforms().keys()).map(String::as_str);
    let more = platform.filter(|platform| !known(platform));
    let platforms: Vec<&str> = recorded.chain(more).collect();
    match described(reference, &digest, &platforms, registry).await {
        None => Newest::RegistryUnavailable(RegistryUnavailable(format!(
            "`{digest}` is no digest that can be pinned"
        ))),
        Some(new) => match pin {
            Some(pin) if *pin == new => Newest::Same,
            // Only images for others have changed.
            Some(pin) if pin.digest() != new.digest() && more.is_none() && pin.gives_the_same_as(&new) => {
                Newest::Same
            }
            _ => Newest::Pin(new),
        },
    }
}

/// A pin to a digest, with the manifests of platforms as far as they can be
/// told.
pub(crate) async fn described(
    reference: &Reference,
    digest: &str,
    platforms: &[&str],
    registry: &dyn Registry,
) -> Option<Pin> {
    let index = reference.repository().with_digest(digest);
    let ask = |platform| registry.image(&index, platform);
    let answers = futures::future::join_all(platforms.iter().copied().map(ask)).await;
    let answers = platforms.iter().zip(answers);
    answers.fold(Pin::new(digest), |pin, (platform, answer)| match answer {
        Ok(Some(image)) => pin.map(|pin| pin.with_platform(platform, &image.manifest)),
        _ => pin,
    })
}
