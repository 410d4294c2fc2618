//! What somebody asks for of a project, checked word by word before it is
//! written: each mistake names its flag and the rule, all of them at once. What
//! only the whole spec can tell is found when it is read with the new text.

use std::path::{Path, PathBuf};

use super::{EntryEdit, ProjectChanges, ProjectEntry, apply, change, check_name, problem, read};
use crate::host::people::Caller;
use crate::image::packages::{parse_apt, parse_pip_from};
use crate::model::account::account_name;
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::spec::files::{Disk, FileKind, Files};
use crate::spec::graph::{Graph, NodeKind};
use crate::spec::paths::new_project_file;
use crate::spec::{Project, Spec, grammar, nearest};

/// Flags by the key of the project file that they write.
const FLAGS: [(&str, &str); 8] = [
    ("user", "--user"),
    ("image", "--image"),
    ("use_case", "--use-case"),
    ("dockerfile", "--dockerfile"),
    ("apt", "--apt"),
    ("pip", "--pip"),
    ("requirements", "--requirements"),
    ("jupyter", "--jupyter"),
];

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EditError {
    /// What was typed, or the text that is there.
    Wrong(Vec<Problem>),
    /// A rule says no.
    Refused(Problem),
}

impl From<Problem> for EditError {
    fn from(problem: Problem) -> Self {
        Self::Wrong(vec![problem])
    }
}

/// Who asks, where they stand, and the spec that it is asked of.
#[derive(Clone, Copy)]
pub(crate) struct EditContext<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    pub(crate) caller: &'a Caller,
    /// Absolute.
    pub(crate) here: &'a Path,
}

impl<'a> EditContext<'a> {
    /// Checks a new project, and names owner and files as the spec does.
    ///
    /// # Errors
    /// All that is wrong with the flags; or the caller may not ask for it.
    pub(crate) fn check(self, entry: &mut ProjectEntry, user: Option<&str>) -> Result<(), EditError> {
        let mut problems = Vec::new();
        problems.extend(check_name(&entry.name).err().map(|problem| flagged("NAME", problem)));
        problems.extend(self.check_base(&entry.image));
        let parse_pip = |text: &str| parse_pip_from(text, &self.spec.build.allow_urls);
        problems.extend(entry.apt.iter().filter_map(|text| uninstallable("--apt", text, parse_apt(text))));
        problems.extend(entry.pip.iter().filter_map(|text| uninstallable("--pip", text, parse_pip(text))));
        self.name_files(&mut entry.requirements, &mut entry.dockerfile, &mut problems);
        let user = self.owner(user);
        if let Err(EditError::Wrong(more)) = &user {
            problems.extend(more.iter().cloned());
        }
        if !problems.is_empty() {
            return Err(EditError::Wrong(problems));
        }
        entry.user = user?.to_string();
        for text in entry.apt.iter_mut().chain(&mut entry.pip) {
            *text = text.trim().to_owned();
        }
        Ok(())
    }

    /// What has to be said where nobody can be asked.
    pub(crate) fn missing(self, name: bool, image: bool) -> EditError {
        let name = name.then(|| {
            Problem::new("the project needs a name")
                .help("say it: ds01-build image create NAME --image IMAGE")
        });
        let image = image.then(|| {
            Problem::new("what it shall be based on is not said")
                .help(format!("say --image NAME; there are: {}", self.all_choices()))
        });
        EditError::Wrong(name.into_iter().chain(image).collect())
    }

    /// What a project can be based on: images, then bases, as the spec has them.
    pub(crate) fn choices(self) -> impl Iterator<Item = &'a str> {
        let of = move |wanted: fn(&NodeKind) -> bool| {
            self.graph.nodes().filter(move |node| wanted(&node.kind)).map(|node| node.name.as_str())
        };
        of(|kind| matches!(kind, NodeKind::Image(_))).chain(of(|kind| matches!(kind, NodeKind::Base(_))))
    }

    fn all_choices(self) -> String {
        self.choices().collect::<Vec<_>>().join(", ")
    }

    fn check_base(self, image: &str) -> Option<Problem> {
        if self.choices().any(|known| known == image) {
            return None;
        }
        let help = match nearest(image, self.choices()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", self.all_choices()),
        };
        let image = image.escape_debug();
        Some(Problem::new(format!("--image: there is no image or base `{image}`")).help(help))
    }

    /// Whose project it will be: the caller's, as the spec calls them, or for an
    /// administrator anybody's.
    ///
    /// # Errors
    /// No login, or not the caller's own.
    pub(crate) fn owner(self, asked: Option<&str>) -> Result<Login, EditError> {
        let (caller, users) = (self.caller, &self.spec.users);
        let own = users.values().find(|user| user.account.uid == caller.uid).map(|user| &user.account.login);
        let own = own.unwrap_or(&caller.login);
        let login = asked.map_or_else(|| own.clone(), Login::new);
        let wrong = |problem| flagged("--user", problem);
        grammar::login(login.as_str()).map_err(|error| wrong(problem(error)))?;
        account_name(&login).map_err(|why| wrong(Problem::new(why)))?;
        if login.as_str() == "root" || (asked.is_none() && caller.uid == 0) {
            let problem = Problem::new("root has no projects").help("say for whom it is: --user LOGIN");
            return Err(wrong(problem).into());
        }
        let theirs = login == *own
            || login == caller.login
            || users.get(&login).is_some_and(|user| user.account.uid == caller.uid);
        if theirs || caller.is_administrator() {
            return Ok(login);
        }
        let problem = Problem::new(format!("--user: you are {own}, not {login}"));
        let help = "only an administrator asks for an image for somebody else";
        Err(EditError::Refused(problem.help(help)))
    }

    /// A project of that name of the same person.
    pub(crate) fn in_use(self, name: &str, login: &Login) -> Option<&'a Project> {
        let account = account_name(login).ok()?;
        let mut projects = self.spec.projects.iter();
        projects.find(|project| project.name.as_str() == name && project.account.name == account)
    }

    /// Where the file of a new project belongs, absolute.
    ///
    /// # Errors
    /// Its owner has one of that name, or there is no place for it.
    pub(crate) fn place(self, entry: &ProjectEntry) -> Result<PathBuf, EditError> {
        let (name, login) = (&entry.name, Login::new(&entry.user));
        if let Some(there) = self.in_use(name, &login) {
            let file = there.place.file.path.display();
            let problem = Problem::new(format!("NAME: {login} has a project `{name}` already, in {file}"));
            let help = format!("choose another name, or change it: ds01-build image update {name}");
            return Err(problem.help(help).into());
        }
        let account = account_name(&login).map_err(Problem::new)?;
        Ok(new_project_file(self.spec, &account, name, &Disk)?)
    }

    /// A project file's text with the changes, and what they are.
    ///
    /// # Errors
    /// All that is wrong with the flags; or the text has to be changed by hand.
    pub(crate) fn change(
        self,
        text: &str,
        project: &Project,
        mut changes: ProjectChanges,
    ) -> Result<(String, EntryEdit), EditError> {
        let mut problems = Vec::new();
        problems.extend(changes.image.as_deref().and_then(|image| self.check_base(image)));
        self.name_files(&mut changes.requirements, &mut changes.dockerfile, &mut problems);
        let by_hand = |why: String| {
            let file = project.place.file.path.display();
            Problem::new(format!("{file} was not changed: {why}"))
                .help("edit it, and then run `ds01-build image update` without flags")
        };
        let name = project.name.as_str();
        let entry = read(text, name).map_err(by_hand)?;
        match change(&entry, &changes, &self.spec.build.allow_urls) {
            Ok(edit) if problems.is_empty() => Ok((apply(text, name, &edit.changes).map_err(by_hand)?, edit)),
            result => {
                problems.extend(result.err().into_iter().flatten());
                Err(EditError::Wrong(problems))
            }
        }
    }

    /// Files as the spec names them: relative to its folder. One that is not
    /// there or lies elsewhere is a problem, which names the flag.
    fn name_files(
        self,
        requirements: &mut Option<String>,
        dockerfile: &mut Option<String>,
        problems: &mut Vec<Problem>,
    ) {
        for (flag, file) in [("--requirements", requirements), ("--dockerfile", dockerfile)] {
            match file.as_ref().map(|file| self.below_root(file)).transpose() {
                Ok(below) => *file = below,
                Err(problem) => problems.push(flagged(flag, problem)),
            }
        }
    }

    fn below_root(self, file: &str) -> Result<String, Problem> {
        let real = Disk
            .real(&self.here.join(file))
            .map_err(|error| Problem::new(format!("`{file}` cannot be read: {error}")))?;
        let Ok(below) = real.strip_prefix(&self.spec.root) else {
            let folder = self.spec.root.display();
            let problem = Problem::new(format!("`{file}` lies outside of the folder of the spec, {folder}"));
            return Err(problem.help("copy it there, beside the project files for example"));
        };
        if Disk.kind(&real) != Some(FileKind::File) {
            return Err(Problem::new(format!("`{file}` is not a file")));
        }
        let text = below.to_str().map(str::to_owned);
        text.ok_or_else(|| Problem::new(format!("the name of `{file}` is no UTF-8")))
    }
}

fn uninstallable(flag: &str, text: &str, parsed: Result<String, String>) -> Option<Problem> {
    let shown: String = text.chars().take(60).collect();
    let problem = Problem::new(format!("{flag}: `{}` cannot be installed", shown.escape_debug()));
    parsed.err().map(|why| problem.help(why))
}

fn flagged(flag: &str, mut problem: Problem) -> Problem {
    problem.message = format!("{flag}: {}", problem.message);
    problem
}

/// A problem in a text that nobody wrote by hand, told of the flag that put it
/// there. One in another text stays as it is.
pub(crate) fn of_flag(problem: Problem, text: &str) -> Problem {
    let Some(place) = problem.place.as_ref().filter(|place| place.file.text == text) else { return problem };
    let start = text[..place.span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[place.span.end..].find('\n').map_or(text.len(), |at| place.span.end + at);
    let line = &text[start..end];
    let column = place.span.start - start;
    let before = FLAGS.iter().filter_map(|(key, flag)| {
        let at =
            line.match_indices(&format!("{key}:")).map(|(at, _)| at).filter(|at| *at <= column).last()?;
        Some((at, *flag))
    });
    let flag = before.max().map_or("NAME", |(_, flag)| flag);
    Problem { place: None, label: None, ..flagged(flag, problem) }
}
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::problem::{Place, SourceFile};

    #[test]
    fn a_problem_in_the_new_file_names_the_flag_that_wrote_it() {
        let text =
            "thesis:\n  user: ann\n  image: vision\n  packages: {apt: [a], pip: [b], requirements: r.txt}\n";
        let file = Arc::new(SourceFile::new("p.yml", text));
        for (part, flag) in [
            ("thesis", "NAME"),
            ("ann", "--user"),
            ("image", "--image"),
            ("[a]", "--apt"),
            ("b]", "--pip"),
            ("r.txt", "--requirements"),
        ] {
            let at = text.find(part).unwrap();
            let place = Place { file: file.clone(), span: at..at + part.len() };
            let flagged = of_flag(Problem::new("wrong").at(&place), text);
            assert_eq!((flagged.message, flagged.place), (format!("{flag}: wrong"), None));
            let elsewhere = Problem::new("wrong").at(&place);
            assert_eq!(of_flag(elsewhere.clone(), "another"), elsewhere);
        }
    }
}
