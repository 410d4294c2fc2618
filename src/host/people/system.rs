//! The machine's own user database, LDAP included: asked through `getent`,
//! since only libc's resolver knows every source.
//!
//! Each question is asked once. After one that stayed without an answer no
//! more is asked: a database that hangs costs its time limit once, not once for
//! each container of a list.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::Command;

use super::{People, Person};
use crate::host::process;
use crate::model::names::Login;

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(5);
/// `getent` has none of what it was asked for.
const NOT_FOUND: i32 = 2;
/// Logins in one question: a slow database answers each within the limit.
const AT_ONCE: usize = 100;

/// The system's user database.
#[derive(Debug)]
pub(crate) struct System {
    getent: PathBuf,
    id: PathBuf,
    limit: Duration,
    answers: Mutex<Answers>,
}

/// What was asked, and what came of it.
#[derive(Debug, Default)]
struct Answers {
    logins: HashMap<Login, Option<Person>>,
    uids: HashMap<u32, Option<Person>>,
    /// Why it could not be asked.
    lost: Option<String>,
}

impl Default for System {
    fn default() -> Self {
        Self::new("getent", "id", LIMIT)
    }
}

impl System {
    /// Asked through these programs, found on `PATH` if they are only names.
    pub(crate) fn new(getent: impl AsRef<Path>, id: impl AsRef<Path>, limit: Duration) -> Self {
        let (getent, id) = (getent.as_ref().to_owned(), id.as_ref().to_owned());
        Self { getent, id, limit, answers: Mutex::default() }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, program: &Path, args: &[&str]) -> Result<Output, String> {
        if let Some(lost) = &self.answers().lost {
            return Err(lost.clone());
        }
        let mut command = Command::new(program);
        // In a process group, so that what it has started ends with it.
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let why = match process::run_blocking(command, self.limit) {
            Ok(Some(output)) => return Ok(output),
            Ok(None) => format!("no answer within {} s", self.limit.as_secs_f32()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                format!("there is no program `{}`", program.display())
            }
            Err(error) => format!("`{}` cannot be run: {error}", program.display()),
        };
        let why = format!("the user database of this machine cannot be asked: {why}");
        self.answers().lost = Some(why.clone());
        Err(why)
    }

    /// Lines of a database; none where it has nothing under these keys.
    fn getent(&self, database: &str, keys: &[&str]) -> Result<Vec<String>, String> {
        // Behind `--` nothing is an option, whatever a login begins with.
        let answer = self.ask(&self.getent, &[&[database, "--"], keys].concat())?;
        match answer.status.code() {
            Some(0 | NOT_FOUND) => Ok(text(&answer).lines().map(str::to_owned).collect()),
            _ => Err(format!(
                "the user database of this machine cannot be asked: `{} {database}` ended with {}",
                self.getent.display(),
                answer.status
            )),
        }
    }

    fn passwd(&self, key: &str) -> Result<Option<Person>, String> {
        let lines = self.getent("passwd", &[key])?;
        let Some(line) = lines.first() else { return Ok(None) };
        let unread = || format!("the user database of this machine has no account in its answer: `{line}`");
        person(line).map(Some).ok_or_else(unread)
    }

    /// `getent` takes such a login for a uid; `id` looks for the name first.
    fn by_number_like(&self, login: &Login) -> Result<Option<Person>, String> {
        let answer = self.ask(&self.id, &["-u", "--", login.as_str()])?;
        let uid = text(&answer).trim().parse().ok().filter(|_| answer.status.success());
        let Some(uid) = uid else { return Ok(None) };
        // It may have been a uid after all, and then somebody else's.
        Ok(self.by_uid(uid)?.filter(|person| person.login == *login))
    }
}

impl People for System {
    fn by_login(&self, login: &Login) -> Result<Option<Person>, String> {
        if let Some(known) = self.answers().logins.get(login) {
            return Ok(known.clone());
        }
        let found = if looks_like_a_number(login) {
            self.by_number_like(login)?
        } else {
            self.passwd(login.as_str())?
        };
        self.answers().logins.insert(login.clone(), found.clone());
        Ok(found)
    }

    fn by_uid(&self, uid: u32) -> Result<Option<Person>, String> {
        if let Some(known) = self.answers().uids.get(&uid) {
            return Ok(known.clone());
        }
        let found = self.passwd(&uid.to_string())?.filter(|person| person.uid == uid);
        self.answers().uids.insert(uid, found.clone());
        Ok(found)
    }

    fn groups(&self, login: &Login) -> Result<Vec<String>, String> {
        let Some(person) = self.by_login(login)? else { return Ok(Vec::new()) };
        // The further groups, to which the account's own is added.
        let lines = self.getent("initgroups", &[person.login.as_str()])?;
        let mut all: Vec<u32> = lines.iter().flat_map(|line| gids(line, &person.login)).collect();
        all.push(person.gid);
        all.sort_unstable();
        all.dedup();
        let keys: Vec<String> = all.iter().map(u32::to_string).collect();
        let lines = self.getent("group", &keys.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(lines.iter().filter_map(|line| group_name(line)).map(str::to_owned).collect())
    }

    fn expect(&self, logins: &[Login]) {
        let new = |login: &&Login| !looks_like_a_number(login) && !self.answers().logins.contains_key(*login);
        let mut asked: Vec<&Login> = logins.iter().filter(new).collect();
        asked.sort();
        asked.dedup();
        for some in asked.chunks(AT_ONCE) {
            let keys: Vec<&str> = some.iter().map(|login| login.as_str()).collect();
            // Whoever asks for one of them learns what went wrong.
            let Ok(lines) = self.getent("passwd", &keys) else { return };
            let found: Vec<Person> = lines.iter().filter_map(|line| person(line)).collect();
            let mut answers = self.answers();
            // A database may answer under another spelling; then only a
            // question of its own tells which login was meant.
            let exact = found.iter().all(|person| some.contains(&&person.login));
            for login in some {
                let person = found.iter().find(|person| person.login == **login);
                if person.is_some() || exact {
                    answers.logins.insert((*login).clone(), person.cloned());
                }
            }
        }
    }
}

fn text(output: &Output) -> Cow<'_, str> {
    String::from_utf8_lossy(&output.stdout)
}

// Lines of the user database, as `passwd(5)` and `group(5)` have them.

/// One line of `passwd`; `None`: it is none.
fn person(line: &str) -> Option<Person> {
    let fields: Vec<&str> = line.split(':').collect();
    let [login, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
    if login.is_empty() {
        return None;
    }
    let absolute = |path: &&str| path.starts_with('/');
    Some(Person {
        login: Login::new(*login),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: Some(*home).filter(absolute).map(Into::into),
        shell: Some(*shell).filter(absolute).map(Into::into),
    })
}

/// The name on a line of `group`.
fn group_name(line: &str) -> Option<&str> {
    line.split(':').next().filter(|name| !name.is_empty())
}

/// The numbers on a line of `initgroups`, behind the login, which may hold
/// blanks itself.
fn gids(line: &str, login: &Login) -> Vec<u32> {
    let rest = line.strip_prefix(login.as_str()).unwrap_or(line);
    rest.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Whether `getent` would take this login for a number, by the rules of
/// `strtoul`: blanks, a sign, digits.
fn looks_like_a_number(login: &Login) -> bool {
    let text = login.as_str().trim_start();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}
