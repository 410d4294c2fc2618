//! Who people are: the system's user database, as one small question; and who
//! may act for whom.
//!
//! The database may be LDAP behind NSS: slow, or not there. Knows nothing of
//! specs, images or containers.

mod access;
#[cfg(test)]
pub(crate) mod fake;
mod system;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub(crate) use access::{Caller, may_act_for};
pub(crate) use system::System;

use crate::model::names::Login;

/// One account of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// As the database writes it, which may differ from how it was asked for.
    pub(crate) login: Login,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None`: the entry names no absolute path.
    pub(crate) home: Option<PathBuf>,
    /// Absolute path; `None`: the entry has none.
    pub(crate) shell: Option<String>,
}

/// A user database. "Nobody of that name" is an answer, no error.
pub(crate) trait People {
    /// # Errors
    /// The database could not be asked; a sentence.
    fn by_login(&self, login: &Login) -> Result<Option<Person>, String>;
    /// # Errors
    /// The database could not be asked; a sentence.
    fn by_uid(&self, uid: u32) -> Result<Option<Person>, String>;
    /// Names of all groups a login is in; empty for an unknown login.
    ///
    /// # Errors
    /// The database could not be asked; a sentence.
    fn groups(&self, login: &Login) -> Result<Vec<String>, String>;
    /// These will be asked for by login soon: one question may answer many.
    fn expect(&self, _logins: &[Login]) {}
}

/// A database without anybody in it.
pub(crate) struct NoPeople;

impl People for NoPeople {
    fn by_login(&self, _: &Login) -> Result<Option<Person>, String> {
        Ok(None)
    }

    fn by_uid(&self, _: u32) -> Result<Option<Person>, String> {
        Ok(None)
    }

    fn groups(&self, _: &Login) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}
