//! Packages as exec steps: apt first, since pip may need its headers.
//!
//! Nothing but the packages lands in the layer: lists and downloads lie in
//! caches, and what a step itself needs lies in `/run`, which is in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::Packages;
use crate::solve::ExecStep;

/// The step's own folder in memory. Scripts, secrets and scratch files are
/// below it, so that not even an empty folder of them stays.
const RUN: &str = "/run";
const CA: &str = "/run/secrets/ca";
const APT_SCRIPT: &str = "/run/ds01/apt-install.sh";
const APT_CONFIG: &str = "/run/ds01/apt.conf";
const PIP_CACHE: &str = "/run/ds01/pip-cache";

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

/// Where packages come from on this site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepSettings {
    /// Whether the secret `ca` holds the site's certificates.
    pub ca_bundle: bool,
    /// Index that pip asks instead of its default.
    pub pip_index: Option<String>,
    /// Mirror that apt asks instead of the distribution's own.
    pub apt_mirror: Option<String>,
}

/// The steps that install these packages; none for none. The caches of apt
/// must be mounted for one step at a time: apt locks them and does not wait.
pub fn steps(packages: &Packages, settings: &StepSettings) -> Vec<ExecStep> {
    let apt = (!packages.apt.is_empty()).then(|| apt_step(&packages.apt, settings));
    let pip = (!packages.pip.is_empty()).then(|| pip_step(&packages.pip, settings));
    apt.into_iter().chain(pip).collect()
}

fn apt_step(packages: &[String], settings: &StepSettings) -> ExecStep {
    let mut env = variables(&[("DEBIAN_FRONTEND", "noninteractive")]);
    env.extend(settings.apt_mirror.iter().map(|mirror| ("DS01_APT_MIRROR".to_owned(), mirror.clone())));
    let mut config = APT_CONFIG_TEXT.to_owned();
    if settings.ca_bundle {
        config.push_str("Acquire::https::CaInfo \"/run/ds01-ca.pem\";\n");
    }
    if settings.apt_mirror.is_some() {
        config.push_str(APT_MIRROR_TEXT);
    }
    let caches = [("/var/cache/apt", "ds01-apt-cache"), ("/var/lib/apt/lists", "ds01-apt-lists")];
    ExecStep {
        title: title("apt install", packages),
        argv: [&["/bin/sh".to_owned(), APT_SCRIPT.to_owned()], packages].concat(),
        env,
        caches: variables(&caches),
        secrets: secrets(settings),
        tmpfs: BTreeSet::from([RUN.to_owned()]),
        files: variables(&[(APT_SCRIPT, include_str!("apt-install.sh")), (APT_CONFIG, &config)]),
    }
}

fn pip_step(packages: &[String], settings: &StepSettings) -> ExecStep {
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
    env.extend(settings.pip_index.iter().map(|index| ("PIP_INDEX_URL".to_owned(), index.clone())));
    let command = ["python3", "-m", "pip", "install", "--"].map(str::to_owned);
    ExecStep {
        title: title("pip install", packages),
        argv: [&command, packages].concat(),
        env,
        caches: variables(&[(PIP_CACHE, "ds01-pip")]),
        secrets: secrets(settings),
        tmpfs: BTreeSet::from([RUN.to_owned()]),
        files: BTreeMap::new(),
    }
}

fn secrets(settings: &StepSettings) -> BTreeMap<String, String> {
    if settings.ca_bundle { variables(&[(CA, "ca")]) } else { BTreeMap::new() }
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
