//! `users:` — who may have a project, and as whom it runs; and
//! `administrators:` — who may act for them.

use std::collections::{BTreeMap, BTreeSet};

use super::User;
use super::limits;
use super::names::{self, passes};
use super::parents::spot;
use super::reader::{Item, Key, Problems};
use crate::model::account::account_name;
use crate::model::names::Login;
use crate::model::problem::{Place, Problem};

/// Below it are a system's own accounts.
pub(crate) const FIRST_UID: u64 = 1000;
/// `nobody` and `nogroup`.
const NOBODY: u64 = 65534;
/// One below the number that means "no id" in system calls.
const LAST_ID: u64 = u32::MAX as u64 - 1;
/// No person's account in any image.
const ROOT: &str = "root";
/// Debian's `users`, a group that people share.
const SHARED_GID: u64 = 100;

/// Users by login; `None` for one whose entry is wrong, so that their
/// projects do not seem to name an unknown user.
pub(crate) type UsersByLogin = BTreeMap<Login, Option<User>>;

/// All that images can be for, with what each of them has alone.
#[derive(Default)]
pub(crate) struct Users {
    pub(crate) declared: UsersByLogin,
    /// From the user database, by the login that a project names.
    pub(crate) found: UsersByLogin,
    uids: BTreeMap<u32, (Login, Place)>,
    accounts: BTreeMap<String, (Login, Place)>,
}

impl Users {
    /// Notes a user's uid and account name; each is one user's alone.
    pub(crate) fn claim(&mut self, login: &Login, uid: Option<u32>, place: &Place, problems: &mut Problems) {
        let mine = |(other, place): (Login, Place)| (other != *login).then_some((other, place));
        let entry = || (login.clone(), place.clone());
        if let Some(uid) = uid
            && let Some((other, there)) = self.uids.insert(uid, entry()).and_then(mine)
        {
            let message = format!("`{login}` and `{other}` have one uid: {uid}");
            let help = format!("give each their own; the other stands in {}", spot(&there));
            problems.push(Problem::new(message).at(place).help(help));
        }
        match account_name(login) {
            Err(why) => problems.push(
                Problem::new(why).at(place).help("write a login with letters or digits before the `@`"),
            ),
            Ok(name) if name == ROOT => {
                let message = format!("the login `{login}` gives the account `{ROOT}`, whose uid is 0");
                let help = "write a person's own login, or leave the entry out";
                problems.push(Problem::new(message).at(place).help(help));
            }
            Ok(name) => {
                if let Some((other, there)) = self.accounts.insert(name.clone(), entry()).and_then(mine) {
                    let message = format!("`{login}` and `{other}` give one account name: `{name}`");
                    let help = format!("only one of them can be here; the other stands in {}", spot(&there));
                    problems.push(Problem::new(message).at(place).help(help));
                }
            }
        }
    }
}

pub(crate) fn users(item: Option<Item>, limits: &limits::LimitsDraft, problems: &mut Problems) -> Users {
    let mut users = Users::default();
    for (key, value) in item.map(|item| item.entries(problems)).unwrap_or_default() {
        let (login, place) = (Login::new(key.text), key.place());
        let known = passes(names::login(key.text), &place, problems);
        let user = user(&key, value, limits, problems);
        if known {
            users.claim(&login, user.as_ref().map(|user| user.uid), &place, problems);
        }
        users.declared.insert(login, user);
    }
    users
}

/// `administrators:` — groups of the machine, not of `limits`.
pub(crate) fn administrators(item: Option<Item>, problems: &mut Problems) -> BTreeSet<String> {
    let entries = item.filter(|item| !item.is_null()).map(|item| item.one_or_more(problems));
    let good = |(name, item): &(&str, Item)| passes(names::system_group(name), &item.place(), problems);
    entries.unwrap_or_default().into_iter().filter(good).map(|(name, _)| name.to_owned()).collect()
}

fn user(key: &Key, value: Item, limits: &limits::LimitsDraft, problems: &mut Problems) -> Option<User> {
    let place = key.place();
    let fields = value.fields(&["uid", "gid", "group", "sudo", "shell"], problems);
    let uid = fields.require("uid", &place, "uid: 1001", problems);
    let uid = uid.and_then(|item| id(item, "uid", is_personal_uid, problems));
    let gid = match fields.get("gid") {
        Some(item) => id(item, "gid", is_personal_gid, problems),
        None => uid,
    };
    let group = fields.get("group").map(|item| {
        let group = limits.group(item, problems)?;
        limits::agree(&Login::new(key.text), &group, &item.place(), &limits.named, problems);
        Some(group)
    });
    let group = match group {
        Some(None) => None,
        Some(known) => Some(known),
        None => Some(None),
    };
    let sudo = fields.get("sudo").map_or(Some(false), |item| item.boolean(problems));
    let shell = fields.get("shell").map(|item| {
        let text = item.string(problems)?;
        passes(names::shell(text), &item.place(), problems).then(|| text.to_owned())
    });
    let shell = match shell {
        Some(None) => return None,
        Some(shell) => shell,
        None => None,
    };
    Some(User { login: Login::new(key.text), uid: uid?, gid: gid?, group: group?, sudo: sudo?, shell, place })
}

/// A uid or gid of a person.
fn id(item: Item, what: &str, personal: fn(u64) -> bool, problems: &mut Problems) -> Option<u32> {
    let id = item.whole(problems)?;
    let Some(why) = impersonal(id, personal) else { return u32::try_from(id).ok() };
    let help = format!("write the person's own {what}, from {FIRST_UID} on: `id LOGIN` shows it");
    problems.push(Problem::new(format!("the {what} {id} {why}")).at(&item.place()).help(help));
    None
}

/// Why no person can have this uid or gid.
pub(crate) fn impersonal(id: u64, personal: fn(u64) -> bool) -> Option<&'static str> {
    match id {
        0 => Some("is root's"),
        NOBODY => Some("is nobody's"),
        _ if id > LAST_ID => Some("is above 4294967294"),
        _ if !personal(id) => Some("belongs to the system"),
        _ => None,
    }
}

/// Whether a uid can be a person's, by its number alone.
pub(crate) fn is_personal_uid(id: u64) -> bool {
    id >= FIRST_UID
}

/// Whether a gid can be a person's main group, by its number alone.
pub(crate) fn is_personal_gid(id: u64) -> bool {
    id >= FIRST_UID || id == SHARED_GID
}
