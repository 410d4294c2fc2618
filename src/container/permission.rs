//! The one rule of who may do what with a container, and which container a
//! name means. Pure; knows no engine.
//!
//! Everybody with their own, administrators with all. What changes a container
//! is done to those that this program, or the system before it, made: others
//! belong to the tool that made them, though their owner may look into them. A
//! protected container is kept from changes, not from being used.

use crate::engine::Container;
use crate::host::people::Caller;
use crate::model::labels::read::{LoginOfUid, OwnerName, UID_MARK};
use crate::model::problem::Problem;
use crate::spec::nearest;

/// Digits of an id that are enough to mean it.
const FEWEST: usize = 6;

/// What is done with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Stop,
    Start,
    Retire,
    /// Running a program in it.
    Enter,
    /// Reading what its program wrote.
    Logs,
}

impl Action {
    /// Whether the container is another one afterwards.
    fn changes(self) -> bool {
        matches!(self, Self::Stop | Self::Start | Self::Retire)
    }
}

/// Why a container is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("there is no container `{name}`")]
    NotFound { name: String },
    #[error("`{name}` is the name of several containers: {}", names.join(", "))]
    Ambiguous { name: String, names: Vec<String> },
    #[error("container `{name}` was not made by ds01-build")]
    NotManaged { name: String },
    #[error("container `{name}` belongs to {}", owner.as_deref().unwrap_or("nobody known"))]
    NotYours { name: String, owner: Option<String> },
    #[error("container `{name}` is protected")]
    Protected { name: String, administrator: bool },
}

impl AccessError {
    /// What to do for whoever wanted this.
    pub(crate) fn help(&self, action: Action) -> String {
        match self {
            Self::NotFound { .. } => "`ds01-build container list` shows yours, with --all everybody's".into(),
            Self::Ambiguous { .. } => "say the full name, with the uid".into(),
            Self::NotManaged { name } => {
                let (verb, docker) = match action {
                    Action::Stop => ("stop", "stop"),
                    Action::Start => ("start", "start"),
                    _ => ("remove", "rm"),
                };
                format!("if it is yours, {verb} it with the tool that made it, or `docker {docker} {name}`")
            }
            Self::NotYours { .. } => "ask its owner or an administrator".into(),
            Self::Protected { administrator: true, .. } => "say `--force` if it is meant".into(),
            Self::Protected { administrator: false, .. } => "ask an administrator".into(),
        }
    }

    /// The same with what to do, for people: of these containers one may have
    /// been meant.
    pub(crate) fn problem(&self, action: Action, containers: &[Container]) -> Problem {
        let near = self.near(containers).map(|near| format!("did you mean `{near}`? "));
        Problem::new(self.to_string()).help(near.unwrap_or_default() + &self.help(action))
    }

    /// A container that was perhaps meant.
    pub(crate) fn near<'a>(&self, containers: &'a [Container]) -> Option<&'a str> {
        match self {
            Self::NotFound { name } => nearest(name, containers.iter().map(|c| c.name.as_str())),
            _ => None,
        }
    }
}

impl Caller {
    /// Whether this is the caller's own container. Uids are compared before
    /// logins, since the system may know a person by another name than the
    /// spec does; and whole: 1001 does not own what is 10012's.
    pub(crate) fn owns(&self, container: &Container, users: LoginOfUid<'_>) -> bool {
        if let Some(uid) = container.uid() {
            return uid == self.uid;
        }
        match container.owner(users) {
            Some(OwnerName::Login(login)) => login == self.login,
            Some(OwnerName::Uid(uid)) => uid == self.uid,
            None => false,
        }
    }
}

/// The container that is meant, if the caller may do this with it; `force` is
/// an administrator's word against its protection. Where nothing is changed,
/// the beginning of an id names one as well.
///
/// # Errors
/// Why not. A container that belongs to nobody known is an administrator's.
pub(crate) fn may<'a>(
    action: Action,
    name: &str,
    force: bool,
    containers: &'a [Container],
    caller: &Caller,
    users: LoginOfUid<'_>,
) -> Result<&'a Container, AccessError> {
    let find = if action.changes() { resolve } else { look_up };
    let container = find(name, containers, caller, users)?;
    let name = || container.name.clone();
    let administrator = caller.is_administrator();
    if !administrator && !caller.owns(container, users) {
        let owner = container.owner(users).map(|owner| owner.to_string());
        return Err(AccessError::NotYours { name: name(), owner });
    }
    if !action.changes() {
        return Ok(container);
    }
    if !container.is_managed() {
        return Err(AccessError::NotManaged { name: name() });
    }
    if container.is_protected() && !(administrator && force) {
        return Err(AccessError::Protected { name: name(), administrator });
    }
    Ok(container)
}

/// The container that a name means to this caller: one of their own by its
/// short name, else any by its full name, else, for an administrator, the one
/// with this short name.
///
/// # Errors
/// None or several are meant.
pub(super) fn resolve<'a>(
    name: &str,
    containers: &'a [Container],
    caller: &Caller,
    users: LoginOfUid<'_>,
) -> Result<&'a Container, AccessError> {
    let full = |wanted: &str| containers.iter().find(|c| c.name == wanted);
    let short = || containers.iter().filter(|c| c.short_name() == name);
    if let Some(container) = full(&format!("{name}{UID_MARK}{}", caller.uid)) {
        return Ok(container);
    }
    if let Some(own) = only(name, short().filter(|c| caller.owns(c, users)))? {
        return Ok(own);
    }
    if let Some(container) = full(name) {
        return Ok(container);
    }
    let anyone = only(name, short().filter(|_| caller.is_administrator()))?;
    anyone.ok_or_else(|| AccessError::NotFound { name: name.to_owned() })
}

/// The container that a name means to this caller, else the one whose id
/// begins so: for those that are only looked at, which are all that
/// `list --all` shows.
///
/// # Errors
/// None or several are meant.
pub(crate) fn look_up<'a>(
    name: &str,
    containers: &'a [Container],
    caller: &Caller,
    users: LoginOfUid<'_>,
) -> Result<&'a Container, AccessError> {
    let resolved = resolve(name, containers, caller, users);
    let is_id = name.len() >= FEWEST && name.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id || !matches!(resolved, Err(AccessError::NotFound { .. })) {
        return resolved;
    }
    let id = name.to_ascii_lowercase();
    match only(name, containers.iter().filter(|c| c.id.starts_with(&id)))? {
        Some(container) => Ok(container),
        None => resolved,
    }
}

fn only<'a>(
    name: &str,
    found: impl Iterator<Item = &'a Container>,
) -> Result<Option<&'a Container>, AccessError> {
    match found.collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [container] => Ok(Some(container)),
        several => {
            let names = several.iter().map(|c| c.name.clone()).collect();
            Err(AccessError::Ambiguous { name: name.to_owned(), names })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::{ImageId, Login};

    fn container(name: &str, labels: &[(&str, &str)]) -> Container {
        Container {
            id: format!("{:0<64}", crate::model::digest::hex(name.as_bytes())),
            name: name.into(),
            image: "x".into(),
            image_id: ImageId::new("sha256:1"),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            state: "running".into(),
            status: "Up".into(),
            created: 0,
        }
    }

    fn server() -> Vec<Container> {
        let ours = ("ds01.managed", "true");
        vec![
            container("thesis._.1001", &[ours, ("ds01.user", "ann")]),
            container("kept._.1001", &[ours, ("ds01.user", "ann"), ("ds01.protected", "true")]),
            container("old._.1001", &[("aime.mlc.DS01_MANAGED", "true"), ("aime.mlc.USER", "ann")]),
            container("bare._.1001", &[]),
            container("code", &[("devcontainer.local_folder", "/home/ann/code")]),
            container("thesis._.1002", &[ours, ("ds01.user", "bob")]),
            container("registry", &[]),
        ]
    }

    fn users(uid: u32) -> Option<Login> {
        (uid == 1001).then(|| Login::new("ann"))
    }

    fn caller(uid: u32, in_administrators: bool) -> Caller {
        let login = users(uid).unwrap_or_else(|| Login::new(uid.to_string()));
        Caller { login, uid, in_administrators }
    }

    /// `yes`, or the refusal's name.
    fn says(action: Action, name: &str, caller: &Caller, force: bool) -> &'static str {
        match may(action, name, force, &server(), caller, &users) {
            Ok(_) => "yes",
            Err(AccessError::NotFound { .. }) => "not found",
            Err(AccessError::NotManaged { .. }) => "not managed",
            Err(AccessError::NotYours { .. }) => "not yours",
            Err(AccessError::Protected { .. }) => "protected",
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn who_may_do_what_is_one_table() {
        let (ann, root, admin) = (caller(1001, false), caller(0, false), caller(1003, true));
        // Container, then what its owner, an administrator, and one with --force is told: first
        // of changing it, then of looking into it.
        for (name, changes, looks) in [
            ("thesis._.1001", ["yes", "yes", "yes"], ["yes", "yes"]),
            ("old._.1001", ["yes", "yes", "yes"], ["yes", "yes"]),
            ("kept._.1001", ["protected", "protected", "yes"], ["yes", "yes"]),
            ("bare._.1001", ["not managed", "not managed", "not managed"], ["yes", "yes"]),
            ("code", ["not managed", "not managed", "not managed"], ["yes", "yes"]),
            ("thesis._.1002", ["not yours", "yes", "yes"], ["not yours", "yes"]),
            ("registry", ["not yours", "not managed", "not managed"], ["not yours", "yes"]),
            ("nobodys", ["not found", "not found", "not found"], ["not found", "not found"]),
        ] {
            for admin in [&root, &admin] {
                for action in [Action::Stop, Action::Start, Action::Retire] {
                    let told = [
                        says(action, name, &ann, false),
                        says(action, name, admin, false),
                        says(action, name, admin, true),
                    ];
                    assert_eq!(told, changes, "{action:?} {name}");
                    assert_eq!(says(action, name, &ann, true), changes[0], "--force is an administrator's");
                }
                for action in [Action::Enter, Action::Logs] {
                    let told = [says(action, name, &ann, false), says(action, name, admin, false)];
                    assert_eq!(told, looks, "{action:?} {name}");
                }
            }
        }
    }

    #[test]
    fn retiring_follows_the_rule() {
        for caller in [caller(1001, false), caller(1002, false), caller(0, false), caller(1003, true)] {
            for (container, force) in server().iter().flat_map(|c| [(c, false), (c, true)]) {
                let name = &container.name;
                let decided = super::super::retire::decide(name, force, &server(), &caller, &users);
                let all = server();
                let allowed = may(Action::Retire, name, force, &all, &caller, &users);
                assert_eq!(decided.err(), allowed.err(), "{} {force} {caller:?}", container.name);
            }
        }
    }

    #[test]
    fn an_id_names_what_is_looked_into_and_never_what_is_changed() {
        let id = server()[0].id[..26].to_owned();
        let ann = caller(1001, false);
        assert_eq!(says(Action::Logs, &id, &ann, false), "yes");
        assert_eq!(says(Action::Stop, &id, &ann, false), "not found");
    }

    #[test]
    fn what_is_not_ours_is_pointed_to_the_tool_that_can() {
        let refusal = AccessError::NotManaged { name: "bare._.1001".into() };
        assert!(refusal.help(Action::Stop).ends_with("or `docker stop bare._.1001`"));
        assert!(refusal.help(Action::Retire).ends_with("or `docker rm bare._.1001`"));
    }
}
