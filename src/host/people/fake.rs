//! A user database in memory, for tests of what asks one. It may be lost, and
//! counts what it is asked.

use std::cell::Cell;

use super::{People, Person};
use crate::model::names::Login;

/// People with the names of their groups.
#[derive(Default)]
pub(crate) struct FakePeople {
    people: Vec<(Person, Vec<String>)>,
    lost: Option<String>,
    asked: Cell<usize>,
}

impl FakePeople {
    /// One more account.
    pub(crate) fn with(mut self, login: &str, uid: u32, gid: u32, groups: &[&str]) -> Self {
        let person = Person {
            login: Login::new(login),
            uid,
            gid,
            home: Some(format!("/home/{login}").into()),
            shell: Some("/bin/bash".into()),
        };
        self.people.push((person, groups.iter().map(|name| (*name).to_owned()).collect()));
        self
    }

    /// One that cannot be asked.
    pub(crate) fn lost(why: &str) -> Self {
        Self { lost: Some(why.to_owned()), ..Self::default() }
    }

    /// How many questions there were.
    pub(crate) fn asked(&self) -> usize {
        self.asked.get()
    }

    fn find(&self, is: impl Fn(&Person) -> bool) -> Result<Option<&(Person, Vec<String>)>, String> {
        self.asked.set(self.asked.get() + 1);
        match &self.lost {
            Some(why) => Err(why.clone()),
            None => Ok(self.people.iter().find(|(person, _)| is(person))),
        }
    }
}

impl People for FakePeople {
    fn by_login(&self, login: &Login) -> Result<Option<Person>, String> {
        Ok(self.find(|person| person.login == *login)?.map(|(person, _)| person.clone()))
    }

    fn by_uid(&self, uid: u32) -> Result<Option<Person>, String> {
        Ok(self.find(|person| person.uid == uid)?.map(|(person, _)| person.clone()))
    }

    fn groups(&self, login: &Login) -> Result<Vec<String>, String> {
        Ok(self.find(|person| person.login == *login)?.map(|(_, groups)| groups.clone()).unwrap_or_default())
    }
}
