//! Which GPUs a container claims: by its labels, else by how it was created.
//! Pure. What runs on a GPU is another question.

use crate::engine::{DeviceRequest, Devices};
use crate::labels::read;
use crate::labels::write::Labels;
use crate::labels::{GPU_SLOTS, GPU_UUIDS, GPUS};

/// What decides in a container whose runtime is NVIDIA's.
const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES=";

/// GPUs as a container names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Every GPU of the machine.
    pub all: bool,
    /// GPUs below this index.
    pub first: u32,
    /// UUIDs, indices (`0`), indices of instances (`0.1`, `0:1`).
    pub names: Vec<String>,
}

impl Claim {
    /// Nothing is claimed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn named(list: &str) -> Self {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self { names: names.map(str::to_owned).collect(), ..Self::default() }
    }
}

/// What the labels say, new keys and old; `None`: nothing.
pub fn by_labels(labels: &Labels) -> Option<Claim> {
    if let Some(list) = read::text(labels, &GPU_UUIDS).or_else(|| read::text(labels, &GPU_SLOTS)) {
        return Some(Claim::named(list));
    }
    (read::text(labels, &GPUS) == Some("0")).then(Claim::default)
}

/// What the container was created with.
pub fn by_devices(devices: &Devices) -> Claim {
    let requests: Vec<_> = devices.requests.iter().filter(|request| is_for_gpus(request)).collect();
    if requests.is_empty() {
        return by_runtime(devices);
    }
    let mut claim = Claim::default();
    for request in requests {
        let names = request.ids.iter().map(|id| id.strip_prefix("nvidia.com/gpu=").unwrap_or(id));
        claim.names.extend(names.map(str::to_owned));
        claim.all |= request.count < 0;
        // NVIDIA's driver in the engine takes the first ones.
        claim.first = claim.first.max(request.count.try_into().unwrap_or(0));
    }
    claim.all |= claim.names.iter().any(|name| name == "all");
    claim
}

fn is_for_gpus(request: &DeviceRequest) -> bool {
    match request.driver.as_str() {
        "nvidia" => true,
        "cdi" => request.ids.iter().any(|id| id.starts_with("nvidia.com/gpu=")),
        "" => request.capabilities.iter().flatten().any(|word| word == "gpu" || word == "nvidia"),
        _ => false,
    }
}

fn by_runtime(devices: &Devices) -> Claim {
    if !devices.runtime.contains("nvidia") {
        return Claim::default();
    }
    let visible = devices.env.iter().rev().find_map(|pair| pair.strip_prefix(VISIBLE));
    match visible.unwrap_or_default() {
        "" | "void" | "none" => Claim::default(),
        "all" => Claim { all: true, ..Claim::default() },
        list => Claim::named(&list.replace("nvidia.com/gpu=", "")),
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
        assert_eq!(by_labels(&new), Some(names(&["GPU-1", "GPU-2"])));
        assert_eq!(by_labels(&labels(&[("ds01.gpu.uuid", "MIG-1")])), Some(names(&["MIG-1"])));
        assert_eq!(by_labels(&labels(&[("ds01.gpu_slot", "GPU-1")])), Some(names(&["GPU-1"])));
        assert_eq!(by_labels(&labels(&[("ds01.gpu.allocated", "0.1")])), Some(names(&["0.1"])));
        assert_eq!(by_labels(&labels(&[("ds01.gpus", "0")])), Some(Claim::default()));
    }

    #[test]
    fn labels_that_do_not_say_which_gpu_say_nothing() {
        assert_eq!(by_labels(&labels(&[("ds01.gpus", "2")])), None);
        assert_eq!(by_labels(&labels(&[("aime.mlc.GPUS", "all")])), None);
        assert_eq!(by_labels(&labels(&[])), None);
    }

    #[test]
    fn a_request_for_devices_is_read_as_the_engine_reads_it() {
        let claim = |requests: Vec<DeviceRequest>| by_devices(&Devices { requests, ..Devices::default() });
        let all = Claim { all: true, ..Claim::default() };
        assert_eq!(claim(vec![request("", -1, &[], "gpu")]), all);
        assert_eq!(claim(vec![request("nvidia", 2, &[], "")]), Claim { first: 2, ..Claim::default() });
        assert_eq!(claim(vec![request("", 0, &["GPU-1", "0:1"], "gpu")]), names(&["GPU-1", "0:1"]));
        assert_eq!(claim(vec![request("cdi", 0, &["nvidia.com/gpu=3"], "")]), names(&["3"]));
        assert!(claim(vec![request("cdi", 0, &["nvidia.com/gpu=all"], "")]).all);
        assert!(claim(vec![request("cdi", 0, &["vendor.com/nic=1"], "")]).is_empty());
        assert!(claim(vec![request("amd", -1, &[], "gpu")]).is_empty());
        assert!(claim(Vec::new()).is_empty());
    }

    #[test]
    fn the_environment_counts_with_nvidias_runtime_only() {
        let claim = |runtime: &str, value: &str| {
            let env = vec!["NVIDIA_VISIBLE_DEVICES=all".to_owned(), format!("{VISIBLE}{value}")];
            by_devices(&Devices { runtime: runtime.into(), env, ..Devices::default() })
        };
        assert!(claim("nvidia", "all").all);
        assert_eq!(claim("nvidia-experimental", "0,GPU-2"), names(&["0", "GPU-2"]));
        for (runtime, value) in [("runc", "all"), ("nvidia", "void"), ("nvidia", "none"), ("nvidia", "")] {
            assert!(claim(runtime, value).is_empty(), "{runtime} {value}");
        }
        // With a request the engine sets the variable by that.
        let requested = Devices {
            requests: vec![request("", 0, &["1"], "gpu")],
            runtime: "nvidia".into(),
            env: vec!["NVIDIA_VISIBLE_DEVICES=all".into()],
        };
        assert_eq!(by_devices(&requested), names(&["1"]));
    }
}
