//! The AIME catalogue: framework, version and architecture to an image.
//!
//! The rows known when this was written, newest first for each framework and
//! architecture. They carry no digests; `spec.lock` pins what was built on.

/// One row.
struct Row {
    framework: &'static str,
    version: &'static str,
    /// CUDA driver classes or ROCm major versions.
    archs: &'static [&'static str],
    image: &'static str,
}

const fn row(
    framework: &'static str,
    version: &'static str,
    archs: &'static [&'static str],
    image: &'static str,
) -> Row {
    Row { framework, version, archs, image }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("Pytorch", "2.9.1", &["CUDA_BLACKWELL"], "aimehub/pytorch-2.9.1-cuda12.8.1"),
    row("Pytorch", "2.8.0-aime", &["CUDA_ADA"], "aimehub/pytorch-2.8.0-aime-cuda12.6.3"),
    row("Pytorch", "2.7.1-aime", &["CUDA_AMPERE"], "aimehub/pytorch-2.7.1-aime-cuda11.8.0"),
    row("Pytorch", "2.6.0", &["ROCM6"], "aimehub/pytorch-2.6.0-rocm6.2"),
    row("Pytorch", "2.5.1", &["CUDA_ADA"], "aimehub/pytorch-2.5.1-aime-cuda12.1.1"),
    row("Tensorflow", "2.16.1", &["CUDA_ADA"], "aimehub/tensorflow-2.16.1-cuda12.3"),
    row("Tensorflow", "2.14.0", &["CUDA_AMPERE"], "aimehub/tensorflow-2.14.0-cuda11.8"),
    row("Mxnet", "1.6.0", &["CUDA"], "aimehub/mxnet-1.6.0-cuda"),
    row("ROCM", "5.4.2", &["ROCM5"], "rocm/dev-ubuntu-20.04:5.4.2-complete"),
];

/// A row that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// As the catalogue writes them.
    pub framework: &'static str,
    pub version: &'static str,
    pub arch: &'static str,
    /// A reference; without a tag it means `latest`.
    pub image: &'static str,
}

/// Which part of a request the catalogue does not have, and what it has instead.
#[derive(Debug, PartialEq, Eq)]
pub enum Miss {
    Framework(Vec<&'static str>),
    /// Architectures of the framework.
    Arch(Vec<&'static str>),
    /// Versions of the framework for the architecture, newest first.
    Version(Vec<&'static str>),
}

/// Looks an image up. Frameworks and architectures match in any case;
/// `latest` is the first row of the framework and architecture.
///
/// # Errors
/// Says which part is unknown and which ones are known.
pub fn lookup(framework: &str, version: &str, arch: &str) -> Result<Found, Miss> {
    find(ROWS, framework, version, arch)
}

fn find(rows: &'static [Row], framework: &str, version: &str, arch: &str) -> Result<Found, Miss> {
    let of_framework: Vec<&Row> =
        rows.iter().filter(|row| row.framework.eq_ignore_ascii_case(framework)).collect();
    if of_framework.is_empty() {
        return Err(Miss::Framework(distinct(rows.iter().map(|row| row.framework))));
    }
    let of_arch: Vec<(&Row, &'static str)> =
        of_framework.iter().filter_map(|row| Some((*row, row.arch(arch)?))).collect();
    if of_arch.is_empty() {
        return Err(Miss::Arch(distinct(of_framework.iter().flat_map(|row| row.archs.iter().copied()))));
    }
    let mut fitting = of_arch.iter().filter(|(row, _)| version == "latest" || row.version == version);
    match fitting.next() {
        Some((row, arch)) => {
            Ok(Found { framework: row.framework, version: row.version, arch, image: row.image })
        }
        None => Err(Miss::Version(distinct(of_arch.iter().map(|(row, _)| row.version)))),
    }
}

impl Row {
    fn arch(&self, arch: &str) -> Option<&'static str> {
        self.archs.iter().copied().find(|known| known.eq_ignore_ascii_case(arch))
    }
}

fn distinct(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;

    #[test]
    fn every_row_is_a_reference() {
        for row in ROWS {
            assert!(Reference::parse(row.image).is_ok(), "{}", row.image);
        }
    }

    #[test]
    fn latest_is_the_first_row_of_the_architecture() {
        let version = |framework, arch| lookup(framework, "latest", arch).unwrap().version;
        assert_eq!(version("Pytorch", "CUDA_ADA"), "2.8.0-aime");
        assert_eq!(version("pytorch", "cuda_ampere"), "2.7.1-aime");
        assert_eq!(version("ROCM", "ROCM5"), "5.4.2");
    }

    #[test]
    fn latest_also_looks_into_rows_with_several_architectures() {
        const ROWS: &[Row] = &[row("F", "2", &["A", "B"], "x/two"), row("F", "1", &["B"], "x/one")];
        assert_eq!(find(ROWS, "F", "latest", "B").unwrap().image, "x/two");
        assert_eq!(find(ROWS, "F", "1", "B").unwrap().image, "x/one");
    }

    #[test]
    fn a_miss_lists_what_there_is() {
        assert_eq!(
            lookup("Jax", "1", "CUDA"),
            Err(Miss::Framework(vec!["Pytorch", "Tensorflow", "Mxnet", "ROCM"]))
        );
        assert_eq!(lookup("Tensorflow", "latest", "ROCM6"), Err(Miss::Arch(vec!["CUDA_ADA", "CUDA_AMPERE"])));
        assert_eq!(lookup("Pytorch", "9.9", "CUDA_ADA"), Err(Miss::Version(vec!["2.8.0-aime", "2.5.1"])));
    }
}
