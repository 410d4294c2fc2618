//! Findings about all images of the engine: whether the accounts in them are
//! still somebody's, what earlier ways to make images left behind, and which
//! of them, and of the containers, are understood by old labels only.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Finding, count};
use crate::admin::inventory::display_name;
use crate::engine::{Container, Image};
use crate::host::people::People;
use crate::model::account::{Account, account_name};
use crate::model::labels::NAMESPACE;
use crate::model::labels::is_old;
use crate::model::labels::read::{self, UserSetup, split_name, user_setup};
use crate::model::names::Login;
use crate::spec::Spec;

/// How an account in an image compares with the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AccountMatch {
    Same,
    /// In which way, as a fragment.
    Differs(String),
    /// Nobody has that uid or that name any more.
    Gone,
    /// The database cannot be asked; a sentence.
    Unknown(String),
}

/// One finding for each account that is not as on the host, and one that sums
/// up the others.
pub(crate) fn accounts(images: &[Image], spec: Option<&Spec>, people: &dyn People) -> Vec<Finding> {
    let users = declared(spec);
    let named = images.iter().filter(|image| !image.tags.is_empty());
    let mut same = 0;
    let mut findings = Vec::new();
    for (image, setup) in named.filter_map(|image| Some((image, user_setup(&image.labels)?))) {
        match account_finding(&display_name(image), &setup, &compare(&setup, &users, people)) {
            Some(finding) => findings.push(finding),
            None => same += 1,
        }
    }
    if same > 0 {
        let message = format!("{} for the uid, gid and name that their owner has", count(same, "image"));
        findings.push(Check::of("accounts", "images").ok(message));
    }
    findings
}

/// The finding about one image's account.
pub(crate) fn account(name: &str, setup: &UserSetup, spec: Option<&Spec>, people: &dyn People) -> Finding {
    account_finding(name, setup, &compare(setup, &declared(spec), people))
        .unwrap_or_else(|| Check::of("accounts", name).ok("the account is its owner's on this machine"))
}

/// `None`: it is as on the host.
fn account_finding(name: &str, setup: &UserSetup, compared: &AccountMatch) -> Option<Finding> {
    let account = setup.username.as_deref().unwrap_or("no name");
    let inside = format!("it has uid {}, gid {} and {account} in it", setup.uid, setup.gid);
    let check = Check::of("accounts", name);
    Some(match compared {
        AccountMatch::Same => return None,
        AccountMatch::Differs(how) => check
            .warning(format!("{inside}, but {how}"))
            .help("files of the workspace would belong to somebody else: have the image made anew"),
        AccountMatch::Gone => check
            .warning(format!("{inside}, and nobody has that uid now"))
            // No command to paste: another spec of the machine may have its owner.
            .help("if its owner has left, and no other spec here has them, remove it; otherwise add them to `users`"),
        AccountMatch::Unknown(why) => check.note(format!("{inside}; whose that is is unknown: {why}")),
    })
}

/// Everybody that the spec names.
fn declared(spec: Option<&Spec>) -> Vec<&Account> {
    let Some(spec) = spec else { return Vec::new() };
    let users = spec.users.values().map(|user| &user.account);
    users.chain(spec.projects.iter().map(|project| &project.account)).collect()
}

fn compare(setup: &UserSetup, declared: &[&Account], people: &dyn People) -> AccountMatch {
    let by_uid = match declared.iter().find(|account| account.uid == setup.uid) {
        Some(account) => Some((account.login.clone(), account.gid)),
        None => match people.by_uid(setup.uid) {
            Ok(person) => person.map(|person| (person.login, person.gid)),
            Err(why) => return AccountMatch::Unknown(why),
        },
    };
    match (by_uid, &setup.username) {
        (Some((login, gid)), _) if gid != setup.gid => {
            AccountMatch::Differs(format!("the gid of {login} is {gid}"))
        }
        (Some((login, _)), Some(name)) if account_name(&login).as_ref() != Ok(name) => {
            AccountMatch::Differs(format!("uid {} is {login}'s", setup.uid))
        }
        (Some(_), _) => AccountMatch::Same,
        (None, Some(name)) => {
            let of_spec = declared.iter().find(|account| account.name == *name);
            let of_spec = of_spec.map(|account| (account.login.clone(), account.uid));
            let of_host = || {
                let person = people.by_login(&Login::new(name)).ok()??;
                Some((person.login, person.uid))
            };
            of_spec.or_else(of_host).map_or(AccountMatch::Gone, |(login, uid)| {
                AccountMatch::Differs(format!("the uid of {login} is {uid}"))
            })
        }
        (None, None) => AccountMatch::Gone,
    }
}

/// Images that the old way left behind, where a container was set up,
/// committed and kept under `<base>:<name>._.<uid>`; and images of ours
/// without a name. One finding for each, and one that sums up if there is none.
pub(crate) fn leftovers(images: &[Image], containers: &[Container]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for image in images {
        for tag in &image.tags {
            if let Some((name, uid)) = tag.tag().and_then(split_name) {
                let message =
                    format!("committed from the container `{name}` of uid {uid}, as was done before");
                findings.push(leftover(&tag.to_string(), &tag.to_string(), &message, image, containers));
            }
        }
        let ours = |key: &String| key.starts_with(NAMESPACE) || is_old(key);
        if image.tags.is_empty() && image.labels.keys().any(ours) {
            let message = "has labels of ours and no name: a newer image took it, or its build was stopped";
            let (subject, name) = (display_name(image), image.id.as_str());
            findings.push(leftover(&subject, name, message, image, containers));
        }
    }
    findings.sort_by_key(|finding| Reverse(finding.bytes));
    if findings.is_empty() {
        let message = "no leftovers of earlier ways to make images";
        findings.push(Check::of("leftovers", "images").ok(message));
    }
    findings
}

/// `name`: by which the engine removes it.
fn leftover(subject: &str, name: &str, message: &str, image: &Image, containers: &[Container]) -> Finding {
    let users: Vec<String> =
        containers.iter().filter(|c| c.image_id == image.id).map(|c| c.name.clone()).collect();
    let help = match users.len() {
        0 => "remove it; the size counts layers that other images share".to_owned(),
        some => format!("{} is still based on it: remove it after that", count(some, "container")),
    };
    let finding = Check::of("leftovers", subject).warning(message).bytes(image.size).items(users);
    finding.help(help).command(format!("docker image rm {name}"))
}

/// Which containers and images are still understood by keys of older systems
/// only. When none is, the reading of those keys can go. One finding each.
pub(crate) fn legacy_labels(images: &[Image], containers: &[Container]) -> Vec<Finding> {
    let containers = containers.iter().map(|c| (c.name.clone(), &c.labels));
    let images = images.iter().map(|image| (display_name(image), &image.labels));
    vec![
        legacy_finding(
            "container",
            containers,
            "labels of a container cannot change: they go when it is retired and deployed anew",
        ),
        legacy_finding("image", images, "they go when the image is made anew with `ds01-build image create`"),
    ]
}

fn legacy_finding<'a>(
    noun: &str,
    all: impl Iterator<Item = (String, &'a BTreeMap<String, String>)>,
    help: &str,
) -> Finding {
    let mut relying: Vec<(String, BTreeSet<&str>)> = all
        .map(|(name, labels)| (name, read::relied_on(labels).map(|old| old.name).collect()))
        .filter(|(_, keys): &(_, BTreeSet<_>)| !keys.is_empty())
        .collect();
    relying.sort();
    let check = Check::of("legacy labels", format!("{noun}s"));
    if relying.is_empty() {
        return check.ok(format!("no {noun} relies on keys of older systems"));
    }
    let joined = |keys: &BTreeSet<&str>| keys.iter().copied().collect::<Vec<_>>().join(", ");
    let keys: BTreeSet<&str> = relying.iter().flat_map(|(_, keys)| keys).copied().collect();
    let verb = if relying.len() == 1 { "relies" } else { "rely" };
    let some = if keys.len() == 1 { "a key" } else { "keys" };
    let counted = count(relying.len(), noun);
    check
        .note(format!("{counted} {verb} on {some} of older systems: {}", joined(&keys)))
        .items(relying.iter().map(|(name, keys)| format!("{name}: {}", joined(keys))))
        .help(help)
}
