//! Finding a container that is only looked at: any that `list --all` shows.

use super::{Caller, Refusal, resolve};
use crate::engine::Container;
use crate::model::labels::read::Users;
use crate::spec::nearest;

/// Digits of an id that are enough to mean it.
const FEWEST: usize = 6;

/// The container that a name means to this caller, as [`resolve`] has it,
/// else the one whose id begins so.
///
/// # Errors
/// None or several are meant.
pub(crate) fn look_up<'a>(
    name: &str,
    containers: &'a [Container],
    caller: &Caller,
    users: Users<'_>,
) -> Result<&'a Container, Refusal> {
    let resolved = resolve(name, containers, caller, users);
    let is_id = name.len() >= FEWEST && name.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id || !matches!(resolved, Err(Refusal::NotFound { .. })) {
        return resolved;
    }
    let begins: Vec<_> = containers.iter().filter(|c| c.id.starts_with(&name.to_ascii_lowercase())).collect();
    match begins.as_slice() {
        [] => resolved,
        [one] => Ok(one),
        several => {
            let names = several.iter().map(|c| c.name.clone()).collect();
            Err(Refusal::Ambiguous { name: name.to_owned(), names })
        }
    }
}

impl Refusal {
    /// A container that was perhaps meant.
    pub(crate) fn near<'a>(&self, containers: &'a [Container]) -> Option<&'a str> {
        match self {
            Self::NotFound { name } => nearest(name, containers.iter().map(|c| c.name.as_str())),
            _ => None,
        }
    }
}
