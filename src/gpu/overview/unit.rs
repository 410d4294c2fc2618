//! Whether a claim means a GPU or an instance, however it names it.

use crate::gpu::claims::Claim;
use crate::gpu::{Gpu, Instance, Mig};

/// A GPU or an instance of one, as claims name it.
#[derive(Clone, Copy)]
pub(crate) struct Unit<'a> {
    gpu: (u32, Option<&'a str>),
    minor: u32,
    instance: Option<(u32, Option<&'a str>)>,
}

impl<'a> Unit<'a> {
    pub(crate) fn gpu(gpu: &'a Gpu) -> Self {
        let card = gpu.card.as_ref().ok();
        // Where it is not known, it is what it mostly is.
        let minor = card.and_then(|card| card.minor.as_ref().ok()).copied().unwrap_or(gpu.index);
        Self { gpu: (gpu.index, card.map(|card| card.uuid.as_str())), minor, instance: None }
    }

    pub(crate) fn instance(gpu: &'a Gpu, instance: &'a Instance) -> Self {
        let uuid = instance.slice.as_ref().ok().map(|slice| slice.uuid.as_str());
        Self { instance: Some((instance.index, uuid)), ..Self::gpu(gpu) }
    }

    /// Whether a name means it, or the GPU that it is a part of.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let is = |(index, uuid): (u32, Option<&str>), text: &str| {
            text.parse() == Ok(index) || uuid.is_some_and(|uuid| begins(uuid, text))
        };
        if is(self.gpu, name) {
            return true;
        }
        let Some(instance) = self.instance else { return false };
        match name.split_once(['.', ':']) {
            Some((gpu, part)) => gpu.parse() == Ok(self.gpu.0) && part.parse() == Ok(instance.0),
            None => instance.1.is_some_and(|uuid| begins(uuid, name)),
        }
    }

    pub(crate) fn is_claimed(&self, claim: &Claim) -> bool {
        let by_file = self.instance.is_none() && claim.minors.contains(&self.minor);
        let by_name = || claim.names.iter().any(|name| self.is_named(name));
        claim.all || self.gpu.0 < claim.first || by_file || by_name()
    }
}

/// NVIDIA's tools take the beginning of a UUID for it, in either case.
pub(crate) fn begins(uuid: &str, text: &str) -> bool {
    let head = uuid.get(..text.len());
    text.len() > "GPU-".len() && head.is_some_and(|head| head.eq_ignore_ascii_case(text))
}

/// A GPU and its instances.
pub(crate) fn units(gpu: &Gpu) -> Vec<Unit<'_>> {
    let instances = match gpu.card.as_ref().map(|card| &card.mig) {
        Ok(Ok(Mig::On(instances))) => instances.as_slice(),
        _ => &[],
    };
    let parts = instances.iter().map(|instance| Unit::instance(gpu, instance));
    std::iter::once(Unit::gpu(gpu)).chain(parts).collect()
}
