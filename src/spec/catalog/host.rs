//! Which architecture class a machine has, from what was found on it.
//!
//! A class is one of CUDA drivers, or a major version of ROCm. Pure: files and
//! variables are read elsewhere.

use std::path::PathBuf;

/// What a machine's architecture class is, or why nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostArch {
    Known {
        arch: String,
        /// `MLC_ARCH`, or the version and the file that has it.
        source: String,
    },
    /// A lowercase fragment.
    Unknown(String),
}

/// Says nothing, for who has no machine at hand.
pub(crate) static NOWHERE: HostArch = HostArch::Unknown(String::new());

/// A file that may name a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionFile {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

/// What was found on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToolkitFiles {
    /// The variable `MLC_ARCH`.
    pub(crate) mlc_arch: Option<String>,
    /// CUDA's `version.json` or `version.txt`.
    pub(crate) cuda: Option<VersionFile>,
    /// ROCm's `.info/version`.
    pub(crate) rocm: Option<VersionFile>,
}

/// The class of a machine: the variable decides, then CUDA, then ROCm.
pub(crate) fn host(clues: &ToolkitFiles) -> HostArch {
    if let Some(arch) = &clues.mlc_arch {
        return HostArch::Known { arch: arch.clone(), source: "MLC_ARCH".into() };
    }
    if let Some(clue) = &clues.cuda {
        return class_of("CUDA", clue, cuda_version(&clue.text), cuda_class);
    }
    if let Some(clue) = &clues.rocm {
        return class_of("ROCm", clue, rocm_version(&clue.text), rocm_class);
    }
    HostArch::Unknown("neither CUDA nor ROCm is installed on this machine".into())
}

fn class_of(what: &str, clue: &VersionFile, version: Option<String>, class: Class) -> HostArch {
    let file = clue.file.display();
    let Some(version) = version else {
        return HostArch::Unknown(format!("{file} names no version of {what}"));
    };
    match class(&version) {
        Some(arch) => HostArch::Known { arch, source: format!("{what} {version}, {file}") },
        None => HostArch::Unknown(format!("{what} {version} ({file}) belongs to no architecture class")),
    }
}

type Class = fn(&str) -> Option<String>;

/// The class of a CUDA version. There is none for 11.9: it was never released,
/// so whoever names it is wrong about more.
fn cuda_class(version: &str) -> Option<String> {
    let class = match numbers(version)? {
        (..=10, _) | (11, ..=8) => "CUDA_AMPERE",
        (11, _) => return None,
        (12, ..=7) => "CUDA_ADA",
        _ => "CUDA_BLACKWELL",
    };
    Some(class.to_owned())
}

/// The class of a ROCm version: its major number.
fn rocm_class(version: &str) -> Option<String> {
    numbers(version).map(|(major, _)| format!("ROCM{major}"))
}

/// Major and minor number, each compared as a number: 12.10 is above 12.8.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().map_or(Ok(0), str::parse).ok()?))
}

/// `{"cuda": {"version": "12.6.3"}}`, or `CUDA Version 11.0.228`.
fn cuda_version(text: &str) -> Option<String> {
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    match json {
        Some(json) => json["cuda"]["version"].as_str().and_then(version_word),
        None => text.lines().next()?.split_whitespace().last().and_then(version_word),
    }
}

/// `6.2.0-66`.
fn rocm_version(text: &str) -> Option<String> {
    text.split_whitespace().next().and_then(version_word)
}

fn version_word(word: &str) -> Option<String> {
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b));
    (plain && word.len() <= 32 && numbers(word).is_some()).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cuda(text: &str) -> HostArch {
        let clue = VersionFile { file: "/c/version".into(), text: text.into() };
        host(&ToolkitFiles { cuda: Some(clue), ..ToolkitFiles::default() })
    }

    fn known(arch: &str, source: &str) -> HostArch {
        HostArch::Known { arch: arch.into(), source: source.into() }
    }

    #[test]
    fn the_class_follows_from_the_cuda_version_part_by_part() {
        for (version, class) in [
            ("9.2", Some("CUDA_AMPERE")),
            ("11.0.228", Some("CUDA_AMPERE")),
            ("11.8", Some("CUDA_AMPERE")),
            ("11.8.89", Some("CUDA_AMPERE")),
            ("11.9", None),
            ("11.10", None),
            ("12", Some("CUDA_ADA")),
            ("12.0", Some("CUDA_ADA")),
            ("12.7.99", Some("CUDA_ADA")),
            ("12.8", Some("CUDA_BLACKWELL")),
            ("12.10.1", Some("CUDA_BLACKWELL")),
            ("13.0", Some("CUDA_BLACKWELL")),
            ("", None),
            ("twelve", None),
            ("12.x", None),
        ] {
            assert_eq!(cuda_class(version).as_deref(), class, "{version}");
        }
        assert_eq!(rocm_class("6.2.0-66").as_deref(), Some("ROCM6"));
        assert_eq!(rocm_class("5.4.2").as_deref(), Some("ROCM5"));
    }

    #[test]
    fn versions_are_found_in_the_files_that_toolkits_leave() {
        let json = r#"{"cuda": {"name": "CUDA SDK", "version": "12.6.3"}, "nvcc": {"version": "12.6.85"}}"#;
        assert_eq!(with_cuda(json), known("CUDA_ADA", "CUDA 12.6.3, /c/version"));
        assert_eq!(with_cuda("CUDA Version 11.0.228\n"), known("CUDA_AMPERE", "CUDA 11.0.228, /c/version"));
        for (text, why) in [
            ("{}", "/c/version names no version of CUDA"),
            ("", "/c/version names no version of CUDA"),
            ("{\"cuda\": {\"version\": 12}}", "/c/version names no version of CUDA"),
            ("CUDA Version 11.9.0", "CUDA 11.9.0 (/c/version) belongs to no architecture class"),
        ] {
            assert_eq!(with_cuda(text), HostArch::Unknown(why.into()), "{text}");
        }
    }

    #[test]
    fn the_variable_is_above_cuda_and_cuda_above_rocm() {
        let clue = |text: &str| Some(VersionFile { file: "/f".into(), text: text.into() });
        let mut clues = ToolkitFiles {
            mlc_arch: Some("CUDA".into()),
            cuda: clue("CUDA Version 12.4"),
            rocm: clue("6.2.0-66\n"),
        };
        assert_eq!(host(&clues), known("CUDA", "MLC_ARCH"));
        clues.mlc_arch = None;
        assert_eq!(host(&clues), known("CUDA_ADA", "CUDA 12.4, /f"));
        clues.cuda = None;
        assert_eq!(host(&clues), known("ROCM6", "ROCm 6.2.0-66, /f"));
        clues.rocm = None;
        assert_eq!(
            host(&clues),
            HostArch::Unknown("neither CUDA nor ROCm is installed on this machine".into())
        );
    }
}
