//! Lines of the user database, as `passwd(5)` and `group(5)` have them. Pure.

use super::Person;
use crate::model::names::Login;

/// One line of `passwd`; `None`: it is none.
pub(crate) fn person(line: &str) -> Option<Person> {
    let fields: Vec<&str> = line.split(':').collect();
    let [login, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
    if login.is_empty() {
        return None;
    }
    let absolute = |path: &&str| path.starts_with('/');
    Some(Person {
        login: Login::new(*login),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: Some(*home).filter(absolute).map(Into::into),
        shell: Some(*shell).filter(absolute).map(Into::into),
    })
}

/// The name on a line of `group`.
pub(crate) fn group_name(line: &str) -> Option<&str> {
    line.split(':').next().filter(|name| !name.is_empty())
}

/// The numbers on a line of `initgroups`, behind the login, which may hold
/// blanks itself.
pub(crate) fn gids(line: &str, login: &Login) -> Vec<u32> {
    let rest = line.strip_prefix(login.as_str()).unwrap_or(line);
    rest.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Whether `getent` would take this login for a number, by the rules of
/// `strtoul`: blanks, a sign, digits.
pub(crate) fn looks_like_a_number(login: &Login) -> bool {
    let text = login.as_str().trim_start();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}
