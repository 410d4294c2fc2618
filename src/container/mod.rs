//! Listing, showing and retiring containers, new and legacy ones alike.
//!
//! Whose a container is follows from its labels and its name (see
//! [`crate::model::labels::read`]); what may be done with it is decided here, before
//! anything is done. Never touches volumes, and no image but one that [`save`] makes.

mod act;
pub mod begin;
pub mod enter;
mod held;
pub mod installed;
mod lookup;
mod retire;
mod rows;
pub mod save;
mod show;
mod sight;
pub mod start;
mod state;
mod store;
pub mod sweep;

use crate::engine::Container;
pub use crate::host::people::{Caller, may_act_for};
use crate::model::labels::read::{self, Owner, Users};
pub use act::{Action, may};
pub use held::Held;
pub use lookup::look_up;
pub use retire::{Asked, Refusal, Retirement, decide, resolve, retire};
pub use rows::{Around, Maker, Row, is_shown, rows};
pub use show::{Limits, Shown, memory, show};
pub use sight::{Seen, Sight, holding, look, seen};
pub use state::State;

impl Caller {
    /// Whether this is the caller's own container. Uids are compared before
    /// logins, since the system may know a person by another name than the
    /// spec does; and whole: 1001 does not own what is 10012's.
    pub fn owns(&self, container: &Container, users: Users<'_>) -> bool {
        if let Some((_, uid)) = read::split_name(&container.name) {
            return uid == self.uid;
        }
        match read::owner(&container.labels, &container.name, users) {
            Some(Owner::Login(login)) => login == self.login,
            Some(Owner::Uid(uid)) => uid == self.uid,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
