//! A person's account as it is baked into images and shown in names.

use crate::names::Login;

/// What the user layer needs to know of a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// The login as it is; goes onto labels.
    pub login: Login,
    /// The account name made from it by [`account_name`].
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// Absolute path; `/bin/bash` if the spec says nothing.
    pub shell: String,
    pub sudo: bool,
}
