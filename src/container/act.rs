//! The one rule of who may do what with a container. Pure.
//!
//! Everybody with their own, administrators with all. What changes a container
//! is done to those that this program, or the system before it, made: others
//! belong to the tool that made them, though their owner may look into them. A
//! protected container is kept from changes, not from being used.

use super::{Asked, Caller, Refusal, look_up, resolve};
use crate::engine::Container;
use crate::model::labels::read::Users;

/// What is done with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Stop,
    Start,
    #[cfg_attr(not(test), expect(dead_code, reason = "retiring asks by itself"))]
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

    /// What to do about a refusal of this.
    pub(crate) fn help(self, refusal: &Refusal) -> String {
        let verb = match self {
            Self::Stop => "stop",
            Self::Start => "start",
            _ => return refusal.help(),
        };
        match refusal {
            Refusal::NotManaged { name } => {
                format!("if it is yours, {verb} it with the tool that made it, or `docker {verb} {name}`")
            }
            other => other.help(),
        }
    }
}

/// The container that is meant, if the caller may do this with it. Where
/// nothing is changed, the beginning of an id names one as well.
///
/// # Errors
/// Why not. A container that belongs to nobody known is an administrator's.
pub(crate) fn may<'a>(
    action: Action,
    asked: Asked<'_>,
    containers: &'a [Container],
    caller: &Caller,
    users: Users<'_>,
) -> Result<&'a Container, Refusal> {
    let find = if action.changes() { resolve } else { look_up };
    let container = find(asked.name, containers, caller, users)?;
    let name = || container.name.clone();
    let administrator = caller.is_administrator();
    if !administrator && !caller.owns(container, users) {
        let owner = container.owner(users).map(|owner| owner.to_string());
        return Err(Refusal::NotYours { name: name(), owner });
    }
    if !action.changes() {
        return Ok(container);
    }
    if !container.is_managed() {
        return Err(Refusal::NotManaged { name: name() });
    }
    if container.is_protected() && !(administrator && asked.force) {
        return Err(Refusal::Protected { name: name(), administrator });
    }
    Ok(container)
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
        match may(action, Asked { name, force }, &server(), caller, &users) {
            Ok(_) => "yes",
            Err(Refusal::NotFound { .. }) => "not found",
            Err(Refusal::NotManaged { .. }) => "not managed",
            Err(Refusal::NotYours { .. }) => "not yours",
            Err(Refusal::Protected { .. }) => "protected",
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
                let asked = Asked { name: &container.name, force };
                let decided = super::super::decide(asked, &server(), &caller, &users);
                let all = server();
                let allowed = may(Action::Retire, asked, &all, &caller, &users);
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
        let refusal = Refusal::NotManaged { name: "bare._.1001".into() };
        assert!(Action::Stop.help(&refusal).ends_with("or `docker stop bare._.1001`"));
        assert!(Action::Retire.help(&refusal).ends_with("or `docker rm bare._.1001`"));
    }
}
