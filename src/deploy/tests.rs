//! The request as a whole, each refusal, and the edge on the fake engine.

mod folders;
mod golden;
mod machine;
mod refusals;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::decide::{HOSTNAME, hostname};
use super::*;
use crate::engine::{Container, CreateContainer, EngineInfo, Port};
use crate::gpu::overview::Overview;
use crate::gpu::request::GpuRequest;
use crate::model::account::Account;
use crate::model::names::{ImageId, Login};
use crate::spec::limits::{GroupLimits, PersonLimits};

struct Case {
    project: ProjectName,
    account: Account,
    limits: PersonLimits,
    mounts: Vec<Mount>,
    asked: DeployOptions,
    gpus: Option<Overview>,
    files: DeviceFiles,
    way: Option<AttachMethod>,
    image: ImageDetail,
    workspace: std::path::PathBuf,
    engine: EngineInfo,
    containers: Vec<Container>,
}

impl Case {
    fn new() -> Self {
        let student = GroupLimits {
            cpus: Some(32.0),
            memory: Some(32 << 30),
            shm_size: Some(16 << 30),
            pids: Some(4096),
            containers: Some(2),
            gpu_equivalents: Some(2.0),
            swap: Some(0),
            ..GroupLimits::default()
        };
        Self {
            project: ProjectName::new("my_thesis.v2"),
            account: Account {
                login: Login::new("h.baker@hertie-school.lan"),
                name: "h-baker".into(),
                uid: 1_722_830_498,
                gid: 1_722_830_499,
                shell: "/bin/bash".into(),
                sudo: false,
                jupyter: None,
            },
            limits: PersonLimits {
                group: "student".into(),
                limits: student,
                own: std::collections::BTreeSet::new(),
                by_default: false,
            },
            mounts: Vec::new(),
            asked: DeployOptions::default(),
            gpus: None,
            files: DeviceFiles::default(),
            way: None,
            image: ImageDetail {
                id: ImageId::new(format!("sha256:{}", "1".repeat(64))),
                tags: Vec::new(),
                labels: labels(&[
                    ("ds01.managed", "true"),
                    ("ds01.image", "h-baker/my_thesis.v2"),
                    ("ds01.build.recipe", "abcd"),
                    ("ds01.framework", "Pytorch-2.8.0-aime"),
                    ("ds01.has_user_setup", "true"),
                    ("ds01.user_id", "1722830498"),
                    ("ds01.group_id", "1722830499"),
                ]),
                env: Vec::new(),
                user: "1722830498:1722830499".into(),
                workdir: mounts::WORKSPACE.into(),
                command: vec!["/bin/bash".into()],
                onbuild: Vec::new(),
                diff_ids: Vec::new(),
                size: 0,
            },
            workspace: "/home/h.baker/workspace/thesis".into(),
            engine: facts(),
            containers: Vec::new(),
        }
    }

    fn request(&self) -> Result<CreateContainer, DeployRefusal> {
        let request = DeployRequest {
            name: self.project.to_string(),
            project: Some(self.project.clone()),
            owner: Owner { account: self.account.clone(), limits: self.limits.clone(), note: None },
            image: self.image.clone(),
            workspace: self.workspace.clone(),
            mounts: self.mounts.clone(),
            options: self.asked.clone(),
        };
        let snapshot = Snapshot {
            engine: self.engine.clone(),
            gaps: EngineGaps { attach: self.way, ..EngineGaps::default() },
            containers: self.containers.clone(),
            claims: Vec::new(),
            gpus: self.gpus.clone(),
            device_files: self.files.clone(),
            now: Timestamp::from_millisecond(1_760_000_000_999).unwrap(),
        };
        decide(&request, &snapshot)
    }

    fn student(&mut self) -> &mut GroupLimits {
        &mut self.limits.limits
    }
}

fn facts() -> EngineInfo {
    EngineInfo {
        version: "20.10.24".into(),
        api: "1.41".into(),
        id: "x".into(),
        root: "/var/lib/docker".into(),
        local: true,
        storage_driver: "overlay2".into(),
        cgroup_driver: "systemd".into(),
        cpus: 24,
        memory: 256 << 30,
        platform: "linux/amd64".into(),
        ..EngineInfo::default()
    }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn container(name: &str, state: &str, pairs: &[(&str, &str)]) -> Container {
    Container {
        id: name.into(),
        name: name.into(),
        image: "x".into(),
        image_id: ImageId::new("sha256:1"),
        labels: labels(pairs),
        state: state.into(),
        status: String::new(),
        created: 0,
    }
}

#[test]
fn everything_is_set_in_one_request() {
    insta::assert_debug_snapshot!(Case::new().request().unwrap());
}

#[test]
fn an_engine_without_systemd_gets_no_slice() {
    let mut case = Case::new();
    case.engine.cgroup_driver = "cgroupfs".into();
    let request = case.request().unwrap();
    assert_eq!(request.cgroup_parent, None);
    assert!(!request.labels.contains_key("ds01.slice"));
}

#[test]
fn cpus_are_capped_to_what_the_engine_has() {
    let mut case = Case::new();
    assert_eq!(case.request().unwrap().cpus, Some(24.0));
    case.student().cpus = Some(1.5);
    assert_eq!(case.request().unwrap().cpus, Some(1.5));
    case.student().cpus = None;
    assert_eq!(case.request().unwrap().cpus, None);
    case.student().cpus = Some(32.0);
    case.engine.cpus = 0;
    assert_eq!(case.request().unwrap().cpus, Some(32.0), "an engine that does not say sets no limit aside");
}

#[test]
fn an_account_with_sudo_keeps_its_privileges() {
    let mut case = Case::new();
    case.account.sudo = true;
    assert!(!case.request().unwrap().no_new_privileges);
}

#[test]
fn an_image_without_a_command_gets_the_account_s_shell() {
    let mut case = Case::new();
    case.image.command.clear();
    assert_eq!(case.request().unwrap().command, Some(vec!["/bin/bash".to_owned()]));
}

#[test]
fn a_limit_of_zero_is_refused() {
    let mut case = Case::new();
    case.student().memory = Some(0);
    assert!(matches!(case.request(), Err(DeployRefusal::ZeroLimit { limit: "memory", .. })));
}

#[test]
fn a_name_that_is_taken_says_what_to_do() {
    let mut case = Case::new();
    let name = "my_thesis.v2._.1722830498";
    case.containers = vec![container(name, "exited", &[])];
    let refusal = case.request().unwrap_err();
    assert_eq!(refusal.to_string(), format!("container `{name}` already exists and is stopped"));
    assert!(refusal.help().contains(&format!("ds01-build container start {name}")));
    case.containers = vec![container(name, "running", &[])];
    let refusal = case.request().unwrap_err();
    assert!(refusal.to_string().ends_with("is running") && !refusal.help().contains("start"));
    assert!(refusal.help().contains(&format!("`ds01-build container retire {name}`")));
}

#[test]
fn the_group_s_number_of_containers_holds_for_the_owner_alone() {
    let mut case = Case::new();
    let mine = [("ds01.managed", "true"), ("ds01.user", "h.baker@hertie-school.lan")];
    let other = [("ds01.managed", "true"), ("ds01.user", "eve")];
    case.containers = vec![
        container("a._.1722830498", "exited", &mine),
        container("b._.1722830498", "running", &other),
        container("c._.17228304981", "running", &[("ds01.managed", "true")]),
        container("d._.1722830498", "running", &[]),
    ];
    assert!(case.request().is_ok());
    case.containers.push(container("e._.1722830498", "running", &[("aime.mlc.DS01_MANAGED", "true")]));
    assert_eq!(
        case.request().unwrap_err().to_string(),
        "group `student` may have 2 containers; there are a._.1722830498, e._.1722830498, and one more is asked for"
    );
    case.student().containers = None;
    assert!(case.request().is_ok());
}

#[test]
fn another_person_s_image_is_refused() {
    let mut case = Case::new();
    case.image.labels.insert("ds01.user_id".into(), "1001".into());
    assert!(matches!(case.request(), Err(DeployRefusal::NotTheirImage { .. })));
}

#[test]
fn an_image_that_looks_like_an_assignment_is_refused() {
    let mut case = Case::new();
    case.image.labels.insert("ds01.gpu.uuid".into(), "GPU-1".into());
    let refusal = case.request().unwrap_err();
    assert!(refusal.to_string().ends_with("labels of a container: ds01.gpu.uuid"), "{refusal}");
}

#[test]
fn a_workspace_must_be_absolute() {
    let mut case = Case::new();
    case.workspace = "work".into();
    assert!(matches!(case.request(), Err(DeployRefusal::Workspace { .. })));
}

#[test]
fn host_names_are_of_their_grammar() {
    assert_eq!(hostname("a_b.c"), "a-b-c");
    assert_eq!(hostname(&"x".repeat(100)).len(), HOSTNAME);
}
