//! How a container gets the GPUs that were chosen for it, by what the engine
//! offers. Pure.
//!
//! A container never sees more than it holds, whatever its image says and
//! whichever runtime is the engine's default, since `NVIDIA_VISIBLE_DEVICES` is
//! always set here. NVIDIA's runtime looks at nothing else (its last value
//! counts; without one, images from before `NVIDIA_REQUIRE_CUDA` get every
//! GPU):
//!
//! - Without GPUs `void`: the runtime then changes nothing.
//! - With CDI names `void` too: the engine injects what was asked for, and the
//!   runtime nothing besides. NVIDIA's own CDI files set the same.
//! - With a request the UUIDs: what the engine's driver itself adds to the
//!   environment for its hook, so that an engine which answers the request by
//!   CDI instead (29 and newer) leaves the runtime with the same devices.

use super::choose::Choice;
use super::overview::AllocatedUnit;
use crate::engine::{DeviceRequest, EngineInfo, Error};

/// What decides where the runtime is NVIDIA's. Nobody else may set it.
pub(crate) const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";

/// What CDI names of GPUs begin with.
pub(crate) const CDI: &str = "nvidia.com/gpu=";

/// NVIDIA's OCI runtime, as its installation names it.
const RUNTIME: &str = "nvidia";

/// First version of the interface that knows device requests.
const REQUESTS: (u32, u32) = (1, 40);

/// What goes into the request for a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// One request with all of them, by UUID or CDI name.
    pub(crate) requests: Vec<DeviceRequest>,
    /// OCI runtime to ask for.
    pub(crate) runtime: Option<String>,
    /// `NAME=value`; these win over what anybody else says.
    pub(crate) env: Vec<String>,
    /// `NAME=value`, unless the image or a person says otherwise.
    pub(crate) defaults: Vec<String>,
}

/// How GPUs can be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachMethod {
    /// A device request for NVIDIA's driver of the engine (`--gpus`).
    Request,
    /// A device request by CDI names that are UUIDs.
    Cdi,
    /// A device request by CDI names that are indices and slots.
    CdiSlots,
    /// NVIDIA's OCI runtime, told by the environment.
    Runtime,
}

/// The best that the engine offers for these. Engines before 28.2 do not
/// say which CDI devices they know.
pub(crate) fn best_method(facts: &EngineInfo, choice: &Choice) -> AttachMethod {
    let knows = |name: fn(&AllocatedUnit) -> String| {
        !choice.units.is_empty() && choice.units.iter().all(|unit| facts.cdi_devices.contains(&name(unit)))
    };
    if knows(by_uuid) {
        AttachMethod::Cdi
    } else if knows(by_slot) {
        AttachMethod::CdiSlots
    } else if has_runtime(facts) && is_before_requests(&facts.api) {
        AttachMethod::Runtime
    } else {
        AttachMethod::Request
    }
}

/// What to try when the first method [failed for want of a driver](lacks_driver):
/// an engine does not say whether it has one, but it names its runtimes.
pub(crate) fn fallback(facts: &EngineInfo, first: AttachMethod) -> Option<AttachMethod> {
    (first == AttachMethod::Request && has_runtime(facts)).then_some(AttachMethod::Runtime)
}

/// Whether a start failed since the engine has no driver for such a request.
pub(crate) fn lacks_driver(error: &Error) -> bool {
    matches!(error, Error::Refused { message, .. } if message.contains("could not select device driver"))
}

/// What a container needs to get these, and no others.
pub(crate) fn attach(method: AttachMethod, choice: &Choice) -> Attachment {
    let visible = |value: &str| vec![format!("{VISIBLE}={value}")];
    if choice.units.is_empty() {
        return Attachment { env: visible("void"), ..Attachment::default() };
    }
    let uuids = || visible(&choice.uuids().join(","));
    // Toolkits before 1.5 give an image that says nothing no CUDA at all.
    let defaults = vec!["NVIDIA_DRIVER_CAPABILITIES=compute,utility".to_owned()];
    match method {
        AttachMethod::Request => Attachment {
            requests: vec![DeviceRequest {
                driver: "nvidia".into(),
                count: 0,
                ids: choice.uuids(),
                // Any more would be set over what the image says.
                capabilities: vec![vec!["gpu".into()]],
            }],
            env: uuids(),
            defaults,
            runtime: None,
        },
        AttachMethod::Cdi | AttachMethod::CdiSlots => {
            let name = if method == AttachMethod::Cdi { by_uuid } else { by_slot };
            let ids = choice.units.iter().map(name).collect();
            let request = DeviceRequest { driver: "cdi".into(), ids, ..DeviceRequest::default() };
            Attachment { requests: vec![request], env: visible("void"), ..Attachment::default() }
        }
        AttachMethod::Runtime => {
            Attachment { runtime: Some(RUNTIME.into()), env: uuids(), defaults, ..Attachment::default() }
        }
    }
}

fn by_uuid(unit: &AllocatedUnit) -> String {
    format!("{CDI}{}", unit.uuid)
}

/// `0`, and `0:1` for an instance.
fn by_slot(unit: &AllocatedUnit) -> String {
    format!("{CDI}{}", unit.slot.replace('.', ":"))
}

fn has_runtime(facts: &EngineInfo) -> bool {
    facts.runtimes.contains(RUNTIME)
}

/// An engine that does not say its version is not taken for an old one.
fn is_before_requests(api: &str) -> bool {
    let parts =
        api.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    parts.is_some_and(|version: (u32, u32)| version < REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::overview::WHOLE;

    fn unit(uuid: &str, slot: &str) -> AllocatedUnit {
        AllocatedUnit { uuid: uuid.into(), slot: slot.into(), sevenths: WHOLE }
    }

    fn two() -> Choice {
        Choice { units: vec![unit("GPU-aa", "0"), unit("MIG-bb", "1.2")] }
    }

    fn facts(api: &str, runtimes: &[&str], cdi: &[&str]) -> EngineInfo {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let cdi = cdi.iter().map(|name| format!("{CDI}{name}")).collect();
        EngineInfo { api: api.into(), runtimes: owned(runtimes), cdi_devices: cdi, ..EngineInfo::default() }
    }

    #[test]
    fn the_way_follows_from_what_the_engine_reports() {
        let all = ["0", "1:2", "GPU-aa", "MIG-bb", "all"];
        for (api, runtimes, cdi, expected) in [
            ("1.51", &["runc", "nvidia"][..], &all[..], AttachMethod::Cdi),
            ("1.51", &["runc"], &all[..2], AttachMethod::CdiSlots),
            ("1.51", &["runc"], &["GPU-aa", "0"], AttachMethod::Request),
            ("1.51", &["runc"], &["all"], AttachMethod::Request),
            ("1.41", &["runc", "nvidia"], &[], AttachMethod::Request),
            ("1.41", &["runc"], &[], AttachMethod::Request),
            ("1.39", &["runc", "nvidia"], &[], AttachMethod::Runtime),
            ("1.39", &["runc"], &[], AttachMethod::Request),
            ("", &["nvidia"], &[], AttachMethod::Request),
        ] {
            assert_eq!(
                best_method(&facts(api, runtimes, cdi), &two()),
                expected,
                "{api} {runtimes:?} {cdi:?}"
            );
        }
        assert_eq!(best_method(&facts("1.51", &[], &all), &Choice::default()), AttachMethod::Request);
    }

    #[test]
    fn an_engine_without_a_driver_may_have_the_runtime() {
        let has = facts("1.41", &["runc", "nvidia"], &[]);
        assert_eq!(fallback(&has, AttachMethod::Request), Some(AttachMethod::Runtime));
        assert_eq!(fallback(&facts("1.41", &["runc"], &[]), AttachMethod::Request), None);
        for way in [AttachMethod::Runtime, AttachMethod::Cdi, AttachMethod::CdiSlots] {
            assert_eq!(fallback(&has, way), None);
        }
        let refused = |message: &str| Error::Refused { action: "start".into(), message: message.into() };
        assert!(lacks_driver(&refused(
            "could not select device driver \"nvidia\" with capabilities: [[gpu]]"
        )));
        assert!(!lacks_driver(&refused("no such device")));
    }

    #[test]
    fn a_container_gets_what_was_chosen_and_no_more() {
        let mut told = String::new();
        for way in [AttachMethod::Request, AttachMethod::Cdi, AttachMethod::CdiSlots, AttachMethod::Runtime] {
            told += &format!("{way:?}: {:#?}\n", attach(way, &two()));
            let nothing = attach(way, &Choice::default());
            let void =
                Attachment { env: vec!["NVIDIA_VISIBLE_DEVICES=void".into()], ..Attachment::default() };
            assert_eq!(nothing, void);
        }
        insta::assert_snapshot!(told);
    }

    /// What was attached is read back as what is held, whatever the image says.
    #[test]
    fn what_is_attached_is_claimed() {
        for way in [AttachMethod::Request, AttachMethod::Cdi, AttachMethod::CdiSlots, AttachMethod::Runtime] {
            let attachment = attach(way, &two());
            let mut env = vec![format!("{VISIBLE}=all")];
            env.extend(attachment.env);
            let devices = crate::engine::Devices {
                requests: attachment.requests,
                runtime: RUNTIME.into(),
                env,
                ..crate::engine::Devices::default()
            };
            let names = if way == AttachMethod::CdiSlots { ["0", "1:2"] } else { ["GPU-aa", "MIG-bb"] };
            assert_eq!(crate::gpu::claims::Claim::from_devices(&devices).names, names, "{way:?}");
        }
    }
}
