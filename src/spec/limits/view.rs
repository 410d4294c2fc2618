//! What holds for a person, for people to read: each limit, and where it was
//! written.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::layer::{Layer, Limit};
use super::{Limits, PersonLimits, builtin};

/// One limit that holds for a person.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EffectiveLimit {
    /// Its key in the spec.
    pub(crate) limit: &'static str,
    /// In bytes and seconds; `null`: there is none.
    pub(crate) value: Value,
    /// What the value is counted in; `None`: things.
    pub(crate) unit: Option<&'static str>,
    /// As one would write it.
    pub(crate) text: String,
    pub(crate) from: Origin,
}

/// Where a limit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// Nowhere: the program's own.
    BuiltIn,
    /// Under `defaults:`.
    Defaults,
    /// With the default group, from which groups of the site inherit.
    DefaultGroup,
    /// With the person's group.
    Group,
    /// For this person alone.
    Own,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BuiltIn => "built in",
            Self::Defaults => "defaults",
            Self::DefaultGroup => "default group",
            Self::Group => "group",
            Self::Own => "own",
        })
    }
}

impl Limits {
    /// Each limit of what [`Limits::of`] gave, in the order of their keys.
    pub(crate) fn effective(&self, applied: &PersonLimits) -> Vec<EffectiveLimit> {
        let effective = |limit: &Limit| EffectiveLimit {
            limit: limit.key(),
            value: limit.value(),
            unit: limit.unit(),
            text: limit.text(),
            from: self.origin(limit.key(), applied),
        };
        Limit::all(&applied.limits).iter().map(effective).collect()
    }

    fn origin(&self, key: &str, applied: &PersonLimits) -> Origin {
        let says = |layer: &Layer| layer.iter().any(|limit| limit.key() == key);
        let group_says = |group: &str| self.written.get(group).is_some_and(says);
        let is_built_in = || builtin::groups().contains_key(&applied.group);
        match () {
            () if applied.own.contains(key) => Origin::Own,
            () if group_says(&applied.group) => Origin::Group,
            () if says(&self.defaults) => Origin::Defaults,
            () if !is_built_in() && group_says(&self.default_group) => Origin::DefaultGroup,
            () => Origin::BuiltIn,
        }
    }
}
