//! What the machine's user database says of a spec's users: who a project's
//! `user:` is where `users:` does not say it, and whether both agree.
//!
//! A database may be slow and far away: reading a spec asks only for logins
//! that `users:` does not have, so that a spec whose users all stand there is
//! read without it. Whether both agree is a question of its own.

use std::collections::BTreeSet;

use super::names::{self, passes};
use super::read::Document;
use super::reader::{Item, Problems, short};
use super::users::{FIRST_UID, Users, impersonal, is_personal_gid, is_personal_uid};
use super::{Spec, User};
use crate::host::people::{People, Person};
use crate::model::names::Login;
use crate::model::problem::{Place, Problem};

/// Tells the database all logins that it will be asked for.
pub(crate) fn expect(included: &[Document], users: &Users, people: &dyn People) {
    let projects = included.iter().flat_map(|document| document.item().children());
    let named = projects.filter_map(|project| {
        let (_, user) = project.quiet_entries().into_iter().find(|(key, _)| key.text == "user")?;
        user.string(&mut Problems::default())
    });
    let missing: BTreeSet<Login> = named
        .filter(|text| names::login(text).is_ok())
        .map(Login::new)
        .filter(|login| !users.declared.contains_key(login))
        .collect();
    if !missing.is_empty() {
        people.expect(&missing.into_iter().collect::<Vec<_>>());
    }
}

/// The user that a project names: from `users:`, else from the database,
/// which knows no group of ours. `None` also for one that is wrong, which is said once.
pub(crate) fn find(
    item: Item,
    users: &mut Users,
    people: &dyn People,
    problems: &mut Problems,
) -> Option<User> {
    let text = item.string(problems)?;
    let (login, place) = (Login::new(text), item.place());
    if let Some(user) = users.declared.get(&login).or_else(|| users.found.get(&login)) {
        return user.clone();
    }
    if !passes(names::login(text), &place, problems) {
        return None;
    }
    let user = match people.by_login(&login) {
        // The same person may be declared under the database's own spelling.
        Ok(Some(person)) => match users.declared.get(&person.login) {
            Some(declared) => declared.clone(),
            None => taken(&person, &place, problems)
                .inspect(|user| users.claim(&user.login, Some(user.uid), &place, problems)),
        },
        Ok(None) => {
            let near = problems.near(text, users.declared.keys().map(Login::as_str));
            let help = near.map_or_else(
                || "write the login as `id` knows it, or add it to `users` in the spec".into(),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!(
                "no user `{}`: neither `users` nor the user database of this machine has the login",
                short(text)
            );
            problems.push(Problem::new(message).at(&place).help(help));
            None
        }
        Err(why) => {
            let message = format!("`users` has no `{}`, and {why}", short(text));
            let help = "add the login to `users` in the spec, or try again when the database answers";
            problems.push(Problem::new(message).at(&place).help(help));
            None
        }
    };
    users.found.insert(login, user.clone());
    user
}

/// An account of the database, if images can be for it.
fn taken(person: &Person, place: &Place, problems: &mut Problems) -> Option<User> {
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
        problems.push(Problem::new(message).at(place).help(help));
        return None;
    }
    Some(User {
        login: person.login.clone(),
        uid: person.uid,
        gid: person.gid,
        group: None,
        sudo: false,
        // Not the machine's: an image is the same wherever it is built.
        shell: None,
        place: place.clone(),
    })
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
        people.expect(&users.iter().map(|user| user.login.clone()).collect::<Vec<_>>());
        let mut problems = Vec::new();
        for user in users {
            if let Some(person) = people.by_login(&user.login)? {
                problems.extend(disagreement(user, &person));
            }
        }
        Ok(problems)
    }
}

fn disagreement(user: &User, person: &Person) -> Option<Problem> {
    if (user.uid, user.gid) == (person.uid, person.gid) {
        return None;
    }
    let message = format!(
        "`{}` has uid {} and gid {} here, but uid {} and gid {} in the user database of this machine",
        user.login, user.uid, user.gid, person.uid, person.gid
    );
    let help = format!(
        "one of them is wrong: write {{uid: {}, gid: {}}}, or have the database corrected",
        person.uid, person.gid
    );
    Some(Problem::new(message).at(&user.place).help(help))
}
