//! Reads the environment, the working folder, the terminal and the machine's
//! version files; nothing else does. Knows no command.

use std::env;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::model::reference::Reference;
use crate::spec::catalog::HostArch;
use crate::spec::catalog::host::{self, ToolkitFiles, VersionFile};
use crate::spec::files::{Disk, Files};
use crate::ui;

pub(super) const PROXY: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

#[expect(clippy::disallowed_methods, reason = "this module is where the environment is read")]
pub(super) fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

pub(super) fn parsed_base((name, image): &(String, String)) -> Option<(String, Reference)> {
    // Checked when the arguments were parsed.
    Some((name.clone(), Reference::parse(image).ok()?))
}

pub(super) fn screen() -> ui::Terminals {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name)).unwrap_or_default();
    ui::Terminals {
        stdout_terminal: std::io::stdout().is_terminal(),
        stderr_terminal: std::io::stderr().is_terminal(),
        ci: var("CI").is_some(),
        dumb: var("TERM").is_none_or(|term| term == "dumb"),
        no_color: var("NO_COLOR").is_some(),
        utf8: locale.to_ascii_lowercase().replace('-', "").contains("utf8"),
        columns: rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col.into()),
    }
}

/// `spec.yml` or `images/spec.yml`, here or in the nearest folder above.
pub(super) fn find_spec(here: &Path) -> Option<PathBuf> {
    here.ancestors()
        .flat_map(|dir| [dir.join("spec.yml"), dir.join("images/spec.yml")])
        .find(|file| file.is_file())
}

/// The files that may have logins to registries, first what counts first.
/// Docker's own, then Podman's: `REGISTRY_AUTH_FILE` alone where that is set,
/// else those of containers/image (`docker/config`) in its order.
pub(super) fn credential_files(
    var: impl Fn(&str) -> Option<String>,
    docker_config: &Path,
    home: &Path,
    uid: u32,
) -> Vec<PathBuf> {
    let mut files = vec![docker_config.join("config.json")];
    match var("REGISTRY_AUTH_FILE") {
        Some(file) => files.push(file.into()),
        None => {
            let runtime = var("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("containers"));
            let config = var("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
            let folders = [
                runtime.unwrap_or_else(|| format!("/run/containers/{uid}").into()),
                config.join("containers"),
            ];
            files.extend(folders.map(|folder| folder.join("auth.json")));
        }
    }
    files
}

/// The branch that a CI system builds, by the variables that it sets: GitHub
/// Actions, GitLab CI, Jenkins. They check out a commit and no branch; of a
/// pull request it is the branch that somebody wants to merge.
pub(super) fn ci_branch(var: impl Fn(&str) -> Option<String>) -> Option<String> {
    let github = || var("GITHUB_REF_NAME").filter(|_| var("GITHUB_REF_TYPE").as_deref() == Some("branch"));
    // Jenkins puts the name of a tag there too.
    let jenkins = || var("BRANCH_NAME").filter(|_| var("TAG_NAME").is_none());
    var("GITHUB_HEAD_REF")
        .or_else(github)
        .or_else(|| var("CI_COMMIT_BRANCH"))
        .or_else(|| var("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"))
        .or_else(|| var("CHANGE_BRANCH"))
        .or_else(jenkins)
        .or_else(|| var("GIT_BRANCH").and_then(|name| remote_branch(&name)))
}

/// A branch as Jenkins' git names it: by the remote that it is from. It says
/// `detached` where it does not know, and tags stand below `refs/tags`.
fn remote_branch(name: &str) -> Option<String> {
    let name = name.strip_prefix("refs/remotes/").or(name.strip_prefix("refs/heads/")).unwrap_or(name);
    let name = name.strip_prefix("origin/").unwrap_or(name);
    (!name.starts_with("refs/") && name != "detached").then(|| name.to_owned())
}

/// CUDA's own place, and Debian's.
const CUDA: [&str; 4] = [
    "usr/local/cuda/version.json",
    "usr/local/cuda/version.txt",
    "usr/lib/cuda/version.json",
    "usr/lib/cuda/version.txt",
];
const ROCM: [&str; 1] = ["opt/rocm/.info/version"];

/// Such a file has some hundred bytes, CUDA's newer ones a few thousand.
const MAX: u64 = 1 << 20;

/// The architecture class of the machine whose file system begins at `root`.
pub(super) fn host_arch(root: &Path, mlc_arch: Option<String>) -> HostArch {
    let first = |files: &[&str]| {
        let clue = |file: PathBuf| {
            let bytes = Disk.read(&file, MAX).ok()?;
            Some(VersionFile { file, text: String::from_utf8_lossy(&bytes).into_owned() })
        };
        files.iter().find_map(|file| clue(root.join(file)))
    };
    host::host(&ToolkitFiles { mlc_arch, cuda: first(&CUDA), rocm: first(&ROCM) })
}

/// The clock: commands ask it, and the core is given the time.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn arch(host: &HostArch) -> &str {
        match host {
            HostArch::Known { arch, .. } => arch,
            HostArch::Unknown(why) => panic!("{why}"),
        }
    }

    #[test]
    fn logins_are_looked_for_where_docker_and_podman_keep_them() {
        let files = |set: &[(&str, &str)]| {
            let var = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            let files = credential_files(var, Path::new("/h/.docker"), Path::new("/h"), 7);
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            files(&[]),
            "/h/.docker/config.json /run/containers/7/auth.json /h/.config/containers/auth.json"
        );
        assert_eq!(
            files(&[("XDG_RUNTIME_DIR", "/run/user/7"), ("XDG_CONFIG_HOME", "/c")]),
            "/h/.docker/config.json /run/user/7/containers/auth.json /c/containers/auth.json"
        );
        assert_eq!(
            files(&[("REGISTRY_AUTH_FILE", "/a"), ("XDG_RUNTIME_DIR", "/r")]),
            "/h/.docker/config.json /a"
        );
    }

    #[test]
    fn the_branch_that_ci_builds_is_found() {
        let branch = |set: &[(&str, &str)]| {
            ci_branch(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
        };
        let github = |kind| branch(&[("GITHUB_REF_TYPE", kind), ("GITHUB_REF_NAME", "main")]);
        assert_eq!((github("branch").as_deref(), github("tag")), (Some("main"), None));
        for (set, expected) in [
            (
                &[("GITHUB_HEAD_REF", "fix"), ("GITHUB_REF_TYPE", "branch"), ("GITHUB_REF_NAME", "7/merge")]
                    [..],
                "fix",
            ),
            (&[("CI_COMMIT_BRANCH", "main")], "main"),
            (&[("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "fix")], "fix"),
            (&[("CHANGE_BRANCH", "fix"), ("BRANCH_NAME", "PR-7")], "fix"),
            (&[("BRANCH_NAME", "main"), ("GIT_BRANCH", "x")], "main"),
            (&[("GIT_BRANCH", "origin/feature/x")], "feature/x"),
            (&[("GIT_BRANCH", "refs/heads/main")], "main"),
        ] {
            assert_eq!(branch(set).as_deref(), Some(expected), "{set:?}");
        }
        for set in [
            &[][..],
            &[("BRANCH_NAME", "v1"), ("TAG_NAME", "v1")],
            &[("GIT_BRANCH", "detached")],
            &[("GIT_BRANCH", "refs/tags/v1")],
        ] {
            assert_eq!(branch(set), None, "{set:?}");
        }
    }

    #[test]
    fn the_files_of_a_machine_are_found() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        assert!(matches!(host_arch(root.path(), None), HostArch::Unknown(_)));
        put("opt/rocm/.info/version", "6.2.0-66\n");
        assert_eq!(arch(&host_arch(root.path(), None)), "ROCM6");
        put("usr/lib/cuda/version.txt", "CUDA Version 11.8.89\n");
        assert_eq!(arch(&host_arch(root.path(), None)), "CUDA_AMPERE");
        put("usr/local/cuda/version.json", r#"{"cuda": {"version": "12.9.1"}}"#);
        assert_eq!(arch(&host_arch(root.path(), None)), "CUDA_BLACKWELL");
        assert_eq!(arch(&host_arch(root.path(), Some("CUDA_ADA".into()))), "CUDA_ADA");
    }
}
