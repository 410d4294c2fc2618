//! The GPUs of a container, as it was given them or took them. Pure.

use serde::Serialize;

use crate::gpu::claims::Claim;
use crate::model::labels::read;
use crate::model::labels::write::Labels;
use crate::model::labels::{GPU_SLOTS, GPU_UUIDS, GPUS};

/// Characters of a UUID that are shown where no slot is known.
const SHORT_UUID: usize = 12;

/// What a container holds of the machine's GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Held {
    /// Every GPU.
    pub(crate) all: bool,
    /// GPUs below this index.
    pub(crate) first: u32,
    /// `GPU-…` or `MIG-…`.
    pub(crate) uuids: Vec<String>,
    /// `0`, or `0.1` for a MIG instance.
    pub(crate) slots: Vec<String>,
    /// Device files: each is the GPU of that minor number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<String>,
}

impl Held {
    /// With labels that name GPUs both ways, both are told; what else it was
    /// created with comes after them.
    pub(crate) fn new(claim: &Claim, labels: &Labels) -> Self {
        let named = |key| {
            let list = read::text(labels, key).unwrap_or_default().split(',').map(str::trim);
            list.filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let (mut uuids, mut slots) = (named(&GPU_UUIDS), named(&GPU_SLOTS));
        for name in claim.names.iter().filter(|name| *name != "all") {
            let is_uuid = name.starts_with("GPU-") || name.starts_with("MIG-");
            let list = if is_uuid { &mut uuids } else { &mut slots };
            if !list.contains(name) {
                list.push(name.clone());
            }
        }
        let files = claim.minors.iter().map(|minor| format!("/dev/nvidia{minor}")).collect();
        Self { all: claim.all, first: claim.first, uuids, slots, files }
    }

    /// Nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `none`, `0,1`, `1g.10gb 0.1`, `all`, for people. `asked` is the request
    /// as the label has it.
    pub(crate) fn text(&self, asked: Option<&str>) -> String {
        let mut parts = Vec::new();
        // A profile says what a slot is.
        parts.extend(asked.filter(|asked| asked.contains("g.") && !self.is_empty()).map(str::to_owned));
        if self.all {
            parts.push("all".into());
        } else if self.first > 0 {
            parts.push(format!("first {}", self.first));
        }
        if self.slots.is_empty() {
            let short = |uuid: &String| uuid.chars().take(SHORT_UUID).collect::<String>();
            parts.push(self.uuids.iter().map(short).collect::<Vec<_>>().join(","));
        } else {
            parts.push(self.slots.join(","));
        }
        parts.push(self.files.join(","));
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() { "none".into() } else { parts.join(" ") }
    }
}

/// The request: `0`, `2`, `1g.10gb`.
pub(crate) fn asked(labels: &Labels) -> Option<&str> {
    read::text(labels, &GPUS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(labels: &[(&str, &str)]) -> String {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let claim = Claim::from_labels(&labels).unwrap();
        Held::new(&claim, &labels).text(asked(&labels))
    }

    #[test]
    fn gpus_are_told_as_they_were_given() {
        let two = [("ds01.gpus", "2"), ("ds01.gpu.uuids", "GPU-1,GPU-2"), ("ds01.gpu.slots", "0,1")];
        assert_eq!(told(&two), "0,1");
        let slice = [("ds01.gpus", "1g.10gb"), ("ds01.gpu.uuids", "MIG-1"), ("ds01.gpu.slots", "0.1")];
        assert_eq!(told(&slice), "1g.10gb 0.1");
        assert_eq!(told(&[("ds01.gpus", "0")]), "none");
        assert_eq!(told(&[("ds01.gpu_slot", "GPU-0123456789-abc")]), "GPU-01234567");
        assert_eq!(told(&[("ds01.gpu.allocated", "0")]), "0");
    }

    #[test]
    fn a_claim_of_no_label_is_told_as_it_was_made() {
        let none = Labels::new();
        let names = ["GPU-01234567-89ab", "3", "all"].map(str::to_owned).into();
        let held = Held::new(&Claim { names, ..Claim::default() }, &none);
        assert_eq!((held.uuids.len(), held.slots.as_slice()), (1, &["3".to_owned()][..]));
        let text = |claim| Held::new(&claim, &none).text(None);
        assert_eq!(text(Claim { all: true, ..Claim::default() }), "all");
        assert_eq!(text(Claim { first: 2, ..Claim::default() }), "first 2");
        assert_eq!(text(Claim::default()), "none");
    }
}
