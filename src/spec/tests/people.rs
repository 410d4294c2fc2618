//! Users that the machine's database knows.

use std::path::Path;

use super::super::files::memory::MemoryFiles;
use super::super::{Spec, SpecContext, read};
use super::{app, files, right, shown};
use crate::host::people::fake::FakePeople;
use crate::model::names::Login;
use crate::model::problem::Problem;

/// A spec with the image `app` and the user `a@x`, and projects beside it.
fn stack(projects: &str) -> MemoryFiles {
    let head = "include: [projects/*.yml]\nusers:\n  a@x: {uid: 1001, gid: 1001, group: faculty}\ntag:";
    files(&app("image_name: ds01/app").replace("tag:", head)).file("/r/projects/1.yml", projects)
}

fn open(projects: &str, people: &FakePeople) -> Result<Spec, Vec<Problem>> {
    let files = stack(projects);
    read(Path::new("/r"), Path::new("spec.yml"), &SpecContext { people, ..SpecContext::of(&files) })
}

/// The one problem of these projects.
#[track_caller]
fn only(projects: &str, people: &FakePeople) -> String {
    let text = shown(&open(projects, people).expect_err("this is wrong"));
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}

#[test]
fn a_user_that_only_the_database_knows_has_the_default_group() {
    let people = FakePeople::default().with("h.baker@x", 1722830498, 1722830499, &[]);
    let spec = open("t: {user: h.baker@x, image: app}\n", &people).unwrap();
    let project = &spec.projects[0];
    assert_eq!((project.account.uid, project.account.gid), (1722830498, 1722830499));
    assert_eq!((project.account.name.as_str(), project.account.shell.as_str()), ("h-baker", "/bin/bash"));
    assert_eq!(project.group, None);
    assert!(spec.limits_of(&project.account.login).unwrap().by_default);
    assert_eq!(project.repository.to_string(), "ds01-1722830498/t");
    assert!(!spec.users.contains_key(&Login::new("h.baker@x")), "`users` holds what is written there");
}

#[test]
fn the_database_is_not_asked_for_those_that_the_spec_has() {
    let people = FakePeople::lost("it hangs");
    open("t: {user: a@x, image: app}\n", &people).unwrap();
    assert_eq!(people.asked(), 0);
}

#[test]
fn one_login_is_asked_for_once() {
    let people = FakePeople::default().with("b", 1002, 1002, &[]);
    open("t: {user: b, image: app}\nu: {user: b, image: app}\n", &people).unwrap();
    assert_eq!(people.asked(), 1);
    let people = FakePeople::default();
    let text = shown(&open("t: {user: b, image: app}\nu: {user: b, image: app}\n", &people).unwrap_err());
    assert_eq!((text.lines().count(), people.asked()), (1, 1), "{text}");
}

#[test]
fn a_login_that_nobody_has_names_both_places_and_the_near_one() {
    let nobody = FakePeople::default();
    assert_eq!(
        only("t: {user: a@y, image: app}\n", &nobody),
        "projects/1.yml:1:11 no user `a@y`: neither `users` nor the user database of this machine has the login | did you mean `a@x`?"
    );
    assert!(
        only("t: {user: zoe.maier, image: app}\n", &nobody).ends_with("or add it to `users` in the spec")
    );
}

#[test]
fn a_database_that_cannot_be_asked_is_said_where_it_was_needed() {
    let text = only("t: {user: b, image: app}\n", &FakePeople::lost("it hangs"));
    assert_eq!(
        text,
        "projects/1.yml:1:11 `users` has no `b`, and it hangs | add the login to `users` in the spec, or try again when the database answers"
    );
}

#[test]
fn no_account_of_the_system_gets_an_image_whatever_the_database_says() {
    for (uid, gid, why) in [
        (0, 0, "the uid 0, which is root's"),
        (33, 33, "the uid 33, which belongs to the system"),
        (65534, 65534, "the uid 65534, which is nobody's"),
        (1002, 27, "the gid 27, which belongs to the system"),
        (4294967295, 1002, "the uid 4294967295, which is above 4294967294"),
    ] {
        let text = only("t: {user: b, image: app}\n", &FakePeople::default().with("b", uid, gid, &[]));
        assert!(text.contains(why) && text.contains("ds01-build takes no"), "{text}");
    }
    open("t: {user: b, image: app}\n", &FakePeople::default().with("b", 1002, 100, &[])).unwrap();
}

#[test]
fn a_login_that_breaks_the_grammar_is_never_asked_for() {
    let people = FakePeople::default();
    let long = format!("t: {{user: {}, image: app}}\n", "a".repeat(300));
    assert!(only(&long, &people).contains("cannot be a login"));
    assert!(only("t: {user: \"a\\nb\", image: app}\n", &people).contains("cannot be a login"));
    assert_eq!(people.asked(), 0);
}

#[test]
fn uid_and_account_name_are_one_user_s_alone_wherever_they_come_from() {
    let people = FakePeople::default().with("b", 1001, 1001, &[]).with("a@z", 1003, 1003, &[]);
    assert!(
        only("t: {user: b, image: app}\n", &people).contains(
            "`b` and `a@x` have one uid: 1001 | give each their own; the other stands in spec.yml:3"
        )
    );
    assert!(
        only("t: {user: a@z, image: app}\n", &people).contains("`a@z` and `a@x` give one account name: `a`")
    );
}

#[test]
fn where_spec_and_database_know_somebody_they_must_agree() {
    let logins = |spec: &Spec| spec.users.keys().cloned().collect::<Vec<_>>();
    let told = |people: &FakePeople| {
        let spec = right(&stack("t: {user: a@x, image: app}\n"));
        spec.disagreements(&logins(&spec), people).map(|problems| shown(&problems))
    };
    assert_eq!(told(&FakePeople::default()).unwrap(), "", "the database does not know them");
    assert_eq!(told(&FakePeople::default().with("a@x", 1001, 1001, &[])).unwrap(), "");
    assert_eq!(
        told(&FakePeople::default().with("a@x", 1005, 1001, &[])).unwrap(),
        "spec.yml:3:3 `a@x` has uid 1001 and gid 1001 here, but uid 1005 and gid 1001 in the user database of this machine | one of them is wrong: write {uid: 1005, gid: 1001}, or have the database corrected\n"
    );
    assert!(told(&FakePeople::default().with("a@x", 1001, 2000, &[])).unwrap().contains("gid 2000"));
    assert_eq!(told(&FakePeople::lost("it hangs")), Err("it hangs".into()));
}

#[test]
fn administrators_are_groups_of_the_machine() {
    let spec = |text: &str| super::small(&format!("administrators: {text}\n"));
    let groups = right(&files(&spec("[gpu-admins, domain admins]"))).administrators;
    assert_eq!(groups.into_iter().collect::<Vec<_>>(), ["domain admins", "gpu-admins"]);
    assert_eq!(right(&files(&spec("sudo"))).administrators.len(), 1);
    assert!(right(&files(&spec(""))).administrators.is_empty());
    for bad in ["[\"\"]", "[\"a:b\"]", "[\"a,b\"]", "[\" a\"]"] {
        assert!(super::wrong(&files(&spec(bad))).contains("cannot be a group of the machine"), "{bad}");
    }
}
