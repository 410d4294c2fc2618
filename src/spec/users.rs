//! `users:` — who may have a project, and as whom it runs.

use std::collections::BTreeMap;

use super::User;
use super::limits::Limits;
use super::names::{self, passes};
use super::parents::spot;
use super::reader::{Item, Key, Problems, short};
use crate::account::account_name;
use crate::names::Login;
use crate::problem::{Place, Problem};

/// Below it are a system's own accounts.
const FIRST_UID: u64 = 1000;
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
pub type Users = BTreeMap<Login, Option<User>>;

pub fn users(item: Option<Item>, limits: &Limits, problems: &mut Problems) -> Users {
    let mut users = Users::new();
    let mut uids: BTreeMap<u32, (Login, Place)> = BTreeMap::new();
    let mut accounts: BTreeMap<String, (Login, Place)> = BTreeMap::new();
    for (key, value) in item.map(|item| item.entries(problems)).unwrap_or_default() {
        let (login, place) = (Login::new(key.text), key.place());
        let known = passes(names::login(key.text), &place, problems);
        let user = user(&key, value, limits, problems);
        if let Some(user) = &user
            && let Some((other, there)) = uids.insert(user.uid, (login.clone(), place.clone()))
        {
            let message = format!("`{login}` and `{other}` have one uid: {}", user.uid);
            let help = format!("give each their own; the other stands in {}", spot(&there));
            problems.push(Problem::new(message).at(&place).help(help));
        }
        if known {
            match account_name(&login) {
                Err(why) => problems.push(
                    Problem::new(why).at(&place).help("write a login with letters or digits before the `@`"),
                ),
                Ok(name) if name == ROOT => {
                    let message = format!("the login `{login}` gives the account `{ROOT}`, whose uid is 0");
                    let help = "write a person's own login, or leave the entry out";
                    problems.push(Problem::new(message).at(&place).help(help));
                }
                Ok(name) => {
                    if let Some((other, there)) =
                        accounts.insert(name.clone(), (login.clone(), place.clone()))
                    {
                        let message = format!("`{login}` and `{other}` give one account name: `{name}`");
                        let help =
                            format!("only one of them can be here; the other stands in {}", spot(&there));
                        problems.push(Problem::new(message).at(&place).help(help));
                    }
                }
            }
        }
        users.insert(login, user);
    }
    users
}

fn user(key: &Key, value: Item, limits: &Limits, problems: &mut Problems) -> Option<User> {
    let place = key.place();
    let fields = value.fields(&["uid", "gid", "group", "sudo", "shell"], problems);
    let uid = fields.require("uid", &place, "uid: 1001", problems);
    let uid = uid.and_then(|item| id(item, "uid", |id| id >= FIRST_UID, problems));
    let gid = match fields.get("gid") {
        Some(item) => id(item, "gid", |id| id >= FIRST_UID || id == SHARED_GID, problems),
        None => uid,
    };
    let group = match fields.get("group") {
        Some(item) => group(item, limits, problems),
        None => Some(limits.default_group.clone()),
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
    let why = match id {
        0 => "is root's",
        NOBODY => "is nobody's",
        _ if id > LAST_ID => "is above 4294967294",
        _ if !personal(id) => "belongs to the system",
        _ => return u32::try_from(id).ok(),
    };
    let help = format!("write the person's own {what}, from {FIRST_UID} on: `id LOGIN` shows it");
    problems.push(Problem::new(format!("the {what} {id} {why}")).at(&item.place()).help(help));
    None
}

fn group(item: Item, limits: &Limits, problems: &mut Problems) -> Option<String> {
    let name = item.string(problems)?;
    if limits.groups.contains_key(name) {
        return Some(name.to_owned());
    }
    let near = problems.near(name, limits.groups.keys().map(String::as_str));
    let help = near.map_or_else(
        || format!("declare it under `limits`; there are: {}", super::limits::names(limits)),
        |near| format!("did you mean `{near}`?"),
    );
    problems.push(Problem::new(format!("no group `{}`", short(name))).at(&item.place()).help(help));
    None
}
