//! Findings about one image: its labels, the account in it, its settings, and
//! the containers on it.

use super::{Check, Finding, count};
use crate::engine::{Container, ImageDetail};
use crate::image::user_layer::{self, BaseFacts, WORKSPACE};
use crate::model::account::Account;
use crate::model::labels::LEGACY;
use crate::model::labels::read::{self, UserSetup};
use crate::model::labels::{HAS_USER_SETUP, IMAGE, MANAGED, RECIPE};

/// What its labels say, and whose they are.
pub(crate) fn labels(name: &str, image: &ImageDetail) -> Finding {
    let check = Check::of("labels", name);
    let labels = &image.labels;
    if labels.get(MANAGED.name).map(String::as_str) == Some("true") {
        let missing: Vec<&str> =
            [IMAGE, RECIPE].iter().map(|key| key.name).filter(|key| !labels.contains_key(*key)).collect();
        if missing.is_empty() {
            return check.ok(format!("made by ds01-build as {}", labels[IMAGE.name]));
        }
        return check
            .warning(format!("made by ds01-build, and lacks {}", missing.join(", ")))
            .help("whether it is up to date cannot be told: have it built anew");
    }
    let old: Vec<&str> =
        LEGACY.iter().map(|old| old.name).filter(|name| labels.contains_key(*name)).collect();
    if !old.is_empty() {
        return check
            .note(format!("made by an older system, by its labels {}", old.join(", ")))
            .help("make it anew with `ds01-build image create`; the old one keeps running until then");
    }
    check
        .note("not made by ds01-build: it has no labels of ours")
        .help("`ds01-build deploy` puts its user's account on it; what is in it, its maker knows")
}

/// The account that its labels promise, as far as one can be told by them.
pub(crate) fn setup(name: &str, image: &ImageDetail) -> Result<UserSetup, Box<Finding>> {
    let check = Check::of("account", name);
    match read::user_setup(&image.labels) {
        Some(setup) => Ok(setup),
        None if read::text(&image.labels, &HAS_USER_SETUP) == Some("true") => {
            Err(Box::new(check.warning("its labels say that an account is in it, but not all of whose")))
        }
        None => Err(Box::new(check.ok("it is for no user in particular"))),
    }
}

/// Whether the account's entries, home and folders are in the image's files.
/// `Err`: why these cannot be read.
pub(crate) fn files(name: &str, account: &Account, files: Result<&BaseFacts, String>) -> Finding {
    let check = Check::of("account", name);
    let files = match files {
        Ok(files) => files,
        Err(cause) => return check.warning(format!("its files cannot be read: {cause}")),
    };
    match user_layer::verify(files, account) {
        Ok(()) => {
            check.ok(format!("`{}` (uid {}) has entries, home and workspace", account.name, account.uid))
        }
        Err(fault) => check.error(format!("the account is not as it should be: {fault}")).help(
            "nothing changes an image: have it built anew with `--force`, and look into its Dockerfile",
        ),
    }
}

/// Whether a container would start as the account, with its home, PATH and folder.
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
    let check = Check::of("settings", name);
    if faults.is_empty() {
        return vec![check.ok("user, HOME, PATH and working folder are the account's")];
    }
    faults.into_iter().map(|fault| check.warning(fault).help("have the image built anew")).collect()
}

/// The containers on it, and those of its project that are on another image.
pub(crate) fn containers(name: &str, on_it: &[&Container], behind: &[&Container]) -> Vec<Finding> {
    let check = Check::of("containers", name);
    let listed = |all: &[&Container]| -> Vec<String> {
        all.iter().map(|c| format!("{} ({})", c.name, c.state)).collect()
    };
    let mut findings = vec![match on_it {
        [] => check.ok("no container is on it"),
        some => check.ok(format!("{} on it", count(some.len(), "container"))).items(listed(some)),
    }];
    if !behind.is_empty() {
        findings.push(
            check
                .note(format!("{} of its project on another image", count(behind.len(), "container")))
                .items(listed(behind))
                .help("`ds01-build container retire` it and `ds01-build deploy` it again to have this one"),
        );
    }
    findings
}

/// What it is. `None`: it is not on the engine.
pub(crate) fn identity(name: &str, image: Option<&ImageDetail>) -> Finding {
    let check = Check::of("image", name);
    let Some(image) = image else { return check.warning("it is not on the engine") };
    check
        .ok(format!("{}, {}", image.id, count(image.diff_ids.len(), "layer")))
        .bytes(image.size)
        .items(image.tags.iter().map(ToString::to_string))
}

/// Whether it is what the spec says; `reasons` why not, none if it is. `Err`:
/// why that cannot be told.
pub(crate) fn up_to_date(name: &str, node: &str, reasons: Result<Vec<String>, String>) -> Finding {
    let check = Check::of("plan", name);
    match reasons {
        Ok(reasons) if reasons.is_empty() => check.ok("up to date with the spec"),
        Ok(reasons) => check
            .warning("not up to date with the spec")
            .items(reasons)
            .command(format!("ds01-build build {node}")),
        Err(cause) => check.note(format!("whether it is up to date is unknown: {cause}")),
    }
}
