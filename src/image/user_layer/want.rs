//! Which parts of a base must be read before a layer can be made.

use super::accounts::DATABASES;
use super::facts::{BaseFacts, FactKind, Want, join};
use super::home::{SKELETON, old_home, skeleton, survey};
use super::standing::{Standing, standing};
use super::{home_of, jupyter, sudo};
use crate::model::account::Account;

/// Where the databases are.
const ETC: &str = "/etc";

/// What is still to be read for this account, given what is known; empty when
/// [`layer`](super::layer) can be called. Read all of it at once, tell it to
/// `known` with `learn` and `learn_entries` (a missing path as
/// [`FileFact::absent`](super::FileFact::absent)), and ask again: three rounds
/// are enough unless homes collide.
pub(crate) fn wanted(known: &BaseFacts, account: &Account) -> Vec<Want> {
    // The root's entries show links that a `Stat` would follow, those of
    // `/etc` which databases there are.
    let mut wants: Vec<Want> = ["/", ETC, SKELETON].map(|path| Want::Entries(path.to_owned())).into();
    if known.answers(&wants[1]) {
        wants.extend(DATABASES.map(|path| Want::Content(path.to_owned())));
    }
    wants.push(Want::Stat(account.shell.clone()));
    wants.extend(sudo::wants(account));
    wants.extend(skeleton(known).into_iter().filter_map(|(name, fact)| {
        let path = join(SKELETON, &name);
        match fact.kind {
            FactKind::File(None) => Some(Want::Content(path)),
            FactKind::Dir(None) => Some(Want::Entries(path)),
            _ => None,
        }
    }));
    wants.extend(home_wants(known, account));
    if known.answers(&Want::Content("/etc/passwd".into())) {
        wants.extend(old_home_wants(known, account));
    }
    wants.retain(|want| !known.answers(want));
    wants.sort();
    wants.dedup();
    wants
}

/// The folder that will be the home, as far as the layer writes into it.
fn home_wants(known: &BaseFacts, account: &Account) -> Vec<Want> {
    let home = home_of(account);
    let Some(fact) = known.get(&home) else { return vec![Want::Entries(home)] };
    let mut wants = vec![Want::Entries(home.clone())];
    if fact.uid != account.uid {
        wants.extend(survey(known, &home).wants);
    }
    let below = skeleton(known)
        .into_iter()
        .map(|(name, _)| name)
        .chain([".local".to_owned()])
        .chain(jupyter::folders(account));
    for path in below.map(|name| join(&home, &name)) {
        if let Some(FactKind::Dir(None)) = known.get(&path).map(|fact| &fact.kind) {
            wants.push(Want::Entries(path));
        }
    }
    let bashrc = join(&home, ".bashrc");
    if let Some(FactKind::File(None)) = known.get(&bashrc).map(|fact| &fact.kind) {
        wants.push(Want::Content(bashrc));
    }
    wants
}

/// The home of the base's own account with this uid.
fn old_home_wants(known: &BaseFacts, account: &Account) -> Vec<Want> {
    let Ok(standing) = standing(known, account) else { return Vec::new() };
    match (&standing, old_home(known, account, &standing)) {
        (_, Some(home)) => survey(known, home).wants,
        (Standing::Known { home, .. }, None) if home.starts_with('/') => {
            vec![Want::Entries(home.clone())]
        }
        _ => Vec::new(),
    }
}
