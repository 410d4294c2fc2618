//! Packages as exec steps: apt first, since pip may need its headers.
//!
//! Nothing but the packages lands in the layer: lists and downloads lie in
//! caches, and what a step itself needs lies in `/run`, which is in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::Packages;
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
/// Id of the secret that holds [`Site::pip_conf`](super::Site::pip_conf).
pub(crate) const PIP_CONF_SECRET: &str = "ds01-pip-conf";
/// Id of the secret that holds [`Site::apt_mirror`](super::Site::apt_mirror).
pub(crate) const APT_MIRROR_SECRET: &str = "ds01-apt-mirror";
/// Id of the secret that holds [`Site::apt_auth`](super::Site::apt_auth).
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
    ]);
    if settings.ca_bundle {
        env.extend(variables(&[("PIP_CERT", CA), ("REQUESTS_CA_BUNDLE", CA), ("SSL_CERT_FILE", CA)]));
    }
    if settings.pip_index {
        env.extend(variables(&[("PIP_CONFIG_FILE", PIP_CONF)]));
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
    if packages.pip.iter().any(|line| super::is_hashed(line)) {
        words.extend(["--require-hashes", "--requirement", REQUIREMENTS].map(str::to_owned));
        files.insert(REQUIREMENTS.to_owned(), lines(&packages.pip));
    } else {
        words.push("--".to_owned());
        words.extend_from_slice(&packages.pip);
    }
    (words, files)
}

fn without_hashes(line: &str) -> &str {
    line.split(super::requirements::HASH).next().unwrap_or(line)
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
