//! Which GPUs each container claims: by its labels, by what it was created
//! with, or by both. The only reader of claims. Knows no machine: what a name
//! means there, and what runs on a GPU, are other questions.
//!
//! Labels count wherever they stand and whoever wrote them. They say all there
//! is of a managed container only: of any other, what it was created with
//! counts too, so that a label can add a GPU and never hide one.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::attach::{CDI, VISIBLE};
use crate::engine::{Container, DeviceRequest, Devices, Engine, Error};
use crate::model::labels::read;
use crate::model::labels::write::Labels;
use crate::model::labels::{GPU_SLOTS, GPU_UUIDS, GPUS};

/// Questions at once.
const AT_ONCE: usize = 16;

/// What a request without a driver's name may ask for to get NVIDIA's.
const CAPABILITIES: [&str; 8] =
    ["gpu", "nvidia", "compute", "compat32", "graphics", "utility", "video", "display"];

/// GPUs as a container names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Every GPU of the machine.
    pub(crate) all: bool,
    /// GPUs below this index.
    pub(crate) first: u32,
    /// UUIDs, indices (`0`), indices of instances (`0.1`, `0:1`).
    pub(crate) names: Vec<String>,
    /// Whole GPUs by the minor numbers of their device files, `/dev/nvidia0`.
    /// To compute on an instance takes files of its own, which say nothing
    /// lasting of which: its processes do.
    pub(crate) minors: Vec<u32>,
}

impl Claim {
    /// Nothing is claimed.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What labels say, new keys and old; `None`: nothing.
    pub(crate) fn from_labels(labels: &Labels) -> Option<Self> {
        if let Some(list) = read::text(labels, &GPU_UUIDS).or_else(|| read::text(labels, &GPU_SLOTS)) {
            let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
            return Some(Self { names: names.map(str::to_owned).collect(), ..Self::default() });
        }
        (read::text(labels, &GPUS) == Some("0")).then(Self::default)
    }

    /// What a container was created with.
    pub(crate) fn from_devices(devices: &Devices) -> Self {
        let mut claim = by_requests(devices).unwrap_or_else(|| by_runtime(devices));
        for file in &devices.files {
            // A folder is all that is in it.
            claim.all |= file.trim_end_matches('/') == "/dev";
            let minor = file.strip_prefix("/dev/nvidia").and_then(|minor| minor.parse::<u32>().ok());
            claim.minors.extend(minor);
        }
        claim
    }

    /// What both say.
    fn and(mut self, other: Self) -> Self {
        let more: Vec<_> = other.names.into_iter().filter(|name| !self.names.contains(name)).collect();
        self.names.extend(more);
        self.minors.extend(other.minors);
        Self { all: self.all || other.all, first: self.first.max(other.first), ..self }
    }
}

/// By what a claim, or the use of a GPU, is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClaimSource {
    /// Labels; of what is not managed also what it was created with.
    Labels,
    /// What it was created with; its labels say nothing.
    Request,
    /// A process of its computes on it.
    Process,
}

/// A container and what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GpuClaim {
    pub(crate) container: Container,
    pub(crate) claim: Claim,
    /// `None`: nothing says so. It is stopped, and may never run again.
    pub(crate) source: Option<ClaimSource>,
    /// It has every device of the machine without having asked for one. That
    /// is no claim: what it computes on shows by its processes.
    pub(crate) privileged: bool,
}

impl GpuClaim {
    /// What the list of containers says; `None`: the container has to be
    /// inspected. One that is stopped keeps what its labels name, since it may
    /// be started again; without such labels nothing says that it ever will.
    pub(crate) fn from_list(container: &Container) -> Option<Self> {
        let labels = Claim::from_labels(&container.labels);
        let settled = labels.is_some() && container.is_managed() || container.state.has_ended();
        let source = labels.is_some().then_some(ClaimSource::Labels);
        let claim = labels.unwrap_or_default();
        settled.then(|| Self { container: container.clone(), claim, source, privileged: false })
    }

    /// What a container claims of which all is known; one that is stopped, what
    /// it will claim when it is started.
    pub(crate) fn from_devices(container: Container, devices: &Devices) -> Self {
        let created = Claim::from_devices(devices);
        let (claim, source) = match Claim::from_labels(&container.labels) {
            Some(claim) if container.is_managed() => (claim, ClaimSource::Labels),
            Some(claim) => (claim.and(created), ClaimSource::Labels),
            None => (created, ClaimSource::Request),
        };
        Self { container, claim, source: Some(source), privileged: devices.privileged }
    }
}

/// What every container of an engine claims, in the order of its list.
///
/// # Errors
/// The engine cannot be asked.
pub(crate) async fn read_all(engine: &dyn Engine) -> Result<Vec<GpuClaim>, Error> {
    read_again(engine, &[]).await
}

/// The same after an earlier reading: one list, and questions only about
/// containers that are new or ran again since, for what a container was
/// created with never changes.
///
/// # Errors
/// As [`read_all`].
pub(crate) async fn read_again(engine: &dyn Engine, earlier: &[GpuClaim]) -> Result<Vec<GpuClaim>, Error> {
    read_of(engine, engine.containers().await?, earlier).await
}

/// What these containers claim. One that is gone by now is left out.
///
/// # Errors
/// As [`read_all`].
pub(crate) async fn read_of(
    engine: &dyn Engine,
    containers: Vec<Container>,
    earlier: &[GpuClaim],
) -> Result<Vec<GpuClaim>, Error> {
    let claims = stream::iter(containers).map(|container| async move {
        if let Some(listed) = GpuClaim::from_list(&container) {
            return Ok(Some(listed));
        }
        let before = earlier.iter().find(|one| one.container.id == container.id);
        if let Some(one) = before.filter(|one| !one.container.state.has_ended()) {
            return Ok(Some(GpuClaim { container, ..one.clone() }));
        }
        let detail = engine.container(&container.id).await?;
        Ok(detail.map(|detail| GpuClaim::from_devices(container, &detail.devices)))
    });
    claims.buffered(AT_ONCE).try_filter_map(|claim| async move { Ok(claim) }).try_collect().await
}

/// `None`: there are none that give anything, so the runtime is as without.
fn by_requests(devices: &Devices) -> Option<Claim> {
    let gives = |request: &&DeviceRequest| request.count != 0 || !request.ids.is_empty();
    let requests: Vec<_> = devices.requests.iter().filter(|one| is_for_gpus(one)).filter(gives).collect();
    if requests.is_empty() {
        return None;
    }
    let mut claim = Claim::default();
    for request in requests {
        claim.names.extend(request.ids.iter().map(|id| plain(id)));
        claim.all |= request.count < 0;
        // NVIDIA's driver in the engine takes the first ones.
        claim.first = claim.first.max(request.count.try_into().unwrap_or(0));
    }
    claim.all |= claim.names.iter().any(|name| name == "all");
    Some(claim)
}

fn is_for_gpus(request: &DeviceRequest) -> bool {
    let known = |words: &Vec<String>| words.iter().all(|word| CAPABILITIES.contains(&word.as_str()));
    match request.driver.as_str() {
        "nvidia" | "nvidia.cdi" | "nvidia.runtime-hook" => true,
        "cdi" => request.ids.iter().any(|id| id.starts_with(CDI)),
        "" => request.capabilities.iter().any(known),
        _ => false,
    }
}

/// A CDI name without its kind, `gpu0` and `mig0:1` as `0` and `0:1`.
fn plain(id: &str) -> String {
    let name = id.strip_prefix(CDI).unwrap_or(id);
    let typed = name.strip_prefix("gpu").or_else(|| name.strip_prefix("mig"));
    let typed = typed.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    typed.unwrap_or(name).to_owned()
}

/// As NVIDIA's runtime reads the environment.
fn by_runtime(devices: &Devices) -> Claim {
    if !devices.runtime.contains("nvidia") {
        return Claim::default();
    }
    let value = |name: &str| {
        let pairs = devices.env.iter().rev().filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let all = Claim { all: true, ..Claim::default() };
    let Some(visible) = value(VISIBLE) else {
        // An image from before NVIDIA_REQUIRE_CUDA gets every GPU unasked.
        let has = |name: &str| value(name).is_some_and(|value| !value.is_empty());
        return if has("CUDA_VERSION") && !has("NVIDIA_REQUIRE_CUDA") { all } else { Claim::default() };
    };
    let words: Vec<_> = visible.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.contains(&"void") {
        return Claim::default();
    }
    match words.iter().find(|word| matches!(**word, "all" | "none")) {
        Some(&"all") => all,
        Some(_) => Claim::default(),
        None => Claim { names: words.into_iter().map(plain).collect(), ..Claim::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn names(names: &[&str]) -> Claim {
        Claim { names: names.iter().map(|name| (*name).to_owned()).collect(), ..Claim::default() }
    }

    fn request(driver: &str, count: i64, ids: &[&str], capability: &str) -> DeviceRequest {
        DeviceRequest {
            driver: driver.into(),
            count,
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            capabilities: vec![vec![capability.into()]],
        }
    }

    #[test]
    fn labels_of_both_generations_say_what_is_claimed() {
        let new = labels(&[("ds01.gpu.uuids", "GPU-1, GPU-2"), ("ds01.gpu.slots", "0,1")]);
        assert_eq!(Claim::from_labels(&new), Some(names(&["GPU-1", "GPU-2"])));
        assert_eq!(Claim::from_labels(&labels(&[("ds01.gpu.uuid", "MIG-1")])), Some(names(&["MIG-1"])));
        assert_eq!(Claim::from_labels(&labels(&[("ds01.gpu_slot", "GPU-1")])), Some(names(&["GPU-1"])));
        assert_eq!(Claim::from_labels(&labels(&[("ds01.gpu.allocated", "0.1")])), Some(names(&["0.1"])));
        assert_eq!(Claim::from_labels(&labels(&[("ds01.gpus", "0")])), Some(Claim::default()));
    }

    #[test]
    fn labels_that_do_not_say_which_gpu_say_nothing() {
        assert_eq!(Claim::from_labels(&labels(&[("ds01.gpus", "2")])), None);
        assert_eq!(Claim::from_labels(&labels(&[("aime.mlc.GPUS", "all")])), None);
        assert_eq!(Claim::from_labels(&labels(&[])), None);
    }

    #[test]
    fn a_request_for_devices_is_read_as_the_engine_reads_it() {
        let claim =
            |requests: Vec<DeviceRequest>| Claim::from_devices(&Devices { requests, ..Devices::default() });
        let all = Claim { all: true, ..Claim::default() };
        assert_eq!(claim(vec![request("", -1, &[], "gpu")]), all);
        assert_eq!(claim(vec![request("nvidia", 2, &[], "")]), Claim { first: 2, ..Claim::default() });
        assert_eq!(claim(vec![request("", 0, &["GPU-1", "0:1"], "gpu")]), names(&["GPU-1", "0:1"]));
        assert_eq!(claim(vec![request("cdi", 0, &["nvidia.com/gpu=3"], "")]), names(&["3"]));
        assert!(claim(vec![request("cdi", 0, &["nvidia.com/gpu=all"], "")]).all);
        assert!(claim(vec![request("cdi", 0, &["vendor.com/nic=1"], "")]).is_empty());
        assert!(claim(vec![request("amd", -1, &[], "gpu")]).is_empty());
        assert!(claim(Vec::new()).is_empty());
        assert_eq!(claim(vec![request("cdi", 0, &["nvidia.com/gpu=gpu3"], "")]), names(&["3"]));
        assert_eq!(claim(vec![request("cdi", 0, &["nvidia.com/gpu=mig3:1"], "")]), names(&["3:1"]));
        assert_eq!(claim(vec![request("nvidia.cdi", -1, &[], "")]), all);
        assert_eq!(claim(vec![request("", -1, &[], "compute")]), all);
        assert!(claim(vec![request("", -1, &[], "tpu")]).is_empty());
    }

    #[test]
    fn device_files_are_whole_gpus_by_their_minor_number() {
        let claim = |files: &[&str]| {
            let files = files.iter().map(|file| (*file).to_owned()).collect();
            Claim::from_devices(&Devices { files, ..Devices::default() })
        };
        let minors = |minors: &[u32]| Claim { minors: minors.to_vec(), ..Claim::default() };
        assert_eq!(claim(&["/dev/nvidia0", "/dev/nvidia12", "/dev/nvidiactl"]), minors(&[0, 12]));
        assert!(claim(&["/dev/nvidia-uvm", "/dev/nvidia-caps/nvidia-cap21", "/dev/fuse"]).is_empty());
        assert!(claim(&["/dev/"]).all, "a folder is given with all that is in it");
        let privileged = Devices { privileged: true, ..Devices::default() };
        assert!(Claim::from_devices(&privileged).is_empty(), "what it may have is no claim");
    }

    #[test]
    fn the_environment_counts_with_nvidias_runtime_only() {
        let claim = |runtime: &str, value: &str| {
            let env = vec!["NVIDIA_VISIBLE_DEVICES=all".to_owned(), format!("{VISIBLE}={value}")];
            Claim::from_devices(&Devices { runtime: runtime.into(), env, ..Devices::default() })
        };
        assert!(claim("nvidia", "all").all);
        assert_eq!(claim("nvidia-experimental", "0,GPU-2"), names(&["0", "GPU-2"]));
        for (runtime, value) in [("runc", "all"), ("nvidia", "void"), ("nvidia", "none"), ("nvidia", "")] {
            assert!(claim(runtime, value).is_empty(), "{runtime} {value}");
        }
        assert!(claim("nvidia", "0,void").is_empty());
        assert!(claim("nvidia", "0,all").all);
        let image = |env: &[&str]| {
            let env = env.iter().map(|pair| (*pair).to_owned()).collect();
            Claim::from_devices(&Devices { runtime: "nvidia".into(), env, ..Devices::default() })
        };
        assert!(image(&["CUDA_VERSION=8.0.61"]).all, "an old image of CUDA gets all of them");
        assert!(image(&["CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=cuda>=12.4"]).is_empty());
        assert!(image(&["CUDA_VERSION=8.0.61", "NVIDIA_VISIBLE_DEVICES="]).is_empty());
        // A request for nothing leaves it to the environment.
        let nothing = Devices {
            requests: vec![request("nvidia", 0, &[], "gpu")],
            runtime: "nvidia".into(),
            env: vec!["NVIDIA_VISIBLE_DEVICES=all".into()],
            ..Devices::default()
        };
        assert!(Claim::from_devices(&nothing).all);
        // With a request the engine sets the variable by that.
        let requested = Devices {
            requests: vec![request("", 0, &["1"], "gpu")],
            runtime: "nvidia".into(),
            env: vec!["NVIDIA_VISIBLE_DEVICES=all".into()],
            ..Devices::default()
        };
        assert_eq!(Claim::from_devices(&requested), names(&["1"]));
    }
}
