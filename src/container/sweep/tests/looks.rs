//! What containers did, read from a library that stands in for NVIDIA's.

#[expect(clippy::duplicate_mod, reason = "a stand-in of the tests, which each part of the program loads")]
#[path = "../../../../tests/nvml/mod.rs"]
#[expect(unreachable_pub, reason = "of the integration tests too")]
mod standin;

use std::path::Path;

use standin::{Nvml, divided, gpu, mig, whole};

use super::container;
use crate::container::sweep::Activity;
use crate::container::sweep::inspect::activity as of;
use crate::engine::fake::FakeEngine;
use crate::gpu::claims;
use crate::gpu::nvml;
use crate::gpu::overview::Overview;
use crate::gpu::usage::overview;

async fn look(nvml: &Nvml, containers: &[(&str, &str)]) -> Overview {
    let engine = FakeEngine::new();
    for (name, uuids) in containers {
        engine.add_container(container(name, "running", 0, &[("ds01.gpu.uuids", uuids)]));
    }
    let machine = nvml::machine(Some(&nvml.library()), Path::new("/proc"));
    overview(&machine, Ok(&claims::read_all(&engine).await.unwrap()), &|_| None)
}

fn read(percent: Option<u32>, computing: bool) -> Activity {
    Activity::Read { percent, computing }
}

#[tokio::test]
async fn the_busiest_of_a_containers_gpus_at_its_busiest_moment_counts() {
    let nvml = Nvml::new(&whole(3));
    let containers = [("two", &*format!("{},{}", gpu(0), gpu(1))), ("one", &gpu(2)), ("none", "")];
    // A process that waits, as a notebook's does, makes a whole GPU not busy.
    let say = |a: u32, b: u32| {
        nvml.say(&format!("0 utilization {a}\n1 utilization {b}\n2 process 77 1000\n{}", whole(3)));
    };
    let mut looks = Vec::new();
    for (a, b) in [(0, 3), (41, 0), (0, 0)] {
        say(a, b);
        looks.push(look(&nvml, &containers).await);
    }
    assert_eq!(of("two", &looks), read(Some(41), false));
    assert_eq!(of("two", &looks[..1]), read(Some(3), false));
    assert_eq!(of("one", &looks), read(Some(0), false));
    assert_eq!(of("none", &looks), Activity::NoGpu);
    assert_eq!(of("two", &[]), Activity::NoGpu, "nobody looked");
    // One look of several in which it cannot be read is enough.
    nvml.say(&format!("1 fails utilization 999\n{}", whole(3)));
    looks.push(look(&nvml, &containers).await);
    assert!(matches!(of("two", &looks), Activity::Unknown(why) if why.contains("GPU 1")));
    assert_eq!(of("one", &looks), read(Some(0), false));
}

#[tokio::test]
async fn a_mig_instance_is_busy_by_its_processes() {
    let nvml = Nvml::new(&format!("0.2 process 77 1000\n0.3 fails process 999\n{}", divided(1)));
    let containers = [
        ("waits", &*mig(0, 1)),
        ("computes", &mig(0, 2)),
        ("both", &format!("{},{}", mig(0, 1), mig(0, 2))),
        ("mute", &mig(0, 3)),
        ("gone", "MIG-99999999-0000-5000-8000-000000000009"),
    ];
    let look = [look(&nvml, &containers).await];
    assert_eq!(of("waits", &look), read(None, false));
    assert_eq!(of("computes", &look), read(None, true));
    assert_eq!(of("both", &look), read(None, true));
    assert!(matches!(of("mute", &look), Activity::Unknown(why) if why.contains("0.3")));
    assert!(matches!(of("gone", &look), Activity::Unknown(why) if why.contains("MIG-9999")));
}

#[tokio::test]
async fn gpus_that_do_not_answer_and_undivided_ones_in_mig_mode_are_unknown() {
    let nvml = Nvml::new(&format!("0 fails handle 15\n{}", whole(1)));
    let lost = [look(&nvml, &[("x", "0")]).await];
    assert!(matches!(of("x", &lost), Activity::Unknown(_)));
    nvml.say("machine driver 570\nmachine gpus 1\n0 uuid GPU-00000000-1\n0 mig 1\n0 name X\n0 memory 0 1\n0 compute 0\n");
    let empty = [look(&nvml, &[("x", "0")]).await];
    assert!(matches!(of("x", &empty), Activity::Unknown(_)));
}
