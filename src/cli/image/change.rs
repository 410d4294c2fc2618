//! From the flags of `image update` to changes of a project's entry. Pure:
//! sees what the entry says, touches no file.

use crate::cli::args::ImageUpdateArgs;
use crate::image::packages::{Allowed, parse_apt, parse_pip_from};
use crate::model::problem::Problem;
use crate::spec::edit::{EntryChange, EntryTree, KeyPath, NewValue};
use crate::spec::nearest;

/// What is done to an entry.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) steps: Vec<EntryChange>,
    /// For people, where the changed lines do not say it: `a>=1 → a>=2`.
    pub(crate) said: Vec<String>,
}

/// Files that were named, as the spec names them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) requirements: Option<String>,
    pub(crate) dockerfile: Option<String>,
}

/// The changes that the flags ask for.
///
/// # Errors
/// All that cannot be done; each names its flag.
pub(crate) fn change(
    entry: &EntryTree,
    args: &ImageUpdateArgs,
    named: &Named,
    allowed: &Allowed,
) -> Result<Change, Vec<Problem>> {
    let mut editor =
        Editor { allowed, entry: entry.clone(), change: Change::default(), problems: Vec::new() };
    if let Some(dockerfile) = entry.get(&["dockerfile"]).map(EntryTree::texts)
        && asks_for_packages(args)
    {
        let problem = Problem::new("the project has a Dockerfile, so no packages can be declared beside it");
        let help = format!("edit {}, and then run this without flags", dockerfile.join(", "));
        return Err(vec![problem.help(help)]);
    }
    editor.text(&["image"], args.image.as_deref());
    editor.text(&["dockerfile"], named.dockerfile.as_deref());
    editor.text(&["packages", "requirements"], named.requirements.as_deref());
    for (asked, path) in
        [(args.no_requirements, &["packages", "requirements"] as KeyPath), (args.no_jupyter, &["jupyter"])]
    {
        if asked {
            editor.unset(path);
        }
    }
    if args.jupyter {
        editor.jupyter();
    }
    args.remove.iter().for_each(|name| editor.remove_any(name));
    args.remove_pip.iter().for_each(|name| editor.remove(&PIP, "--remove-pip", name));
    args.remove_apt.iter().for_each(|name| editor.remove(&APT, "--remove-apt", name));
    args.add_pip.iter().for_each(|text| editor.add(&PIP, "--add-pip", text));
    args.add_apt.iter().for_each(|text| editor.add(&APT, "--add-apt", text));
    editor.use_cases(&args.add_use_case, &args.remove_use_case);
    if editor.problems.is_empty() { Ok(editor.change) } else { Err(editor.problems) }
}

fn asks_for_packages(args: &ImageUpdateArgs) -> bool {
    let lists = [
        &args.add_pip,
        &args.add_apt,
        &args.remove,
        &args.remove_pip,
        &args.remove_apt,
        &args.add_use_case,
        &args.remove_use_case,
    ];
    lists.iter().any(|list| !list.is_empty()) || args.requirements.is_some() || args.jupyter
}

/// A list of packages of one kind.
struct Packages {
    path: KeyPath,
    what: &'static str,
    parse: fn(&str, &Allowed) -> Result<String, String>,
}

const PIP: Packages = Packages { path: &["packages", "pip"], what: "Python package", parse: parse_pip_from };
const APT: Packages =
    Packages { path: &["packages", "apt"], what: "Debian package", parse: |text, _| parse_apt(text) };
const USE_CASE: KeyPath = &["use_case"];

impl Packages {
    /// The package's name in its normal form, without versions and the like.
    fn name(&self, text: &str, allowed: &Allowed) -> Result<String, String> {
        let normal = (self.parse)(text, allowed)?;
        let name = |c: char| c.is_ascii_alphanumeric() || "-.+".contains(c);
        Ok(normal.chars().take_while(|c| name(*c)).collect())
    }
}

struct Editor<'a> {
    /// Addresses that requirements may name.
    allowed: &'a Allowed,
    /// What the entry says after the changes so far.
    entry: EntryTree,
    change: Change,
    problems: Vec<Problem>,
}

impl Editor<'_> {
    fn make(&mut self, step: EntryChange) {
        match self.entry.apply(&step) {
            Ok(()) => self.change.steps.push(step),
            Err(why) => self.problems.push(Problem::new(why)),
        }
    }

    fn say(&mut self, text: String) {
        self.change.said.push(text);
    }

    fn texts(&self, path: KeyPath) -> Vec<String> {
        let texts = self.entry.get(path).map(EntryTree::texts).unwrap_or_default();
        texts.into_iter().map(str::to_owned).collect()
    }

    fn text(&mut self, path: KeyPath, asked: Option<&str>) {
        let Some(new) = asked else { return };
        let key = path.last().copied().unwrap_or_default();
        match self.texts(path).first() {
            Some(old) if old == new => return self.say(format!("{key} is {new} already")),
            Some(old) => self.say(format!("{key}: {old} → {new}")),
            None => {}
        }
        self.make(EntryChange::Set(path, NewValue::Text(new.to_owned())));
    }

    fn unset(&mut self, path: KeyPath) {
        match self.entry.get(path) {
            Some(_) => self.make(EntryChange::Unset(path)),
            None => self.say(format!("there is no {} to take away", path.join("."))),
        }
    }

    fn jupyter(&mut self) {
        let path: KeyPath = &["jupyter"];
        match self.texts(path).first().map(String::as_str) {
            Some("true" | "True" | "TRUE") => self.say("JupyterLab is there already".into()),
            _ => self.make(EntryChange::Set(path, NewValue::True)),
        }
    }

    /// Positions of a package in its list.
    fn positions(&self, kind: &Packages, name: &str) -> Vec<usize> {
        let same = |text: &String| kind.name(text, self.allowed).is_ok_and(|known| known == name);
        let texts = self.texts(kind.path);
        texts.iter().enumerate().filter(|(_, text)| same(text)).map(|(at, _)| at).collect()
    }

    fn add(&mut self, kind: &Packages, flag: &str, text: &str) {
        let text = text.trim();
        let name = match kind.name(text, self.allowed) {
            Ok(name) => name,
            Err(why) => return self.problems.push(not_one(flag, text, kind, &why)),
        };
        match self.positions(kind, &name).as_slice() {
            [] => self.make(EntryChange::Push(kind.path, text.to_owned())),
            [at] => {
                let old = self.texts(kind.path).swap_remove(*at);
                if (kind.parse)(&old, self.allowed) == (kind.parse)(text, self.allowed) {
                    return self.say(format!("{old} is there already"));
                }
                self.say(format!("{old} → {text}"));
                self.make(EntryChange::Replace(kind.path, *at, text.to_owned()));
            }
            several => {
                let message = format!("{flag}: `{name}` stands there {} times", several.len());
                self.problems.push(Problem::new(message).help("edit the project file by hand"));
            }
        }
    }

    fn remove(&mut self, kind: &Packages, flag: &str, text: &str) {
        let name = match kind.name(text, self.allowed) {
            Ok(name) => name,
            Err(why) => return self.problems.push(not_one(flag, text, kind, &why)),
        };
        if !self.drop_all(kind, &name) {
            self.absent(flag, text, kind.what, &self.texts(kind.path));
        }
    }

    /// True: it was there.
    fn drop_all(&mut self, kind: &Packages, name: &str) -> bool {
        let positions = self.positions(kind, name);
        positions.iter().rev().for_each(|at| self.make(EntryChange::Drop(kind.path, *at)));
        !positions.is_empty()
    }

    fn remove_any(&mut self, text: &str) {
        let found = |kind: &Packages| {
            let name = kind.name(text, self.allowed).ok()?;
            (!self.positions(kind, &name).is_empty()).then_some(name)
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
                self.absent("--remove", text, "package", &all);
            }
        }
    }

    fn absent(&mut self, flag: &str, text: &str, what: &str, all: &[String]) {
        let problem =
            Problem::new(format!("{flag}: the project declares no {what} `{}`", text.escape_debug()));
        let names = all
            .iter()
            .map(|text| PIP.name(text, self.allowed).unwrap_or_else(|_| text.clone()))
            .collect::<Vec<_>>();
        self.problems.push(match nearest(text, names.iter().map(String::as_str)) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if all.is_empty() => {
                problem.help("it declares none; what the image below brings cannot be taken away here")
            }
            None => problem.help(format!("it declares: {}", all.join(", "))),
        });
    }

    /// A set may stand there as a text or as a list.
    fn use_cases(&mut self, add: &[String], remove: &[String]) {
        let mut sets = self.texts(USE_CASE);
        let before = sets.clone();
        for name in remove {
            match sets.iter().position(|known| known == name) {
                Some(at) => _ = sets.remove(at),
                None => self.absent("--remove-use-case", name, "use case", &before),
            }
        }
        for name in add {
            match sets.contains(name) {
                true => self.say(format!("{name} is there already")),
                false => sets.push(name.clone()),
            }
        }
        match sets.as_slice() {
            same if same == before => {}
            [] => self.make(EntryChange::Unset(USE_CASE)),
            [one] => self.make(EntryChange::Set(USE_CASE, NewValue::Text(one.clone()))),
            _ => self.make(EntryChange::Set(USE_CASE, NewValue::Texts(sets))),
        }
    }
}

fn not_one(flag: &str, text: &str, kind: &Packages, why: &str) -> Problem {
    let shown: String = text.chars().take(60).collect();
    Problem::new(format!("{flag}: `{}` is no {}", shown.escape_debug(), kind.what)).help(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::edit;

    const FILE: &str = "thesis:\n  user: ann\n  image: vision\n  packages: {pip: [\"Pandas>=1,<2\", six, dot], apt: [git, dot]}\n";

    fn args(words: &str) -> ImageUpdateArgs {
        use clap::{Args, FromArgMatches};
        let command = ImageUpdateArgs::augment_args(clap::Command::new("update").no_binary_name(true));
        let matches = command.try_get_matches_from(["thesis"].into_iter().chain(words.split_whitespace()));
        ImageUpdateArgs::from_arg_matches(&matches.unwrap()).unwrap()
    }

    fn changed(file: &str, words: &str) -> Result<(String, Vec<String>), Vec<Problem>> {
        let entry = edit::read(file, "thesis").unwrap();
        let change = change(&entry, &args(words), &Named::default(), &Allowed::default())?;
        let text = edit::apply(file, "thesis", &change.steps).unwrap();
        Ok((text.lines().skip(2).map(|line| format!("{}\n", line.trim())).collect(), change.said))
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
