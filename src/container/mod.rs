//! Listing, showing and retiring containers, new and legacy ones alike.
//!
//! Whose a container is follows from its labels and its name (see
//! [`crate::model::labels::read`]); what may be done with it is decided here, before
//! anything is done. Never touches volumes, and no image but one that [`save`] makes.

mod act;
pub(crate) mod begin;
pub(crate) mod enter;
mod held;
pub(crate) mod installed;
mod lookup;
mod retire;
mod rows;
pub(crate) mod save;
mod show;
mod sight;
pub(crate) mod start;
mod store;
pub(crate) mod sweep;

use crate::engine::Container;
pub(crate) use crate::host::people::{Caller, may_act_for};
use crate::model::labels::read::{self, Owner, Users};
pub(crate) use act::{Action, may};
pub(crate) use held::Held;
pub(crate) use lookup::look_up;
pub(crate) use retire::{Asked, Refusal, Retirement, decide, resolve, retire};
pub(crate) use rows::{Around, Maker, Row, is_shown, rows};
pub(crate) use show::{memory, show};
pub(crate) use sight::{look, seen};

impl Caller {
    /// Whether this is the caller's own container. Uids are compared before
    /// logins, since the system may know a person by another name than the
    /// spec does; and whole: 1001 does not own what is 10012's.
    pub(crate) fn owns(&self, container: &Container, users: Users<'_>) -> bool {
        if let Some((_, uid)) = read::split_name(&container.name) {
            return uid == self.uid;
        }
        match container.owner(users) {
            Some(Owner::Login(login)) => login == self.login,
            Some(Owner::Uid(uid)) => uid == self.uid,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
