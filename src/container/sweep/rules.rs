//! Which rules hold for a container, and which containers no rule touches. Pure.

use super::{Exemption, Lifetime, Rule, Whom, Why};
use crate::engine::Container;
use crate::model::labels::GROUP;
use crate::model::labels::read::{self, Owner, Users};
use crate::model::names::Login;

/// The lifetime of an owner's containers in the group that a container's
/// label names, and that group's name; `None`: no such group is known.
pub(crate) type Lifetimes<'a> = &'a dyn Fn(&Login, Option<&str>) -> Option<(String, Lifetime)>;

/// What a sweep goes by.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) lifetimes: Lifetimes<'a>,
    pub(crate) exemptions: &'a [Exemption],
    pub(crate) users: Users<'a>,
    /// How often sweeps are, in seconds. After twice as long without one,
    /// nobody knows what GPUs did meanwhile.
    pub(crate) every: i64,
}

/// A container that rules apply to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subject {
    pub(crate) owner: Login,
    pub(crate) group: String,
    pub(crate) lifetime: Lifetime,
}

/// Whether rules apply to a container.
///
/// # Errors
/// Why none does.
pub(crate) fn subject(container: &Container, rules: &Rules<'_>) -> Result<Subject, Why> {
    let labels = &container.labels;
    if !read::managed(labels) {
        return Err(Why::NotOurs);
    }
    if read::protected(labels) {
        return Err(Why::Protected);
    }
    let owner = match read::owner(labels, &container.name, rules.users).ok_or(Why::NoOwner)? {
        Owner::Login(login) => login,
        // A login has no blank: nothing that is written for a person means it.
        uid @ Owner::Uid(_) => Login::new(uid.to_string()),
    };
    let group = read::text(labels, &GROUP);
    let (group, lifetime) =
        (rules.lifetimes)(&owner, group).ok_or_else(|| Why::UnknownGroup(group.map(str::to_owned)))?;
    Ok(Subject { owner, group, lifetime })
}

/// The exemption of a container from a rule that holds for longest.
pub(crate) fn exemption<'a>(
    rules: &Rules<'a>,
    container: &Container,
    owner: &Login,
    rule: Rule,
    now: i64,
) -> Option<&'a Exemption> {
    let means = |whom: &Whom| match whom {
        Whom::User(login) => login == owner,
        Whom::Container(name) => *name == container.name || name == container.short_name(),
    };
    let holds = |one: &&Exemption| {
        one.from.contains(&rule) && one.until.is_none_or(|until| now < until) && means(&one.whom)
    };
    rules.exemptions.iter().filter(holds).max_by_key(|one| one.until.unwrap_or(i64::MAX))
}
