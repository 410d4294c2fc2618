//! Declared packages, and the exec steps they become.
//!
//! A requirement is parsed before it is used and goes into an argument
//! vector, never into a shell string: `pandas>=1.5` is a version, not a
//! redirect. Knows nothing of users: package layers stand below them.

mod index;
mod marker;
mod pip;
mod requirements;
mod steps;

#[cfg(test)]
mod tests;

pub(crate) use index::PackageIndex;
pub(crate) use pip::{AllowedAddresses, is_from_git, is_hashed, is_pinned, parse_pip, parse_pip_from};
pub(crate) use requirements::{LineContent, RequirementLine, decode, lines};
pub(crate) use steps::{
    APT_AUTH_SECRET, APT_MIRROR_SECRET, CA_SECRET, PIP_CONF_SECRET, StepSettings, blamed_packages, steps,
};

/// Changes whenever the same packages would become other steps; part of the
/// recipe, so that images with the old steps are made anew.
pub(crate) const RULE_VERSION: u32 = 2;

/// The longest text that is read as one package, in bytes. The longest real
/// ones, with extras and markers, have about 150.
const LONGEST: usize = 250;

/// What an image or a project declares, each list sorted and without doubles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packages {
    /// Debian package names.
    pub(crate) apt: Vec<String>,
    /// PEP 508 requirements in normal form, each maybe with ` --hash=…` behind
    /// it: lines of a requirements file.
    pub(crate) pip: Vec<String>,
    /// What bounds the versions of anything that is installed, in the same form.
    pub(crate) constraints: Vec<String>,
}

impl Packages {
    /// Sorts both lists and drops doubles. The texts must come from
    /// [`parse_apt`] and [`parse_pip`].
    pub(crate) fn new(apt: impl IntoIterator<Item = String>, pip: impl IntoIterator<Item = String>) -> Self {
        Self { apt: sorted(apt), pip: sorted(pip), constraints: Vec::new() }
    }

    /// The same, with constraints.
    pub(crate) fn constrained(self, constraints: impl IntoIterator<Item = String>) -> Self {
        Self { constraints: sorted(constraints), ..self }
    }

    /// These and the others together.
    pub(crate) fn and(&self, others: &Self) -> Self {
        let both = |a: &[String], b: &[String]| [a, b].concat();
        Self::new(both(&self.apt, &others.apt), both(&self.pip, &others.pip))
            .constrained(both(&self.constraints, &others.constraints))
    }

    /// These, and what a named set has besides: a requirement of one's own
    /// for a package of the set says more than the set.
    pub(crate) fn with_set(&self, set: &Self) -> Self {
        let own: Vec<&str> = self.pip.iter().filter(|r| !r.contains(" ;")).map(|r| pip::name_of(r)).collect();
        let rest = set.pip.iter().filter(|name| !own.contains(&pip::name_of(name))).cloned();
        self.and(&Self::new(set.apt.clone(), rest))
    }

    /// Whether nothing is declared. Constraints alone install nothing.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.apt.is_empty() && self.pip.is_empty()
    }
}

fn sorted(list: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut list: Vec<String> = list.into_iter().collect();
    list.sort();
    list.dedup();
    list
}

/// Refuses what no kind of package can be. `kind` is for the message.
fn check_text(text: &str, kind: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("an empty text is not {kind}; remove the entry or write a name"));
    }
    if text.len() > LONGEST {
        let start: String = text.chars().take(20).collect();
        return Err(format!(
            "{:?} is longer than {LONGEST} bytes and so not {kind}; write one package for each entry",
            format!("{start}…")
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!(
            "{text:?} holds a line break or another control character; write one package for each entry"
        ));
    }
    if text.starts_with('-') {
        return Err(format!(
            "{text:?} is an option, not {kind}; options cannot be given here: where packages come from is set under `build:`"
        ));
    }
    Ok(())
}

// The grammar of Debian packages: `name`, `name:arch`, `name=version`.

const DEBIAN_PACKAGE: &str = "a Debian package";

/// Checks one Debian package: a name (Debian policy 5.6.1), then maybe
/// `:architecture`, then maybe `=version` (policy 5.6.12). Blanks at the ends
/// are dropped.
///
/// # Errors
/// Says what is wrong and what to write instead.
pub(crate) fn parse_apt(text: &str) -> Result<String, String> {
    let text = text.trim_matches([' ', '\t']);
    check_text(text, DEBIAN_PACKAGE)?;
    let (package, version) = text.split_once('=').map_or((text, None), |(p, v)| (p, Some(v)));
    let (name, arch) = package.split_once(':').map_or((package, None), |(n, a)| (n, Some(a)));
    check_name(text, name)?;
    if let Some(arch) = arch
        && !(is_word(arch) && arch.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
    {
        return Err(format!("{arch:?} in {text:?} is not an architecture; write one such as `{name}:amd64`"));
    }
    if let Some(version) = version
        && !is_version(version)
    {
        return Err(format!(
            "{version:?} in {text:?} is not a Debian version; write all of it, as `{name}=1:2.3-4`, or leave it out"
        ));
    }
    Ok(text.to_owned())
}

fn check_name(text: &str, name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    if let Some(bad) = name.chars().find(|&c| !c.is_ascii() || !allowed(c as u8)) {
        let help = match bad {
            'A'..='Z' => format!("names are lower case, perhaps `{}`", name.to_lowercase()),
            '<' | '>' => "only an exact version can be asked for, as `name=1.2-3`".to_owned(),
            '/' => {
                "a release cannot be chosen; write the name, or an exact version as `name=1.2-3`".to_owned()
            }
            ' ' => "write one package for each entry".to_owned(),
            _ => "write a name as `apt-cache search` shows it".to_owned(),
        };
        return Err(format!("{text:?} is not {DEBIAN_PACKAGE}: {bad:?} cannot be in a name; {help}"));
    }
    if name.len() < 2 || !is_word(name) {
        return Err(format!(
            "{text:?} is not {DEBIAN_PACKAGE}: a name has two characters or more and begins with a letter or digit; write it as `apt-cache search` shows it"
        ));
    }
    // To apt-get, `name-` means: remove it.
    if name.ends_with('-') {
        return Err(format!(
            "{text:?} ends with `-`, which would remove a package; packages of the base cannot be removed here"
        ));
    }
    Ok(())
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-:~".contains(&b))
}

// Sets of packages that go by one name.

/// `use_case:` names and the Python packages that they stand for.
const USE_CASES: [(&str, &[&str]); 9] = [
    ("audio", &["audiomentations", "librosa", "soundfile"]),
    ("cv", &["albumentations", "kornia", "opencv-python-headless", "timm", "ultralytics"]),
    ("datascience", &["matplotlib", "pandas", "scikit-learn", "scipy", "seaborn"]),
    (JUPYTER, &["ipykernel", "ipywidgets", "jupyterlab", "notebook"]),
    ("llm", &["bitsandbytes", "einops", "langchain", "vllm"]),
    ("ml", &["catboost", "lightgbm", "optuna", "shap", "xgboost"]),
    (
        "nlp",
        &[
            "accelerate",
            "datasets",
            "evaluate",
            "peft",
            "safetensors",
            "sentencepiece",
            "tokenizers",
            "transformers",
        ],
    ),
    ("rl", &["gymnasium", "stable-baselines3"]),
    ("ts", &["darts", "prophet", "statsmodels"]),
];

const JUPYTER: &str = "jupyter";

/// The one set of Debian packages.
const SYSTEM: (&str, &[&str]) = ("system", &["curl", "git", "htop", "vim", "wget"]);

/// What `jupyter: true` adds: JupyterLab, and the kernel through which a
/// notebook runs in the image's own Python.
pub(crate) fn jupyter_packages() -> Packages {
    use_case(JUPYTER).unwrap_or_default()
}

/// The packages of a use case; `None`: there is none of that name.
pub(crate) fn use_case(name: &str) -> Option<Packages> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    if name == SYSTEM.0 {
        return Some(Packages::new(owned(SYSTEM.1), []));
    }
    let found = USE_CASES.iter().find(|(known, _)| *known == name);
    found.map(|(_, pip)| Packages::new([], owned(pip)))
}

/// The names that [`use_case`] knows.
pub(crate) fn use_cases() -> impl Iterator<Item = &'static str> {
    USE_CASES.iter().map(|(name, _)| *name).chain([SYSTEM.0])
}
