//! Findings about one image: its labels, the account in it, its settings, and
//! the containers on it.

use super::Severity::{Error, Note, Ok, Warning};
use super::{Finding, count};
use crate::engine::{Container, ImageDetail};
use crate::image::user_layer::{self, BaseFacts, WORKSPACE};
use crate::model::account::Account;
use crate::model::labels::legacy::LEGACY;
use crate::model::labels::read::{self, UserSetup};
use crate::model::labels::{HAS_USER_SETUP, IMAGE, MANAGED, RECIPE};

const CHECK: &str = "image";

/// What its labels say, and whose they are.
pub(crate) fn labels(name: &str, image: &ImageDetail) -> Finding {
    let new = |severity, message: String| Finding::new("labels", severity, name, message);
    let labels = &image.labels;
    let old: Vec<&str> =
        LEGACY.iter().map(|old| old.name).filter(|name| labels.contains_key(*name)).collect();
    if labels.get(MANAGED.name).map(String::as_str) == Some("true") {
        let missing: Vec<&str> =
            [IMAGE, RECIPE].iter().map(|key| key.name).filter(|key| !labels.contains_key(*key)).collect();
        if missing.is_empty() {
            return new(Ok, format!("made by ds01-build as {}", labels[IMAGE.name]));
        }
        return new(Warning, format!("made by ds01-build, and lacks {}", missing.join(", ")))
            .help("whether it is up to date cannot be told: have it built anew");
    }
    if !old.is_empty() {
        return new(Note, format!("made by an older system, by its labels {}", old.join(", ")))
            .help("make it anew with `ds01-build image create`; the old one keeps running until then");
    }
    new(Note, "not made by ds01-build: it has no labels of ours".into())
        .help("`ds01-build deploy` puts its user's account on it; what is in it, its maker knows")
}

/// The account that its labels promise, as far as one can be told by them.
pub(crate) fn setup(name: &str, image: &ImageDetail) -> Result<UserSetup, Box<Finding>> {
    let new = |severity, message| Err(Box::new(Finding::new("account", severity, name, message)));
    match read::user_setup(&image.labels) {
        Some(setup) => Result::Ok(setup),
        None if read::text(&image.labels, &HAS_USER_SETUP) == Some("true") => {
            new(Warning, "its labels say that an account is in it, but not all of whose")
        }
        None => new(Ok, "it is for no user in particular"),
    }
}

/// Whether the account's entries, home and folders are in the image's files.
pub(crate) fn files(name: &str, account: &Account, read: &BaseFacts) -> Finding {
    let new = |severity, message: String| Finding::new("account", severity, name, message);
    match user_layer::verify(read, account) {
        Result::Ok(()) => {
            new(Ok, format!("`{}` (uid {}) has entries, home and workspace", account.name, account.uid))
        }
        Err(fault) => new(Error, format!("the account is not as it should be: {fault}")).help(
            "nothing changes an image: have it built anew with `--force`, and look into its Dockerfile",
        ),
    }
}

/// Whether a container would start as the account, in its home's surroundings.
pub(crate) fn settings(name: &str, account: &Account, image: &ImageDetail) -> Vec<Finding> {
    let wanted = user_layer::config(account);
    let value = |key: &str| {
        let prefix = format!("{key}=");
        image.env.iter().find_map(|pair| pair.strip_prefix(&prefix)).unwrap_or_default().to_owned()
    };
    let mut faults = Vec::new();
    if wanted.user.as_ref().is_some_and(|user| *user != image.user) {
        faults.push(format!("starts as `{}`, not {}:{}", image.user, account.uid, account.gid));
    }
    for (key, wanted) in &wanted.env {
        if value(key) != *wanted {
            faults.push(format!("{key} is `{}`, not {wanted}", value(key)));
        }
    }
    let path = value("PATH");
    for folder in wanted.path_first.iter().filter(|folder| !path.split(':').any(|part| part == *folder)) {
        faults.push(format!("{folder} is not on PATH, so what `pip install --user` brings is not found"));
    }
    if image.workdir != WORKSPACE {
        faults.push(format!("the working folder is `{}`, not {WORKSPACE}", image.workdir));
    }
    if faults.is_empty() {
        return vec![Finding::new(
            "settings",
            Ok,
            name,
            "user, HOME, PATH and working folder are the account's",
        )];
    }
    let new = |fault| Finding::new("settings", Warning, name, fault).help("have the image built anew");
    faults.into_iter().map(new).collect()
}

/// The containers on it, and those of its project that are on another image.
pub(crate) fn containers(name: &str, on_it: &[&Container], behind: &[&Container]) -> Vec<Finding> {
    let listed =
        |all: &[&Container]| all.iter().map(|c| format!("{} ({})", c.name, c.state)).collect::<Vec<_>>();
    let mut findings = vec![match on_it {
        [] => Finding::new("containers", Ok, name, "no container is on it"),
        some => Finding::new("containers", Ok, name, format!("{} on it", count(some.len(), "container")))
            .items(listed(some)),
    }];
    if !behind.is_empty() {
        let message = format!("{} of its project on another image", count(behind.len(), "container"));
        findings.push(
            Finding::new("containers", Note, name, message)
                .items(listed(behind))
                .help("`ds01-build container retire` it and `ds01-build deploy` it again to have this one"),
        );
    }
    findings
}

/// What it is.
pub(crate) fn identity(name: &str, image: &ImageDetail) -> Finding {
    let tags = image.tags.iter().map(ToString::to_string);
    Finding::new(CHECK, Ok, name, format!("{}, {}", image.id, count(image.diff_ids.len(), "layer")))
        .bytes(image.size)
        .items(tags)
}

/// It is not on the engine.
pub(crate) fn absent(name: &str) -> Finding {
    Finding::new(CHECK, Warning, name, "it is not on the engine")
}

/// Whether it is what the spec says; `reasons` why not, none if it is.
pub(crate) fn standing(name: &str, node: &str, reasons: &[String]) -> Finding {
    if reasons.is_empty() {
        return Finding::new("plan", Ok, name, "up to date with the spec");
    }
    Finding::new("plan", Warning, name, "not up to date with the spec")
        .items(reasons.iter().cloned())
        .command(format!("ds01-build build {node}"))
}

/// Whether it is up to date cannot be told.
pub(crate) fn standing_unknown(name: &str, cause: &str) -> Finding {
    Finding::new("plan", Note, name, format!("whether it is up to date is unknown: {cause}"))
}

/// Its files cannot be looked at.
pub(crate) fn unread(name: &str, cause: &str) -> Finding {
    Finding::new("account", Warning, name, format!("its files cannot be read: {cause}"))
}
