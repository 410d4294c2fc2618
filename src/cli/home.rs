//! The system's user database, LDAP included: asked through `getent`, since
//! only libc's own resolver knows every source.

use std::path::PathBuf;
use std::process::Command;

use crate::names::Login;
use crate::people::{People, Person};

/// The home folder of a user id; `None`: the database does not know it.
pub fn folder(uid: u32) -> Option<PathBuf> {
    entry(uid)?.split(':').nth(5).filter(|home| home.starts_with('/')).map(PathBuf::from)
}

/// The login of a user id; `None`: the database does not know it.
pub fn login(uid: u32) -> Option<Login> {
    entry(uid)?.split(':').next().filter(|name| !name.is_empty()).map(Login::new)
}

/// The database as [`People`].
pub struct Database;

impl People for Database {
    fn by_login(&self, login: &Login) -> Result<Option<Person>, String> {
        let person = line(login.as_str()).and_then(|line| person(&line));
        // `getent` takes digits for a uid.
        Ok(person.filter(|person| person.login == *login))
    }

    fn by_uid(&self, uid: u32) -> Result<Option<Person>, String> {
        Ok(entry(uid).and_then(|line| person(&line)))
    }

    fn groups(&self, _: &Login) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

/// A line of a passwd database.
fn person(line: &str) -> Option<Person> {
    let fields: Vec<_> = line.split(':').collect();
    let [login, _, uid, gid, _, home, shell] = fields[..] else { return None };
    let path = |text: &str| text.starts_with('/').then(|| text.to_owned());
    Some(Person {
        login: Login::new(login),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: path(home).map(PathBuf::from),
        shell: path(shell),
    })
}

fn entry(uid: u32) -> Option<String> {
    line(&uid.to_string())
}

fn line(key: &str) -> Option<String> {
    let output = Command::new("getent").args(["passwd", "--", key]).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    Some(line.trim_end().to_owned())
}
