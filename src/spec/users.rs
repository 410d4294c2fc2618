//! `users:` — who may have a project, and as whom it runs; `administrators:` —
//! who may act for them; and what the machine's user database says of both.
//!
//! A database may be slow and far away: reading a spec asks only for logins
//! that `users:` does not have, so that a spec whose users all stand there is
//! read without it. Whether both agree is a question of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Fields, Key};
use super::limits::LimitsDraft;
use super::parents::spot;
use super::reader::{Document, Item, short};
use super::{Spec, User, grammar};
use crate::host::people::{People, Person};
use crate::model::account::{Account, FIRST_UID, account_name};
use crate::model::names::Login;
use crate::model::problem::{Place, Problem};

/// `nobody` and `nogroup`.
const NOBODY: u64 = 65534;
/// One below the number that means "no id" in system calls.
const LAST_ID: u64 = u32::MAX as u64 - 1;
/// No person's account in any image.
const ROOT: &str = "root";
/// What to do about a login that gives no account name.
const NO_NAME: &str = "write a login with letters or digits before the `@`";
/// Debian's `users`, a group that people share.
const SHARED_GID: u64 = 100;

/// Users by login; `None` for one whose entry is wrong, so that their
/// projects do not seem to name an unknown user.
type UsersByLogin = BTreeMap<Login, Option<User>>;

/// All that images can be for, with what each of them has alone.
#[derive(Default)]
pub(crate) struct Users {
    pub(crate) declared: UsersByLogin,
    /// From the user database, by the login that a project names.
    found: UsersByLogin,
    uids: BTreeMap<u32, (Login, Place)>,
    accounts: BTreeMap<String, (Login, Place)>,
}

impl Users {
    /// Notes a user's uid and account name; each is one user's alone.
    fn claim(&mut self, login: &Login, uid: Option<u32>, item: Item) {
        let entry = || (login.clone(), item.place());
        let another = |before: Option<(Login, Place)>| before.filter(|(other, _)| other != login);
        if let Some(uid) = uid
            && let Some((other, there)) = another(self.uids.insert(uid, entry()))
        {
            let help = format!("give each their own; the other stands in {}", spot(&there));
            item.report(format!("`{login}` and `{other}` have one uid: {uid}"), help);
        }
        match account_name(login) {
            Err(why) => item.report(why, NO_NAME),
            Ok(name) if name == ROOT => {
                let message = format!("the login `{login}` gives the account `{ROOT}`, whose uid is 0");
                item.report(message, "write a person's own login, or leave the entry out");
            }
            Ok(name) => {
                if let Some((other, there)) = another(self.accounts.insert(name.clone(), entry())) {
                    let help = format!("only one of them can be here; the other stands in {}", spot(&there));
                    item.report(format!("`{login}` and `{other}` give one account name: `{name}`"), help);
                }
            }
        }
    }
}

pub(crate) fn users(top: &Fields, limits: &LimitsDraft) -> Users {
    let mut users = Users::default();
    for (key, value) in top.entries("users") {
        let login = Login::new(key.text);
        let legal = key.item.check(grammar::login(key.text));
        let user = user(&key, value, limits);
        if legal {
            users.claim(&login, user.as_ref().map(|user| user.account.uid), key.item);
        }
        users.declared.insert(login, user);
    }
    users
}

/// `administrators:` — groups of the machine, not of `limits`.
pub(crate) fn administrators(top: &Fields) -> BTreeSet<String> {
    let entries = top.get_some("administrators").map(Item::one_or_more).unwrap_or_default();
    let good = |(name, item): &(&str, Item)| item.check(grammar::system_group(name));
    entries.into_iter().filter(good).map(|(name, _)| name.to_owned()).collect()
}

fn user(key: &Key, value: Item, limits: &LimitsDraft) -> Option<User> {
    let login = Login::new(key.text);
    let fields = value.fields(&["uid", "gid", "group", "sudo", "shell"]);
    let uid = fields.require("uid", &key.place(), "uid: 1001");
    let uid = uid.and_then(|item| id(item, "uid", is_personal_uid));
    let gid = fields.get("gid").map_or(uid, |item| id(item, "gid", is_personal_gid));
    let group = fields.get("group").map(|item| limits.group_of(&login, item));
    let sudo = fields.flag("sudo", false);
    let shell = fields.get("shell").map(|item| item.text_of(grammar::shell).map(str::to_owned));
    // What was given and is wrong leaves no user.
    if matches!(group, Some(None)) || matches!(shell, Some(None)) {
        return None;
    }
    let (group, shell) = (group.flatten(), shell.flatten());
    // A login that gives no account name is told with what else it claims.
    let account = Account::new(login, (uid?, gid?), shell, sudo?).ok()?;
    Some(User { account, group, place: key.place() })
}

/// A uid or gid of a person.
fn id(item: Item, what: &str, personal: fn(u64) -> bool) -> Option<u32> {
    let id = item.whole()?;
    let Some(why) = impersonal(id, personal) else { return u32::try_from(id).ok() };
    let help = format!("write the person's own {what}, from {FIRST_UID} on: `id LOGIN` shows it");
    item.report(format!("the {what} {id} {why}"), help);
    None
}

/// Why no person can have this uid or gid.
fn impersonal(id: u64, personal: fn(u64) -> bool) -> Option<&'static str> {
    match id {
        0 => Some("is root's"),
        NOBODY => Some("is nobody's"),
        _ if id > LAST_ID => Some("is above 4294967294"),
        _ if !personal(id) => Some("belongs to the system"),
        _ => None,
    }
}

/// Whether a uid can be a person's, by its number alone.
fn is_personal_uid(id: u64) -> bool {
    id >= FIRST_UID.into()
}

/// Whether a gid can be a person's main group, by its number alone.
fn is_personal_gid(id: u64) -> bool {
    id >= FIRST_UID.into() || id == SHARED_GID
}

/// Names to the database all logins that it will be asked for.
pub(crate) fn expect(included: &[Document], users: &Users, people: &dyn People) {
    let projects = included.iter().flat_map(|document| document.item().quiet().entries());
    let named = projects.filter_map(|(_, project)| {
        project.entries().into_iter().find(|(key, _)| key.text == "user")?.1.string()
    });
    let missing: BTreeSet<Login> = named
        .filter(|text| grammar::login(text).is_ok())
        .map(Login::new)
        .filter(|login| !users.declared.contains_key(login))
        .collect();
    if !missing.is_empty() {
        people.expect(&missing.into_iter().collect::<Vec<_>>());
    }
}

/// The user that a project names: from `users:`, else from the database,
/// which knows no group of ours. `None` also for one that is wrong, which is said once.
pub(crate) fn find(item: Item, users: &mut Users, people: &dyn People) -> Option<User> {
    let text = item.string()?;
    let login = Login::new(text);
    if let Some(user) = users.declared.get(&login).or_else(|| users.found.get(&login)) {
        return user.clone();
    }
    if !item.check(grammar::login(text)) {
        return None;
    }
    let user = match people.by_login(&login) {
        // The same person may be declared under the database's own spelling.
        Ok(Some(person)) => match users.declared.get(&person.login) {
            Some(declared) => declared.clone(),
            None => user_of(&person, item)
                .inspect(|user| users.claim(&person.login, Some(user.account.uid), item)),
        },
        Ok(None) => {
            let message = format!(
                "no user `{}`: neither `users` nor the user database of this machine has the login",
                short(text)
            );
            let help = || "write the login as `id` knows it, or add it to `users` in the spec".into();
            item.report_unknown(message, text, users.declared.keys().map(Login::as_str), help);
            None
        }
        Err(why) => {
            let help = "add the login to `users` in the spec, or try again when the database answers";
            item.report(format!("`users` has no `{}`, and {why}", short(text)), help);
            None
        }
    };
    users.found.insert(login, user.clone());
    user
}

/// An account of the database, if images can be for it.
fn user_of(person: &Person, item: Item) -> Option<User> {
    let uid = impersonal(person.uid.into(), is_personal_uid).map(|why| ("uid", person.uid, why));
    let gid = impersonal(person.gid.into(), is_personal_gid).map(|why| ("gid", person.gid, why));
    if let Some((what, id, why)) = uid.or(gid) {
        let login = &person.login;
        let message =
            format!("the user database of this machine gives `{login}` the {what} {id}, which {why}");
        let help = format!(
            "images are for people: ds01-build takes no {what} below {FIRST_UID} and not nobody's, \
             whatever the database says; name another user"
        );
        item.report(message, help);
        return None;
    }
    // The shell is not the machine's: an image is the same wherever it is built.
    let account = Account::new(person.login.clone(), (person.uid, person.gid), None, false);
    let account = account.map_err(|why| item.report(why, NO_NAME)).ok()?;
    Some(User { account, group: None, place: item.place() })
}

impl Spec {
    /// Which of these logins, as far as `users:` has them, the database knows
    /// with another uid or gid.
    ///
    /// # Errors
    /// The database cannot be asked; a sentence.
    pub(crate) fn disagreements<'a>(
        &self,
        logins: impl IntoIterator<Item = &'a Login>,
        people: &dyn People,
    ) -> Result<Vec<Problem>, String> {
        let users: Vec<&User> = logins.into_iter().filter_map(|login| self.users.get(login)).collect();
        people.expect(&users.iter().map(|user| user.account.login.clone()).collect::<Vec<_>>());
        let mut problems = Vec::new();
        for user in users {
            if let Some(person) = people.by_login(&user.account.login)? {
                problems.extend(disagreement(user, &person));
            }
        }
        Ok(problems)
    }
}

fn disagreement(user: &User, person: &Person) -> Option<Problem> {
    let Account { login, uid, gid, .. } = &user.account;
    if (*uid, *gid) == (person.uid, person.gid) {
        return None;
    }
    let message = format!(
        "`{login}` has uid {uid} and gid {gid} here, but uid {} and gid {} in the user database of this machine",
        person.uid, person.gid
    );
    let help = format!(
        "one of them is wrong: write {{uid: {}, gid: {}}}, or have the database corrected",
        person.uid, person.gid
    );
    Some(Problem::new(message).at(&user.place).help(help))
}
