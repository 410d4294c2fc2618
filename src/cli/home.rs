//! The system's user database, LDAP included: asked through `getent`, since
//! only libc's own resolver knows every source.

use std::path::PathBuf;
use std::process::Command;

use crate::names::Login;

/// The home folder of a user id; `None`: the database does not know it.
pub fn folder(uid: u32) -> Option<PathBuf> {
    entry(uid)?.split(':').nth(5).filter(|home| home.starts_with('/')).map(PathBuf::from)
}

/// The login of a user id; `None`: the database does not know it.
pub fn login(uid: u32) -> Option<Login> {
    entry(uid)?.split(':').next().filter(|name| !name.is_empty()).map(Login::new)
}

fn entry(uid: u32) -> Option<String> {
    let output = Command::new("getent").args(["passwd", &uid.to_string()]).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    Some(line.trim_end().to_owned())
}
