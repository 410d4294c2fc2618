//! Packages as exec steps: apt first, since pip may need its headers.
//!
//! Nothing but the packages lands in the layer: lists and downloads lie in
//! caches, and what a step itself needs lies in `/run`, which is in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::Packages;
use super::pip::{is_from_git, is_hashed, name_of, normal_name};
use super::requirements::HASH;
use crate::image::solve::ExecStep;

/// The step's own folder in memory. Scripts, secrets and scratch files are
/// below it, so that not even an empty folder of them stays.
const RUN: &str = "/run";
const CA: &str = "/run/secrets/ca";
const APT_SCRIPT: &str = "/run/ds01/apt-install.sh";
const APT_CONFIG: &str = "/run/ds01/apt.conf";
const APT_AUTH: &str = "/run/secrets/ds01-apt-auth";
const APT_MIRROR: &str = "/run/secrets/ds01-apt-mirror";
const PIP_CACHE: &str = "/run/ds01/pip-cache";
const PIP_CONF: &str = "/run/secrets/ds01-pip-conf";
const REQUIREMENTS: &str = "/run/ds01/requirements.txt";
const CONSTRAINTS: &str = "/run/ds01/constraints.txt";

/// Id of the secret that holds the site's CA certificates.
pub(crate) const CA_SECRET: &str = "ca";
/// Id of the secret that holds [`PackageIndex::pip_conf`](super::Site::pip_conf).
pub(crate) const PIP_CONF_SECRET: &str = "ds01-pip-conf";
/// Id of the secret that holds [`PackageIndex::apt_mirror`](super::Site::apt_mirror).
pub(crate) const APT_MIRROR_SECRET: &str = "ds01-apt-mirror";
/// Id of the secret that holds [`PackageIndex::apt_auth`](super::Site::apt_auth).
pub(crate) const APT_AUTH_SECRET: &str = "ds01-apt-auth";

/// Undoes what container bases set so that downloads are thrown away, for here
/// they lie in a cache.
const APT_CONFIG_TEXT: &str = r#"#clear DPkg::Post-Invoke;
#clear APT::Update::Post-Invoke;
#clear Dir::Cache::pkgcache;
#clear Dir::Cache::srcpkgcache;
Binary::apt-get::APT::Keep-Downloaded-Packages "true";
APT::Keep-Downloaded-Packages "true";
Acquire::Retries "3";
Dpkg::Use-Pty "0";
"#;

/// Where the script puts the sources that name the mirror.
const APT_MIRROR_TEXT: &str = r#"Dir::Etc::sourcelist "/run/ds01-apt/sources.list";
Dir::Etc::sourceparts "/run/ds01-apt/sources.list.d";
"#;

/// Which secrets of the site the steps can have. What they hold is no part of
/// a step, so that another mirror makes no other step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepSettings {
    /// [`CA_SECRET`].
    pub(crate) ca_bundle: bool,
    /// [`PIP_CONF_SECRET`]: the index that pip asks instead of its default.
    pub(crate) pip_index: bool,
    /// [`APT_MIRROR_SECRET`]: what apt asks instead of the distribution's own.
    pub(crate) apt_mirror: bool,
    /// [`APT_AUTH_SECRET`]: the mirror wants a login.
    pub(crate) apt_auth: bool,
}

/// The steps that install these packages; none for none. The caches of apt
/// must be mounted for one step at a time: apt locks them and does not wait.
pub(crate) fn steps(packages: &Packages, settings: &StepSettings) -> Vec<ExecStep> {
    let apt = (!packages.apt.is_empty()).then(|| apt_step(&packages.apt, settings));
    let pip = (!packages.pip.is_empty()).then(|| pip_step(packages, settings));
    apt.into_iter().chain(pip).collect()
}

fn apt_step(packages: &[String], settings: &StepSettings) -> ExecStep {
    let mut config = APT_CONFIG_TEXT.to_owned();
    if settings.ca_bundle {
        config.push_str("Acquire::https::CaInfo \"/run/ds01-ca.pem\";\n");
    }
    if settings.apt_mirror {
        config.push_str(APT_MIRROR_TEXT);
    }
    if settings.apt_auth {
        config.push_str(&format!("Dir::Etc::netrc \"{APT_AUTH}\";\n"));
    }
    let caches = [("/var/cache/apt", "ds01-apt-cache"), ("/var/lib/apt/lists", "ds01-apt-lists")];
    ExecStep {
        title: title("apt install", packages),
        argv: [&["/bin/sh".to_owned(), APT_SCRIPT.to_owned()], packages].concat(),
        env: variables(&[("DEBIAN_FRONTEND", "noninteractive")]),
        caches: variables(&caches),
        secrets: secrets(&[
            (settings.ca_bundle, CA, CA_SECRET),
            (settings.apt_mirror, APT_MIRROR, APT_MIRROR_SECRET),
            (settings.apt_auth, APT_AUTH, APT_AUTH_SECRET),
        ]),
        tmpfs: BTreeSet::from([RUN.to_owned()]),
        files: variables(&[(APT_SCRIPT, include_str!("apt-install.sh")), (APT_CONFIG, &config)]),
        ..ExecStep::default()
    }
}

fn pip_step(packages: &Packages, settings: &StepSettings) -> ExecStep {
    let mut env = variables(&[
        // Debian 12 and Ubuntu 24.04 mark their Python as managed (PEP 668).
        // In an image the system's Python is the one there is.
        ("PIP_BREAK_SYSTEM_PACKAGES", "1"),
        ("PIP_CACHE_DIR", PIP_CACHE),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_NO_INPUT", "1"),
        ("PIP_PROGRESS_BAR", "off"),
        ("PIP_ROOT_USER_ACTION", "ignore"),
        // A base may say where its own user's packages go, and have some there:
        // these are for every account. pip ignores settings that are empty.
        ("PIP_USER", "0"),
        ("PIP_TARGET", ""),
        ("PIP_PREFIX", ""),
        ("PIP_ROOT", ""),
        ("PYTHONNOUSERSITE", "1"),
    ]);
    if settings.ca_bundle {
        env.extend(variables(&[("PIP_CERT", CA), ("REQUESTS_CA_BUNDLE", CA), ("SSL_CERT_FILE", CA)]));
    }
    if settings.pip_index {
        env.extend(variables(&[("PIP_CONFIG_FILE", PIP_CONF)]));
    }
    if packages.pip.iter().chain(&packages.constraints).any(|line| is_from_git(line)) {
        env.extend(variables(&[("GIT_TERMINAL_PROMPT", "0")]));
        if settings.ca_bundle {
            env.extend(variables(&[("GIT_SSL_CAINFO", CA)]));
        }
    }
    let (wanted, files) = wanted(packages);
    let command = ["python3", "-m", "pip", "install"].map(str::to_owned);
    let names: Vec<String> = packages.pip.iter().map(|line| without_hashes(line).to_owned()).collect();
    ExecStep {
        title: title("pip install", &names),
        argv: [&command[..], &wanted].concat(),
        env,
        caches: variables(&[(PIP_CACHE, "ds01-pip")]),
        secrets: secrets(&[
            (settings.ca_bundle, CA, CA_SECRET),
            (settings.pip_index, PIP_CONF, PIP_CONF_SECRET),
        ]),
        tmpfs: BTreeSet::from([RUN.to_owned()]),
        files,
        ..ExecStep::default()
    }
}

/// What pip is to install, in words, and the files that these name. Hashes can
/// stand in a file only, and one of them makes pip demand all.
fn wanted(packages: &Packages) -> (Vec<String>, BTreeMap<String, String>) {
    let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (mut words, mut files) = (Vec::new(), BTreeMap::new());
    if !packages.constraints.is_empty() {
        words.extend(["--constraint", CONSTRAINTS].map(str::to_owned));
        files.insert(CONSTRAINTS.to_owned(), lines(&packages.constraints));
    }
    if packages.pip.iter().any(|line| is_hashed(line)) {
        words.extend(["--require-hashes", "--requirement", REQUIREMENTS].map(str::to_owned));
        files.insert(REQUIREMENTS.to_owned(), lines(&packages.pip));
    } else {
        words.push("--".to_owned());
        words.extend_from_slice(&packages.pip);
    }
    (words, files)
}

fn without_hashes(line: &str) -> &str {
    line.split(HASH).next().unwrap_or(line)
}

fn secrets(wanted: &[(bool, &str, &str)]) -> BTreeMap<String, String> {
    let there = wanted.iter().filter(|(there, ..)| *there);
    there.map(|(_, path, id)| ((*path).to_owned(), (*id).to_owned())).collect()
}

/// `pip install a b c and 4 more`.
fn title(command: &str, packages: &[String]) -> String {
    let (shown, rest) = packages.split_at(packages.len().min(3));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("{command} {}{more}", shown.join(" "))
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

// Which of the declared packages a failing install complains about, read
// from what apt and pip print. Knows names, and nothing of where they stand.

/// What pip and apt say, the names in it as the one group. Names of several
/// stand with commas, `and`, or each with its version.
static SAID: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // pip
        r"satisfies the requirement (\S+)",
        r"No matching distribution found for (\S+)",
        r"Cannot install (.+) because",
        r"The user requested (?:\(constraint\) )?(\S+)",
        r"\(from ([A-Za-z0-9][\w.\[\],-]*?)(?:[=<>!~].*)?(?:->.*)?\)",
        r"Failed building wheel for (\S+)",
        r"Could not build wheels for (.+?), which",
        r"pyproject\.toml based projects \((.+)\)",
        r"Package '(\S+)' requires a different Python",
        r"^\s{4}(\S+)(?: from https?:.*)? \(from -r ",
        r"^\s{4}(\S+) --hash=",
        r"Could not install requirement (\S+)",
        r"(\S+) has inconsistent",
        r"while getting (https://\S+)",
        r"git clone .*?(https://\S+)",
        // apt
        r"Unable to locate package (\S+)",
        r"Version '[^']*' for '([^']+)' was not found",
        r"Package '([^']+)' has no installation candidate",
        r"Couldn't find any package by (?:glob|regex) '([^']+)'",
        r"^ (\S+) : (?:Pre)?Depends:",
    ];
    patterns.iter().map(|pattern| Regex::new(pattern).expect("a fixed pattern")).collect()
});

/// Those of `declared` that the output names as what went wrong, in the order
/// in which it names them. The texts are those of
/// [`Packages`](super::Packages).
pub(crate) fn blamed_packages<'a>(output: &[String], declared: &[&'a str]) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for name in output.iter().flat_map(|line| SAID.iter().flat_map(|said| names(said, line))) {
        for text in declared.iter().filter(|text| means(text, &name)) {
            if !found.contains(text) {
                found.push(text);
            }
        }
    }
    found
}

fn names(said: &Regex, line: &str) -> Vec<String> {
    let Some(list) = said.captures(line).and_then(|found| found.get(1)) else { return Vec::new() };
    let words = list.as_str().split([',', ' ']).map(|word| word.trim_matches(['\'', '"', '(', ')', ':']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a declared text asks for what is called by this name.
fn means(declared: &str, name: &str) -> bool {
    if name.starts_with("https://") {
        let address = |word: &str| {
            let word = word.split('#').next().unwrap_or_default();
            let repository = word.strip_prefix("git+").and_then(|word| Some(word.rsplit_once('@')?.0));
            repository.unwrap_or(word).to_owned()
        };
        return declared.split_whitespace().any(|word| address(word) == address(name));
    }
    // Debian's `name:arch=version`, where `g++` is not `g`.
    let debian = |text: &str| text.split([':', '=']).next().unwrap_or_default().to_owned();
    let (one, other) = (debian(declared), debian(name));
    one == other
        || (!one.ends_with('+')
            && !other.ends_with('+')
            && normal_name(name_of(&one)) == normal_name(name_of(&other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blamed(output: &str, declared: &[&str]) -> Vec<String> {
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        blamed_packages(&lines, declared).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn pip_names_what_it_cannot_find() {
        let said = "ERROR: Could not find a version that satisfies the requirement Scikit_Learn==9 (from versions: 1.0, 1.1)\nERROR: No matching distribution found for Scikit_Learn==9";
        assert_eq!(blamed(said, &["scikit-learn==9", "versions", "no"]), ["scikit-learn==9"]);
    }

    #[test]
    fn a_requirement_is_to_blame_for_what_it_needs() {
        let said = "ERROR: Could not find a version that satisfies the requirement torch>=99 (from timm) (from versions: 2.0)";
        assert_eq!(blamed(said, &["six", "timm>=1 --hash=sha256:00"]), ["timm>=1 --hash=sha256:00"]);
        let deep = "ERROR: Ignored x (from timm[all]==1.0->huggingface-hub)";
        assert_eq!(blamed(deep, &["timm[all]==1.0"]), ["timm[all]==1.0"]);
    }

    #[test]
    fn all_that_conflict_are_named() {
        let said = "ERROR: Cannot install numpy==1.0 and pandas[all]==2.0 because these package versions have conflicting dependencies.";
        let declared = ["because", "numpy==1.0", "pandas[all]==2.0", "six"];
        assert_eq!(blamed(said, &declared), ["numpy==1.0", "pandas[all]==2.0"]);
    }

    #[test]
    fn builds_and_hashes_that_fail_are_traced() {
        assert_eq!(blamed("  ERROR: Failed building wheel for pycairo", &["wheel", "pycairo"]), ["pycairo"]);
        let wheels = "ERROR: Could not build wheels for a, b-c, which is required to install pyproject.toml-based projects";
        assert_eq!(blamed(wheels, &["a", "b-c>=1", "projects"]), ["a", "b-c>=1"]);
        let hash = "    six==1.16.0 from https://host/six.whl (from -r /run/ds01/requirements.txt (line 1)):";
        assert_eq!(blamed(hash, &["six==1.16.0 --hash=sha256:00"]), ["six==1.16.0 --hash=sha256:00"]);
    }

    #[test]
    fn apt_names_what_it_does_not_have() {
        let declared = ["g++", "g", "ffmpg", "curl=9"];
        assert_eq!(blamed("E: Unable to locate package ffmpg", &declared), ["ffmpg"]);
        assert_eq!(blamed("E: Version '9' for 'curl' was not found", &declared), ["curl=9"]);
        assert_eq!(blamed("E: Package 'g++' has no installation candidate", &declared), ["g++"]);
        assert!(blamed("E: Could not get lock /var/lib/apt", &declared).is_empty());
    }
}
