use std::collections::BTreeMap;

use super::*;
use crate::gpu::claims::ClaimSource;
use crate::gpu::overview::PrivilegedContainer;
use crate::gpu::overview::{GpuStatus, Holder, InstanceStatus};
use crate::gpu::{Process, ProcessPlace};

fn usage(availability: Availability, why: Option<&str>, holders: &[(&str, Option<&str>, &str)]) -> GpuUsage {
    let holder = |(container, owner, state): &(&str, Option<&str>, &str)| Holder {
        container: (*container).into(),
        owner: owner.map(str::to_owned),
        state: (*state).into(),
        by: ClaimSource::Labels,
    };
    let holders = holders.iter().map(holder).collect();
    GpuUsage { availability, why: why.map(str::to_owned), holders, processes: Some(Vec::new()) }
}

fn row(index: u32, usage: GpuUsage) -> GpuStatus {
    GpuStatus {
        index,
        uuid: Some(format!("GPU-{index:08}-1111-2222-3333-444444444444")),
        model: Some("NVIDIA A100 80GB PCIe".into()),
        minor: index,
        memory: Some(Memory { used: 3 << 30, total: 80 << 30 }),
        utilization: Some(42),
        compute_mode: None,
        mig: Some(false),
        links: None,
        instances: Vec::new(),
        usage,
        unreadable: BTreeMap::new(),
    }
}

fn running(pid: u32, name: Option<&str>, user: Option<&str>, kind: ProcessKind) -> GpuProcess {
    let process = Process {
        pid,
        kind,
        memory: None,
        uid: user.map(|_| 1001),
        name: name.map(str::to_owned),
        place: ProcessPlace::Host,
    };
    GpuProcess { process, user: user.map(str::to_owned), container: None }
}

fn seen() -> Overview {
    let instance = |at: u32, usage: GpuUsage| InstanceStatus {
        slot: format!("3.{at}"),
        uuid: Some(format!("MIG-{at:08}-1111-2222-3333-444444444444")),
        profile: Some("1g.10gb".into()),
        slices: Some(1),
        memory: Some(Memory { used: 0, total: 10 << 30 }),
        usage,
        unreadable: BTreeMap::new(),
    };
    let mut busy = row(2, usage(Availability::Busy, Some("processes of no container here"), &[]));
    busy.usage.processes = Some(vec![
        running(4711, Some("python"), Some("ann"), ProcessKind::Compute),
        running(12, None, None, ProcessKind::Compute),
        running(800, Some("Xorg"), Some("root"), ProcessKind::Graphics),
    ]);
    let mut divided = row(3, usage(Availability::Divided, None, &[]));
    divided.mig = Some(true);
    divided.utilization = None;
    divided.instances = vec![
        instance(0, usage(Availability::Held, None, &[("nlp._.1002", Some("bob"), "exited")])),
        instance(1, usage(Availability::Free, None, &[])),
    ];
    let mut lost = row(4, usage(Availability::Lost, Some("it fell off the bus"), &[("x", None, "running")]));
    (lost.uuid, lost.model, lost.memory, lost.utilization, lost.mig) = (None, None, None, None, None);
    lost.usage.processes = None;
    let gone = MissingGpu { container: "old".into(), owner: Some("eve".into()), device: "GPU-9".into() };
    Overview {
        driver: DriverState::Ready { driver: "570.86.15".into(), gpus: 5 },
        holders_unknown: Some("no engine answers".into()),
        gpus: vec![
            row(0, usage(Availability::Free, None, &[])),
            row(
                1,
                usage(
                    Availability::Held,
                    None,
                    &[("thesis._.1001", Some("ann"), "running"), ("two", None, "running")],
                ),
            ),
            busy,
            divided,
            lost,
        ],
        gone: vec![gone],
        privileged: vec![PrivilegedContainer { container: "exporter".into(), owner: None }],
    }
}

#[test]
fn every_standing_is_told_in_a_line() {
    let remarks = remarks(&seen()).join("\n");
    insta::assert_snapshot!(format!("{}\n{remarks}", table(&seen(), None).render(None, "~")));
}

#[test]
fn a_terminal_of_100_columns_keeps_who_holds_what() {
    let shown = table(&seen(), Some(100)).render(Some(100), "~");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    insta::assert_snapshot!(shown);
}
