//! What reading a spec may ask besides its own text.

use super::files::Files;
use crate::host::people::{NoPeople, People};
use crate::spec::catalog::Host;
use crate::spec::catalog::host::NOWHERE;

/// The surroundings of a spec.
pub(crate) struct World<'a> {
    pub(crate) files: &'a dyn Files,
    /// Asked for logins that `users:` does not have.
    pub(crate) people: &'a dyn People,
    /// The catalogue's architecture class where a base names none.
    pub(crate) arch: &'a Host,
}

impl<'a> World<'a> {
    /// Files alone: nobody is known, and no architecture.
    pub(crate) fn of(files: &'a dyn Files) -> Self {
        Self { files, people: &NoPeople, arch: &NOWHERE }
    }
}
