//! One container in full, as text and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::engine::{Container, CreateContainer, DeviceRequest, Devices, Engine, Usage, fake::FakeEngine};
use crate::model::names::{ImageId, Login};
use crate::model::reference::Reference;

const NOW: i64 = 1_795_266_231;

fn nobody(_: u32) -> Option<Login> {
    None
}

fn context(notices: &BTreeMap<String, String>) -> ViewContext<'_> {
    ViewContext { now: NOW, users: &nobody, notices }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn age(span: Duration) -> String {
    format!("{} s ago", span.as_secs())
}

/// A container that was deployed with two GPUs, from an image that is old by now.
async fn deployed(run: bool) -> FullView {
    let engine = FakeEngine::new();
    let image = [("ds01.managed", "true"), ("ds01.image", "h-baker/thesis"), ("ds01.user_id", "1001")];
    let tag = |tag: &str| Reference::parse(&format!("ds01-1001/thesis:{tag}")).unwrap();
    let old = engine.add_image(&tag("r-0000000000000001"), &labels(&image));
    let new = engine.add_image(&tag("r-0000000000000002"), &labels(&image));
    engine.tag(&new, &tag("latest")).await.unwrap();
    let request = CreateContainer {
        name: "thesis._.1001".into(),
        image: old.to_string(),
        labels: labels(&[
            ("ds01.managed", "true"),
            ("ds01.user", "h.baker@hertie-school.lan"),
            ("ds01.group", "student"),
            ("ds01.interface", "orchestration"),
            ("ds01.name", "thesis"),
            ("ds01.project", "thesis"),
            ("ds01.image", old.as_str()),
            ("ds01.build.recipe", &"0123456789abcdef".repeat(4)),
            ("ds01.gpus", "2"),
            ("ds01.gpu.uuids", "GPU-11111111-2222,GPU-33333333-4444"),
            ("ds01.gpu.slots", "0,1"),
            ("ds01.slice", "ds01-student-h_baker.slice"),
            ("ds01.protected", "true"),
        ]),
        user: "1001:1001".into(),
        workdir: "/workspace".into(),
        command: Some(vec!["/bin/bash".into(), "-l".into()]),
        mounts: vec![
            Mount { source: "/home/h.baker/thesis".into(), target: "/workspace".into(), read_only: false },
            Mount { source: "/data".into(), target: "/data".into(), read_only: true },
        ],
        cpus: Some(4.0),
        memory: Some(16 << 30),
        shm_size: Some(3 << 29),
        pids: Some(4096),
        ports: vec![
            Port { address: Some("127.0.0.1".into()), host: None, container: 8888 },
            Port { address: None, host: Some(6006), container: 6006 },
        ],
        ..CreateContainer::default()
    };
    let id = engine.create(&request).await.unwrap();
    let usage = Usage { cpus: 1.234, memory: 581_632, pids: 12 };
    engine.set_usage(&id, usage);
    if run {
        engine.start(&id).await.unwrap();
    }
    let container = engine.containers().await.unwrap().remove(0);
    let container = Container { created: NOW - 7200, ..container };
    let detail = engine.container(&id).await.unwrap().unwrap();
    let detail = ContainerDetail { started: run.then_some(NOW - 7199), ..detail };
    let notices = BTreeMap::from([(id.clone(), "it will be stopped in 2 hours".to_owned())]);
    let claim = GpuClaim::from_devices(container, &detail.devices);
    let mut shown = show(&claim, detail, &engine.images().await.unwrap(), &context(&notices));
    shown.view.usage = engine.usage(std::slice::from_ref(&id)).await.unwrap().remove(&id);
    shown
}

#[tokio::test]
async fn a_running_container_is_shown_with_all_that_is_known() {
    let shown = deployed(true).await;
    insta::assert_snapshot!("running", shown.text(&age));
    insta::assert_snapshot!("running_json", serde_json::to_string_pretty(&shown).unwrap());
}

#[tokio::test]
async fn one_that_does_not_run_is_shown_with_how_to_start_it() {
    insta::assert_snapshot!("created", deployed(false).await.text(&age));
}

fn other(labels: BTreeMap<String, String>, detail: ContainerDetail) -> FullView {
    let container = Container {
        id: "6d7d88".into(),
        name: "trainer".into(),
        image: "pytorch:2".into(),
        image_id: ImageId::new("sha256:1"),
        labels,
        state: detail.state,
        status: String::new(),
        created: NOW - 86_400,
    };
    show(&GpuClaim::from_devices(container, &detail.devices), detail, &[], &context(&BTreeMap::new()))
}

#[test]
fn one_that_failed_is_shown_with_how_it_ended_and_the_old_labels_it_is_read_by() {
    let old =
        labels(&[("aime.mlc.USER", "ann@x"), ("aime.mlc.DS01_MANAGED", "true"), ("aime.mlc.GPUS", "1")]);
    let ended = ContainerDetail {
        state: "exited".into(),
        started: Some(NOW - 86_399),
        finished: Some(NOW - 600),
        exit_code: Some(137),
        out_of_memory: true,
        error: "no such device".into(),
        ports: vec![Port { address: None, host: None, container: 8888 }],
        ..ContainerDetail::default()
    };
    insta::assert_snapshot!("ended", other(old, ended).text(&age));
}

#[test]
fn one_of_another_tool_is_shown_with_what_it_takes_and_no_commands() {
    let all = DeviceRequest { count: -1, capabilities: vec![vec!["gpu".into()]], ..DeviceRequest::default() };
    let detail = ContainerDetail {
        state: "running".into(),
        devices: Devices { requests: vec![all], privileged: true, ..Devices::default() },
        network: Network::Host,
        ..ContainerDetail::default()
    };
    insta::assert_snapshot!("foreign", other(BTreeMap::new(), detail).text(&age));
}

#[test]
fn memory_is_counted_in_powers_of_two() {
    for (bytes, text) in [
        (0, "0 B"),
        (581_632, "568 KiB"),
        (200 << 20, "200 MiB"),
        (16 << 30, "16 GiB"),
        (3 << 29, "1.5 GiB"),
        (2 << 40, "2048 GiB"),
    ] {
        assert_eq!(memory(bytes), text);
    }
}

#[test]
fn cpus_are_written_as_they_are_asked_for() {
    for (number, text) in [(4.0, "4"), (1.5, "1.5"), (0.25, "0.25"), (10.0, "10")] {
        assert_eq!(cpus(number), text);
    }
}
