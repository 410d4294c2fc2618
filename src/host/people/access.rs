//! Who asks for something, and for whom they may act. What this means for a
//! project, an image or a container, those who own them say.

use crate::model::names::Login;

/// Who asks. Of `sudo` nothing is known: root through it is root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) login: Login,
    pub(crate) uid: u32,
    /// In one of the system groups that the spec's `administrators` names.
    pub(crate) in_administrators: bool,
}

impl Caller {
    /// Whether the caller may act for others.
    pub(crate) fn is_administrator(&self) -> bool {
        self.uid == 0 || self.in_administrators
    }
}

/// Whether the caller may do something in the name of this uid: everybody for
/// themselves, administrators for all.
pub(crate) fn may_act_for(caller: &Caller, uid: u32) -> bool {
    caller.uid == uid || caller.is_administrator()
}
