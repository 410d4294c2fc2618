//! The user in images against the user of the host: whether the uid, gid and
//! name that were baked in are still somebody's.

use super::Severity::{Note, Ok, Warning};
use super::{Finding, count, known_as};
use crate::engine::Image;
use crate::host::people::People;
use crate::model::account::account_name;
use crate::model::labels::read::{UserSetup, user_setup};
use crate::model::names::Login;
use crate::spec::Spec;

const CHECK: &str = "accounts";

/// Somebody that the spec or the database knows.
#[derive(Clone, Debug)]
struct Somebody {
    login: Login,
    uid: u32,
    gid: u32,
}

/// How an account in an image stands to the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
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
    let somebody = declared(spec);
    let named = images.iter().filter(|image| !image.tags.is_empty());
    let mut same = 0;
    let mut findings = Vec::new();
    for (image, setup) in named.filter_map(|image| Some((image, user_setup(&image.labels)?))) {
        match compare(&setup, &somebody, people) {
            Standing::Same => same += 1,
            standing => findings.extend(finding(&known_as(image), &setup, &standing)),
        }
    }
    if same > 0 {
        let message = format!("{} for the uid, gid and name that their owner has", count(same, "image"));
        findings.push(Finding::new(CHECK, Ok, "images", message));
    }
    findings
}

/// The finding about one image's account.
pub(crate) fn of_image(name: &str, setup: &UserSetup, spec: Option<&Spec>, people: &dyn People) -> Finding {
    let standing = compare(setup, &declared(spec), people);
    finding(name, setup, &standing)
        .unwrap_or_else(|| Finding::new(CHECK, Ok, name, "the account is its owner's on this machine"))
}

fn finding(name: &str, setup: &UserSetup, standing: &Standing) -> Option<Finding> {
    let account = setup.username.as_deref().unwrap_or("no name");
    let baked = format!("it has uid {}, gid {} and {account} in it", setup.uid, setup.gid);
    Some(match standing {
        Standing::Same => return None,
        Standing::Differs(how) => Finding::new(CHECK, Warning, name, format!("{baked}, but {how}"))
            .help("files of the workspace would belong to somebody else: have the image made anew"),
        Standing::Gone => Finding::new(CHECK, Warning, name, format!("{baked}, and nobody has that uid now"))
            // No command to paste: another spec of the machine may have its owner.
            .help("if its owner has left, and no other spec here has them, remove it; otherwise add them to `users`"),
        Standing::Unknown(why) => {
            Finding::new(CHECK, Note, name, format!("{baked}; whose that is is unknown: {why}"))
        }
    })
}

/// Everybody that the spec names.
fn declared(spec: Option<&Spec>) -> Vec<Somebody> {
    let Some(spec) = spec else { return Vec::new() };
    let users = spec.users.values().map(|u| (&u.login, u.uid, u.gid));
    let projects = spec.projects.iter().map(|p| (&p.account.login, p.account.uid, p.account.gid));
    users.chain(projects).map(|(login, uid, gid)| Somebody { login: login.clone(), uid, gid }).collect()
}

fn compare(setup: &UserSetup, declared: &[Somebody], people: &dyn People) -> Standing {
    let by_uid = match declared.iter().find(|somebody| somebody.uid == setup.uid) {
        Some(somebody) => Some(somebody.clone()),
        None => match people.by_uid(setup.uid) {
            Result::Ok(person) => person.map(|p| Somebody { login: p.login, uid: p.uid, gid: p.gid }),
            Err(why) => return Standing::Unknown(why),
        },
    };
    let is_called = |somebody: &Somebody, name: &str| account_name(&somebody.login).is_ok_and(|n| n == name);
    match (by_uid, &setup.username) {
        (Some(owner), _) if owner.gid != setup.gid => {
            Standing::Differs(format!("the gid of {} is {}", owner.login, owner.gid))
        }
        (Some(owner), Some(name)) if !is_called(&owner, name) => {
            Standing::Differs(format!("uid {} is {}'s", owner.uid, owner.login))
        }
        (Some(_), _) => Standing::Same,
        (None, Some(name)) => {
            let named = declared.iter().find(|somebody| is_called(somebody, name)).cloned();
            let named = named.or_else(|| {
                let person = people.by_login(&Login::new(name)).ok()??;
                Some(Somebody { login: person.login, uid: person.uid, gid: person.gid })
            });
            named
                .map_or(Standing::Gone, |n| Standing::Differs(format!("the uid of {} is {}", n.login, n.uid)))
        }
        (None, None) => Standing::Gone,
    }
}
