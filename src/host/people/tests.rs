//! The system's database through programs that stand in for `getent` and `id`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;

/// A folder with programs, and the questions that they were asked.
struct Programs(tempfile::TempDir);

impl Programs {
    fn new(getent: &str) -> Self {
        let programs = Self(tempfile::tempdir().unwrap());
        programs.write("getent", getent);
        programs.write("id", "exit 1");
        programs
    }

    fn write(&self, name: &str, body: &str) {
        let (path, log) = (self.0.path().join(name), self.0.path().join("log"));
        let text = format!("#!/bin/sh\necho \"{name} $*\" >> {}\n{body}\n", log.display());
        // Written aside and moved: a program that is open for writing by
        // another thread's child cannot be run.
        let new = path.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn system(&self, patience: Duration) -> System {
        let run = |name: &str| -> PathBuf { self.0.path().join(name) };
        System::new(run("getent"), run("id"), patience)
    }

    fn patient(&self) -> System {
        self.system(Duration::from_secs(60))
    }

    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.0.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

fn login(text: &str) -> Login {
    Login::new(text)
}

const ANN: &str = "echo 'ann@x:*:1001:1002:Ann:/home/ann:/bin/zsh'";

#[test]
fn a_login_is_found_with_all_that_the_database_says_and_asked_for_once() {
    let programs = Programs::new(ANN);
    let system = programs.patient();
    let ann = system.by_login(&login("ann@x")).unwrap().unwrap();
    assert_eq!((ann.uid, ann.gid), (1001, 1002));
    assert_eq!(ann.home, Some("/home/ann".into()));
    assert_eq!(ann.shell.as_deref(), Some("/bin/zsh"));
    assert_eq!(system.by_login(&login("ann@x")).unwrap(), Some(ann));
    assert_eq!(programs.asked(), ["getent passwd -- ann@x"]);
}

#[test]
fn nobody_of_that_name_is_an_answer() {
    let programs = Programs::new("exit 2");
    let system = programs.patient();
    assert_eq!(system.by_login(&login("-x")), Ok(None));
    assert_eq!(system.by_uid(7), Ok(None));
    assert_eq!(system.groups(&login("-x")), Ok(vec![]));
    assert_eq!(programs.asked(), ["getent passwd -- -x", "getent passwd -- 7"]);
}

#[test]
fn a_login_of_digits_is_never_taken_for_a_uid() {
    // What a real getent says to 1001 and 5000: whose uid these are.
    let of_uid = "case $3 in 5000) echo '1001:*:5000:5000::/h:';; 1001) echo 'ann:*:1001:1001::/h:';; *) exit 2;; esac";
    let programs = Programs::new(of_uid);
    // And a real id: the name first.
    programs.write("id", "case $3 in 1001) echo 5000;; 5000) echo 5000;; *) exit 1;; esac");
    let system = programs.patient();
    assert_eq!(system.by_login(&login("1001")).unwrap().unwrap().uid, 5000);
    assert_eq!(system.by_login(&login("5000")), Ok(None), "5000 is a uid only");
    assert_eq!(system.by_login(&login("+7")), Ok(None));
    assert_eq!(programs.asked()[0], "id -u -- 1001");
}

#[test]
fn a_database_that_hangs_is_given_up_once_for_all_questions() {
    let programs = Programs::new("sleep 600 & sleep 600");
    let system = programs.system(Duration::from_millis(300));
    let began = Instant::now();
    let why = system.by_login(&login("ann")).unwrap_err();
    assert!(why.contains("cannot be asked: no answer within 0.3 s"), "{why}");
    for uid in 1000..1100 {
        assert_eq!(system.by_uid(uid), Err(why.clone()));
    }
    assert_eq!(programs.asked().len(), 1);
    assert!(began.elapsed() < Duration::from_secs(60), "its end was waited for");
}

#[test]
fn a_database_that_closes_its_output_and_stays_is_given_up_too() {
    let programs = Programs::new("exec >&-; sleep 600");
    let system = programs.system(Duration::from_millis(300));
    assert!(system.by_uid(1001).unwrap_err().contains("no answer within"));
}

#[test]
fn a_database_that_fails_says_how() {
    let programs = Programs::new("exit 3");
    let why = programs.patient().by_uid(1001).unwrap_err();
    assert!(why.contains("passwd` ended with exit status: 3"), "{why}");
    let programs = Programs::new("echo nonsense");
    let why = programs.patient().by_uid(1001).unwrap_err();
    assert!(why.contains("`nonsense`"), "{why}");
    let system = System::new("/nowhere/getent", "id", Duration::from_secs(60));
    assert!(system.by_uid(1).unwrap_err().ends_with("there is no program `/nowhere/getent`"));
}

#[test]
fn groups_are_the_further_ones_and_the_account_s_own_by_names_that_may_have_blanks() {
    let programs = Programs::new(&format!(
        "case $1 in passwd) {ANN};; initgroups) echo 'ann@x   27 500';; \
         group) printf '%s\\n' 'sudo:x:27:' 'domain users:*:500:ann@x' 'ann:x:1002:';; esac"
    ));
    assert_eq!(programs.patient().groups(&login("ann@x")).unwrap(), ["sudo", "domain users", "ann"]);
    assert_eq!(programs.asked()[2], "getent group -- 27 500 1002");
}

#[test]
fn many_logins_are_one_question() {
    let programs = Programs::new("echo 'b:*:1002:1002::/h:'; exit 2");
    let system = programs.patient();
    system.expect(&["a", "b", "c", "12"].map(login));
    assert_eq!(system.by_login(&login("a")), Ok(None));
    assert_eq!(system.by_login(&login("b")).unwrap().unwrap().uid, 1002);
    assert_eq!(programs.asked(), ["getent passwd -- a b c"]);
}

#[test]
fn a_login_that_the_database_spells_otherwise_gets_a_question_of_its_own() {
    let programs = Programs::new(ANN);
    let system = programs.patient();
    system.expect(&["Ann@X", "ann@x"].map(login));
    assert_eq!(system.by_login(&login("ann@x")).unwrap().unwrap().uid, 1001);
    assert_eq!(programs.asked().len(), 1);
    system.expect(&["ANN@X"].map(login));
    assert_eq!(system.by_login(&login("ANN@X")).unwrap().unwrap().login, login("ann@x"));
    assert_eq!(programs.asked().len(), 3);
}

#[test]
fn the_real_database_knows_root_by_name_by_number_and_by_group() {
    let system = System::default();
    let root = system.by_uid(0).unwrap().unwrap();
    assert_eq!(system.by_login(&root.login).unwrap(), Some(root.clone()));
    assert!(!system.groups(&root.login).unwrap().is_empty());
    assert_eq!(system.by_login(&login("0")), Ok(None), "a uid is no login");
    assert_eq!(system.by_login(&login("nobody-has-this-login@x")), Ok(None));
}

#[test]
fn everybody_acts_for_themselves_and_administrators_for_all() {
    let caller = |uid, in_administrators| Caller { login: login("x"), uid, in_administrators };
    assert!(may_act_for(&caller(1001, false), 1001));
    assert!(!may_act_for(&caller(1001, false), 10012));
    assert!(may_act_for(&caller(1001, true), 1002));
    assert!(may_act_for(&caller(0, false), 1002));
}
