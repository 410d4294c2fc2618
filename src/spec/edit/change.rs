//! From what a person wants changed to the steps that change a project's
//! entry. Pure: sees what the entry says, touches no file. Problems name the
//! flag of `image update` that asked for what cannot be done.

use super::{EntryChange, EntryTree, KeyPath, NewValue};
use crate::image::packages::{AllowedAddresses, parse_apt, parse_pip_from};
use crate::model::problem::Problem;
use crate::spec::lock_file::Stamp;
use crate::spec::nearest;

/// What shall be changed. Files are named as the spec names them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProjectChanges {
    pub(crate) image: Option<String>,
    pub(crate) dockerfile: Option<String>,
    pub(crate) requirements: Option<String>,
    pub(crate) no_requirements: bool,
    pub(crate) jupyter: bool,
    pub(crate) no_jupyter: bool,
    pub(crate) add_pip: Vec<String>,
    pub(crate) add_apt: Vec<String>,
    pub(crate) add_use_case: Vec<String>,
    /// Of either kind.
    pub(crate) remove: Vec<String>,
    pub(crate) remove_pip: Vec<String>,
    pub(crate) remove_apt: Vec<String>,
    pub(crate) remove_use_case: Vec<String>,
    pub(crate) refreshed: Option<Stamp>,
}

/// What is done to an entry.
#[derive(Debug, Default)]
pub(crate) struct EntryEdit {
    pub(crate) changes: Vec<EntryChange>,
    /// For people, where the changed lines do not say it: `a>=1 → a>=2`.
    pub(crate) messages: Vec<String>,
}

/// The steps that make the changes in an entry.
///
/// # Errors
/// All that cannot be done; each names its flag.
pub(crate) fn change(
    entry: &EntryTree,
    changes: &ProjectChanges,
    allowed: &AllowedAddresses,
) -> Result<EntryEdit, Vec<Problem>> {
    if let Some(dockerfile) = entry.get(&["dockerfile"]).map(EntryTree::texts)
        && changes.need_packages()
    {
        let problem = Problem::new("the project has a Dockerfile, so no packages can be declared beside it");
        let help = format!("edit {}, and then run this without flags", dockerfile.join(", "));
        return Err(vec![problem.help(help)]);
    }
    let mut editor =
        Editor { allowed, entry: entry.clone(), edit: EntryEdit::default(), problems: Vec::new() };
    editor.set_text(&["image"], changes.image.as_deref());
    editor.set_text(&["dockerfile"], changes.dockerfile.as_deref());
    editor.set_text(&["packages", "requirements"], changes.requirements.as_deref());
    editor.set_text(&["refreshed"], changes.refreshed.map(|stamp| stamp.to_string()).as_deref());
    if changes.no_requirements {
        editor.unset(&["packages", "requirements"]);
    }
    if changes.no_jupyter {
        editor.unset(&["jupyter"]);
    }
    if changes.jupyter {
        editor.set_jupyter();
    }
    changes.remove.iter().for_each(|name| editor.remove_any(name));
    changes.remove_pip.iter().for_each(|name| editor.remove(&PIP, "--remove-pip", name));
    changes.remove_apt.iter().for_each(|name| editor.remove(&APT, "--remove-apt", name));
    changes.add_pip.iter().for_each(|text| editor.add(&PIP, "--add-pip", text));
    changes.add_apt.iter().for_each(|text| editor.add(&APT, "--add-apt", text));
    editor.change_use_cases(&changes.add_use_case, &changes.remove_use_case);
    if editor.problems.is_empty() { Ok(editor.edit) } else { Err(editor.problems) }
}

impl ProjectChanges {
    /// Whether they are about packages, which a project with a Dockerfile has none of.
    fn need_packages(&self) -> bool {
        let lists = [
            &self.add_pip,
            &self.add_apt,
            &self.add_use_case,
            &self.remove,
            &self.remove_pip,
            &self.remove_apt,
            &self.remove_use_case,
        ];
        lists.iter().any(|list| !list.is_empty()) || self.requirements.is_some() || self.jupyter
    }
}

/// A list of packages of one kind.
struct PackageList {
    path: KeyPath,
    noun: &'static str,
    parse: fn(&str, &AllowedAddresses) -> Result<String, String>,
}

const PIP: PackageList =
    PackageList { path: &["packages", "pip"], noun: "Python package", parse: parse_pip_from };
const APT: PackageList =
    PackageList { path: &["packages", "apt"], noun: "Debian package", parse: |text, _| parse_apt(text) };
const USE_CASE: KeyPath = &["use_case"];

impl PackageList {
    /// The package's name in its normal form, without versions and the like.
    fn name(&self, text: &str, allowed: &AllowedAddresses) -> Result<String, String> {
        let normal = (self.parse)(text, allowed)?;
        let name = |c: char| c.is_ascii_alphanumeric() || "-.+".contains(c);
        Ok(normal.chars().take_while(|c| name(*c)).collect())
    }
}

struct Editor<'a> {
    /// Addresses that requirements may name.
    allowed: &'a AllowedAddresses,
    /// What the entry says after the changes so far.
    entry: EntryTree,
    edit: EntryEdit,
    problems: Vec<Problem>,
}

impl Editor<'_> {
    fn apply(&mut self, change: EntryChange) {
        match self.entry.apply(&change) {
            Ok(()) => self.edit.changes.push(change),
            Err(why) => self.problems.push(Problem::new(why)),
        }
    }

    fn note(&mut self, text: String) {
        self.edit.messages.push(text);
    }

    fn texts(&self, path: KeyPath) -> Vec<String> {
        let texts = self.entry.get(path).map(EntryTree::texts).unwrap_or_default();
        texts.into_iter().map(str::to_owned).collect()
    }

    fn set_text(&mut self, path: KeyPath, text: Option<&str>) {
        let Some(new) = text else { return };
        let key = path.last().copied().unwrap_or_default();
        match self.texts(path).first() {
            Some(old) if old == new => return self.note(format!("{key} is {new} already")),
            Some(old) => self.note(format!("{key}: {old} → {new}")),
            None => {}
        }
        self.apply(EntryChange::Set(path, NewValue::Text(new.to_owned())));
    }

    fn unset(&mut self, path: KeyPath) {
        match self.entry.get(path) {
            Some(_) => self.apply(EntryChange::Unset(path)),
            None => self.note(format!("there is no {} to take away", path.join("."))),
        }
    }

    fn set_jupyter(&mut self) {
        let path: KeyPath = &["jupyter"];
        match self.texts(path).first().map(String::as_str) {
            Some("true" | "True" | "TRUE") => self.note("JupyterLab is there already".into()),
            _ => self.apply(EntryChange::Set(path, NewValue::True)),
        }
    }

    /// Positions of a package in its list.
    fn positions(&self, list: &PackageList, name: &str) -> Vec<usize> {
        let same = |text: &String| list.name(text, self.allowed).is_ok_and(|other| other == name);
        let texts = self.texts(list.path);
        texts.iter().enumerate().filter(|(_, text)| same(text)).map(|(at, _)| at).collect()
    }

    /// The name of what a flag named; if it is no package, that is a problem.
    fn name(&mut self, list: &PackageList, flag: &str, text: &str) -> Option<String> {
        let name = list.name(text, self.allowed);
        name.map_err(|why| {
            let shown: String = text.chars().take(60).collect();
            let message = format!("{flag}: `{}` is no {}", shown.escape_debug(), list.noun);
            self.problems.push(Problem::new(message).help(why));
        })
        .ok()
    }

    fn add(&mut self, list: &PackageList, flag: &str, text: &str) {
        let text = text.trim();
        let Some(name) = self.name(list, flag, text) else { return };
        match self.positions(list, &name).as_slice() {
            [] => self.apply(EntryChange::Push(list.path, text.to_owned())),
            [at] => {
                let old = self.texts(list.path).swap_remove(*at);
                if (list.parse)(&old, self.allowed) == (list.parse)(text, self.allowed) {
                    return self.note(format!("{old} is there already"));
                }
                self.note(format!("{old} → {text}"));
                self.apply(EntryChange::Replace(list.path, *at, text.to_owned()));
            }
            several => {
                let message = format!("{flag}: `{name}` stands there {} times", several.len());
                self.problems.push(Problem::new(message).help("edit the project file by hand"));
            }
        }
    }

    fn remove(&mut self, list: &PackageList, flag: &str, text: &str) {
        let Some(name) = self.name(list, flag, text) else { return };
        if !self.drop_all(list, &name) {
            self.push_absent(flag, text, list.noun, &self.texts(list.path));
        }
    }

    /// True: it was there.
    fn drop_all(&mut self, list: &PackageList, name: &str) -> bool {
        let positions = self.positions(list, name);
        positions.iter().rev().for_each(|at| self.apply(EntryChange::Drop(list.path, *at)));
        !positions.is_empty()
    }

    fn remove_any(&mut self, text: &str) {
        let found = |list: &PackageList| {
            let name = list.name(text, self.allowed).ok()?;
            (!self.positions(list, &name).is_empty()).then_some(name)
        };
        match (found(&PIP), found(&APT)) {
            (Some(_), Some(_)) => {
                let message = format!("--remove: there is a Python and a Debian package `{text}`");
                self.problems.push(Problem::new(message).help("say --remove-pip or --remove-apt"));
            }
            (Some(name), None) => _ = self.drop_all(&PIP, &name),
            (None, Some(name)) => _ = self.drop_all(&APT, &name),
            (None, None) => {
                let all = [self.texts(PIP.path), self.texts(APT.path)].concat();
                self.push_absent("--remove", text, "package", &all);
            }
        }
    }

    fn push_absent(&mut self, flag: &str, text: &str, noun: &str, all: &[String]) {
        let names: Vec<_> =
            all.iter().map(|text| PIP.name(text, self.allowed).unwrap_or_else(|_| text.clone())).collect();
        let help = match nearest(text, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if all.is_empty() => {
                "it declares none; what the image below brings cannot be taken away here".into()
            }
            None => format!("it declares: {}", all.join(", ")),
        };
        let message = format!("{flag}: the project declares no {noun} `{}`", text.escape_debug());
        self.problems.push(Problem::new(message).help(help));
    }

    /// A set may stand there as a text or as a list.
    fn change_use_cases(&mut self, add: &[String], remove: &[String]) {
        let mut sets = self.texts(USE_CASE);
        let before = sets.clone();
        for name in remove {
            match sets.iter().position(|other| other == name) {
                Some(at) => _ = sets.remove(at),
                None => self.push_absent("--remove-use-case", name, "use case", &before),
            }
        }
        for name in add {
            if sets.contains(name) {
                self.note(format!("{name} is there already"));
            } else {
                sets.push(name.clone());
            }
        }
        match sets.as_slice() {
            same if same == before => {}
            [] => self.apply(EntryChange::Unset(USE_CASE)),
            [one] => self.apply(EntryChange::Set(USE_CASE, NewValue::Text(one.clone()))),
            _ => self.apply(EntryChange::Set(USE_CASE, NewValue::Texts(sets))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::ImageUpdateArgs;
    use crate::spec::edit;

    const FILE: &str = "thesis:\n  user: ann\n  image: vision\n  packages: {pip: [\"Pandas>=1,<2\", six, dot], apt: [git, dot]}\n";

    fn args(words: &str) -> ImageUpdateArgs {
        use clap::{Args, FromArgMatches};
        let command = ImageUpdateArgs::augment_args(clap::Command::new("update").no_binary_name(true));
        let matches = command.try_get_matches_from(["thesis"].into_iter().chain(words.split_whitespace()));
        ImageUpdateArgs::from_arg_matches(&matches.unwrap()).unwrap()
    }

    #[test]
    fn a_stamp_is_set_and_replaced_and_all_else_stays_as_it_is() {
        let refreshed = |file: &str, stamp: &str| {
            let changes = ProjectChanges { refreshed: Stamp::parse(stamp), ..ProjectChanges::default() };
            let entry = edit::read(file, "thesis").unwrap();
            let change = change(&entry, &changes, &AllowedAddresses::default()).unwrap();
            edit::apply(file, "thesis", &change.changes).unwrap()
        };
        let file = "thesis:\n  user: ann # me\n  dockerfile: thesis/Dockerfile\n";
        let once = refreshed(file, "2026-11-30");
        assert_eq!(once, format!("{file}  refreshed: \"2026-11-30\"\n"));
        assert_eq!(refreshed(&once, "2026-11-30.2"), once.replace("30\"", "30.2\""));
    }

    fn changed(file: &str, words: &str) -> Result<(String, Vec<String>), Vec<Problem>> {
        let entry = edit::read(file, "thesis").unwrap();
        let change = change(&entry, &args(words).changes(), &AllowedAddresses::default())?;
        let text = edit::apply(file, "thesis", &change.changes).unwrap();
        Ok((text.lines().skip(2).map(|line| format!("{}\n", line.trim())).collect(), change.messages))
    }

    fn now(words: &str) -> (String, Vec<String>) {
        changed(FILE, words).unwrap()
    }

    fn refused(file: &str, words: &str) -> String {
        let problems = changed(file, words).unwrap_err();
        problems.iter().map(|p| format!("{} | {}\n", p.message, p.help.as_deref().unwrap_or(""))).collect()
    }

    #[test]
    fn a_package_with_another_version_is_replaced_by_its_name_and_said() {
        let (text, said) = now("--add-pip pandas>=2 numpy");
        assert_eq!(text, "image: vision\npackages: {pip: [pandas>=2, six, dot, numpy], apt: [git, dot]}\n");
        assert_eq!(said, ["Pandas>=1,<2 → pandas>=2"]);
        let (text, said) = now("--add-apt git git=1:2.3-4");
        assert!(text.contains("apt: [git=1:2.3-4, dot]"), "{text}");
        assert_eq!(said, ["git is there already", "git → git=1:2.3-4"]);
    }

    #[test]
    fn packages_are_removed_from_the_list_that_has_them() {
        assert!(now("--remove six git").0.contains("packages: {pip: [\"Pandas>=1,<2\", dot], apt: [dot]}"));
        assert!(
            now("--remove-apt dot --remove-pip pandas").0.contains("packages: {pip: [six, dot], apt: [git]}")
        );
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        let said = refused(FILE, "--remove pandsa zlib --remove-pip git --remove dot --remove-use-case cv");
        insta::assert_snapshot!(said);
        let none = "thesis:\n  user: ann\n  image: vision\n";
        assert!(refused(none, "--remove six").contains("it declares none"));
    }

    #[test]
    fn what_is_no_package_names_the_flag_and_the_rule() {
        let said = refused(FILE, "--add-pip six;rm pandas==1==2 --add-apt A;b --add-pip=--index-url=x");
        insta::assert_snapshot!(said);
    }

    #[test]
    fn a_project_with_a_dockerfile_is_changed_there() {
        let file = "thesis:\n  user: ann\n  image: vision\n  dockerfile: t/Dockerfile\n";
        assert!(refused(file, "--add-pip six").contains("edit t/Dockerfile"));
        assert!(refused(file, "--jupyter").contains("edit t/Dockerfile"));
        assert!(changed(file, "--image other").unwrap().0.starts_with("image: other\n"));
    }

    #[test]
    fn sets_are_a_text_or_a_list_and_go_with_their_last() {
        let (one, _) = now("--add-use-case nlp");
        assert!(one.ends_with("use_case: nlp\n"), "{one}");
        let file = format!("{FILE}  use_case: nlp # x\n");
        let (two, said) = changed(&file, "--add-use-case cv nlp").unwrap();
        assert!(two.ends_with("use_case: [nlp, cv] # x\n"), "{two}");
        assert_eq!(said, ["nlp is there already"]);
        assert!(!changed(&file, "--remove-use-case nlp").unwrap().0.contains("use_case"));
    }

    #[test]
    fn keys_are_changed_once() {
        let (text, said) = now("--image vision@py312 --jupyter --no-requirements");
        assert!(text.starts_with("image: vision@py312\n") && text.ends_with("jupyter: true\n"), "{text}");
        assert_eq!(said, ["image: vision → vision@py312", "there is no packages.requirements to take away"]);
        assert_eq!(now("--image vision").1, ["image is vision already"]);
        assert!(now("--image vision").0.ends_with("apt: [git, dot]}\n"));
    }
}
