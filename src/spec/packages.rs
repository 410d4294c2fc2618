//! What images and projects declare: `packages:`, the requirements files that
//! it names, and `use_case:`.

use super::Origins;
use super::read::SpecReader;
use super::reader::{Fields, Item, Problems, short};
use super::requirements;
use crate::image::packages::{self, Packages, parse_apt, parse_pip_from};
use crate::model::problem::{Place, Problem};

/// What is declared, and where each of it stands.
#[derive(Debug, Default)]
pub(crate) struct DeclaredPackages {
    pub(crate) packages: Packages,
    pub(crate) origins: Origins,
}

/// The keys that declare packages.
pub(crate) const KEYS: [&str; 2] = ["packages", "use_case"];

/// What an image or a project declares; `None`: it has no such key.
/// `jupyter`: where it asks for JupyterLab.
pub(crate) fn declared(
    fields: &Fields,
    jupyter: Option<Place>,
    rd: &mut SpecReader,
) -> Option<DeclaredPackages> {
    if jupyter.is_none() && KEYS.iter().all(|key| fields.get(key).is_none()) {
        return None;
    }
    let mut lists = Lists::default();
    if let Some(item) = fields.get("packages") {
        lists.packages(item, rd);
    }
    let own = lists.packages_of();
    let mut whole = own.clone();
    if let Some(item) = fields.get("use_case") {
        for (name, item) in item.one_or_more(&mut rd.problems) {
            let Some(set) = use_case(name, item, &mut rd.problems) else { continue };
            whole = lists.add_set(whole, &set, &item.place());
        }
    }
    // They are not among a project's packages, but pip gets them with these.
    if let Some(place) = &jupyter {
        lists.add_set(whole.clone(), &packages::jupyter_packages(), place);
    }
    lists.check_hashes(&mut rd.problems);
    let origins = lists.apt.into_iter().chain(lists.pip).chain(lists.constraints).collect();
    Some(DeclaredPackages { packages: whole, origins })
}

/// What was read, each with its place.
#[derive(Default)]
struct Lists {
    apt: Origins,
    pip: Origins,
    constraints: Origins,
    require_hashes: Option<Place>,
}

impl Lists {
    fn packages(&mut self, item: Item, rd: &mut SpecReader) {
        let fields = item.fields(&["apt", "pip", "requirements"], &mut rd.problems);
        let allowed = rd.allow_urls.clone();
        self.apt = list(fields.get("apt"), parse_apt, "Debian package", &mut rd.problems);
        let parse = |text: &str| parse_pip_from(text, &allowed);
        self.pip = list(fields.get("pip"), parse, "pip requirement", &mut rd.problems);
        let files = fields.get("requirements").map(|item| item.one_or_more(&mut rd.problems));
        for (path, item) in files.unwrap_or_default() {
            let read = requirements::read(path, &item.place(), rd);
            self.pip.extend_from_slice(&read.pip);
            self.constraints.extend_from_slice(&read.constraints);
            self.require_hashes = self.require_hashes.take().or_else(|| read.require_hashes.clone());
        }
    }

    fn packages_of(&self) -> Packages {
        let texts = |list: &Origins| list.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        Packages::new(texts(&self.apt), texts(&self.pip)).constrained(texts(&self.constraints))
    }

    /// Adds what of a set is not asked for already.
    fn add_set(&mut self, before: Packages, set: &Packages, place: &Place) -> Packages {
        let whole = before.with_set(set);
        let new = |list: &[String], before: &[String]| {
            let new: Vec<_> = list.iter().filter(|text| !before.contains(text)).cloned().collect();
            new.into_iter().map(|text| (text, place.clone())).collect::<Vec<_>>()
        };
        self.apt.extend(new(&whole.apt, &before.apt));
        self.pip.extend(new(&whole.pip, &before.pip));
        whole
    }

    /// pip takes hashes for everything or for nothing, and with them exact
    /// versions only.
    fn check_hashes(&self, problems: &mut Problems) {
        let lines = || self.pip.iter().chain(&self.constraints);
        let hashed = lines().find(|(text, _)| packages::is_hashed(text)).map(|(_, place)| place);
        let Some(first) = self.require_hashes.as_ref().or(hashed) else { return };
        let first = format!("{}:{}", first.file.path.display(), first.line_column().0);
        for (text, place) in &self.pip {
            let name = text.split(" --hash=").next().unwrap_or_default();
            let (message, help) = if !packages::is_hashed(text) {
                let message =
                    format!("`{}` has no hash, and {first} makes pip demand one of all", short(name));
                (
                    message,
                    "write it into a requirements file with its version and `--hash=sha256:…`, or drop all hashes",
                )
            } else if !packages::is_pinned(text) {
                let message = format!("`{}` has a hash and no exact version", short(name));
                (message, "pip demands `==` beside hashes; write the version that the hash is of")
            } else {
                continue;
            };
            problems.push(Problem::new(message).at(place).help(help));
        }
    }
}

fn use_case(name: &str, item: Item, problems: &mut Problems) -> Option<Packages> {
    let found = packages::use_case(name);
    if found.is_none() {
        let known: Vec<&str> = packages::use_cases().collect();
        let near = problems.near(name, known.iter().copied());
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let problem = Problem::new(format!("no use case `{}`", short(name))).at(&item.place());
        problems.push(problem.help(format!("{near}there are {}", known.join(", "))));
    }
    found
}

fn list(
    item: Option<Item>,
    parse: impl Fn(&str) -> Result<String, String>,
    what: &str,
    problems: &mut Problems,
) -> Origins {
    let mut normal = Origins::new();
    for (text, item) in item.map(|item| item.strings(problems)).unwrap_or_default() {
        match parse(text) {
            Ok(text) => normal.push((text, item.place())),
            Err(why) => problems
                .push(Problem::new(format!("`{}` is no {what}", short(text))).at(&item.place()).help(why)),
        }
    }
    normal
}
