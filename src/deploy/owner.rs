//! For whom a container is made: an account and a group.

use super::DeployError;
use crate::host::people::{People, Person};
use crate::image::user_layer;
use crate::model::account::{Account, FIRST_UID};
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::spec::limits::PersonLimits;
use crate::spec::{Project, Spec};

/// A person who may have containers.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) account: Account,
    /// What holds for them.
    pub(crate) limits: PersonLimits,
    /// What people should know of how the group was found.
    pub(crate) note: Option<String>,
}

impl Owner {
    /// A project's.
    ///
    /// # Errors
    /// No limits are known.
    pub(crate) fn of_project(spec: &Spec, project: &Project) -> Result<Self, Problem> {
        Self::of(spec, project.account.clone(), project.group.as_deref())
    }

    /// Whether the account can be in an image at all.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) fn check_account(&self) -> Result<(), DeployError> {
        user_layer::check_account(&self.account)
            .map_err(|refusal| DeployError::refused(refusal.to_string(), refusal.help))
    }

    fn of(spec: &Spec, account: Account, group: Option<&str>) -> Result<Self, Problem> {
        let unknown = || {
            let group = group.unwrap_or(&spec.limits.default_group);
            let problem =
                Problem::new(format!("no limits are known for group `{group}` of `{}`", account.login));
            problem.help(format!("add `{group}` under `limits:` in the spec, or give the user another group"))
        };
        let limits = spec.limits.of(&account.login, group).ok_or_else(unknown)?;
        let login = &account.login;
        let named = spec.users.contains_key(login) || spec.limits.knows(login);
        // Root and accounts of the system have no entry there, and never get one.
        let stranger = limits.by_default && !named && account.uid >= FIRST_UID;
        let note = stranger.then(|| {
            format!("the spec names no group for `{login}`, so the limits are those of `{}`", limits.group)
        });
        Ok(Self { account, limits, note })
    }
}

/// The person of this login or account name: by the spec, else by the user
/// database.
///
/// # Errors
/// Neither knows them, or the database cannot be asked.
pub(crate) fn by_login(spec: &Spec, people: &dyn People, login: &str) -> Result<Owner, Problem> {
    let mut users = spec.users.values();
    if let Some(user) = users.find(|user| [user.account.login.as_str(), &user.account.name].contains(&login))
    {
        return Owner::of(spec, user.account.clone(), user.group.as_deref());
    }
    let person = people.by_login(&Login::new(login)).map_err(unasked)?;
    known(spec, person, &format!("`{login}`"))
}

/// The person of this uid, likewise.
///
/// # Errors
/// As for [`by_login`].
pub(crate) fn by_uid(spec: &Spec, people: &dyn People, uid: u32) -> Result<Owner, Problem> {
    match spec.users.values().find(|user| user.account.uid == uid) {
        Some(user) => Owner::of(spec, user.account.clone(), user.group.as_deref()),
        None => known(spec, people.by_uid(uid).map_err(unasked)?, &format!("uid {uid}")),
    }
}

fn unasked(why: String) -> Problem {
    Problem::new(why).help("an entry under `users:` in the spec needs no user database")
}

fn known(spec: &Spec, person: Option<Person>, who: &str) -> Result<Owner, Problem> {
    let Some(Person { login, uid, gid, shell, .. }) = person else {
        let problem = Problem::new(format!("{who} is neither in the spec nor in the user database"));
        return Err(problem.help("add the person under `users:` in the spec, with uid, gid and group"));
    };
    Owner::of(spec, Account::new(login, (uid, gid), shell, false)?, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::people::NoPeople;

    struct One(Person);

    impl People for One {
        fn by_login(&self, login: &Login) -> Result<Option<Person>, String> {
            Ok((*login == self.0.login).then(|| self.0.clone()))
        }

        fn by_uid(&self, uid: u32) -> Result<Option<Person>, String> {
            Ok((uid == self.0.uid).then(|| self.0.clone()))
        }

        fn groups(&self, _: &Login) -> Result<Vec<String>, String> {
            Ok(Vec::new())
        }
    }

    fn spec() -> Spec {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("spec.yml");
        let users = "users: {h.baker@x.org: {uid: 1722830498, gid: 1722830499, group: faculty, sudo: true}}";
        std::fs::write(&file, format!("version: 1\ntag: {{prefix: t}}\nimages: {{}}\n{users}\n")).unwrap();
        let disk = crate::spec::files::Disk;
        crate::spec::read(dir.path(), &file, &crate::spec::SpecContext::of(&disk)).unwrap()
    }

    #[test]
    fn the_spec_comes_before_the_user_database() {
        let person = Person {
            login: Login::new("hbaker"),
            uid: 1_722_830_498,
            gid: 5,
            home: None,
            shell: Some("/bin/zsh".into()),
        };
        let people = One(person);
        for owner in [
            by_uid(&spec(), &people, 1_722_830_498).unwrap(),
            by_login(&spec(), &people, "h.baker@x.org").unwrap(),
            by_login(&spec(), &people, "h-baker").unwrap(),
        ] {
            assert_eq!(
                (owner.account.gid, owner.account.sudo, owner.limits.group.as_str()),
                (1_722_830_499, true, "faculty")
            );
            assert_eq!(owner.note, None);
        }
    }

    #[test]
    fn who_is_in_the_database_alone_has_the_default_group_and_is_told_so() {
        let person = Person {
            login: Login::new("j.doe"),
            uid: 2001,
            gid: 2002,
            home: None,
            shell: Some("/bin/zsh".into()),
        };
        let owner = by_uid(&spec(), &One(person), 2001).unwrap();
        let account = &owner.account;
        assert_eq!((account.name.as_str(), account.gid, account.shell.as_str()), ("j-doe", 2002, "/bin/zsh"));
        assert_eq!((owner.limits.group.as_str(), account.sudo), ("student", false));
        assert!(owner.note.unwrap().contains("limits are those of `student`"));
    }

    #[test]
    fn nobody_is_an_error_that_says_where_to_add_them() {
        let problem = by_login(&spec(), &NoPeople, "eve").unwrap_err();
        assert!(problem.message.contains("`eve`") && problem.help.unwrap().contains("`users:`"));
    }

    #[test]
    fn who_is_named_in_limits_alone_has_what_is_written_there_and_no_note() {
        let mut spec = spec();
        let text =
            "tag: {prefix: t}\nlimits: {groups: {faculty: {members: [j.doe]}}, users: {j.doe: {cpus: 3}}}\n";
        let files = crate::spec::files::memory::MemoryFiles::default().file("/r/spec.yml", text);
        let read =
            crate::spec::read("/r".as_ref(), "spec.yml".as_ref(), &crate::spec::SpecContext::of(&files));
        spec.limits = read.unwrap().limits;
        let person = Person { login: Login::new("j.doe"), uid: 2001, gid: 2002, home: None, shell: None };
        let owner = by_uid(&spec, &One(person), 2001).unwrap();
        assert_eq!((owner.limits.group.as_str(), owner.limits.limits.cpus), ("faculty", Some(3.0)));
        assert_eq!(owner.note, None);
    }
}
