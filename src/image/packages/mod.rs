//! Declared packages, and the exec steps they become.
//!
//! A requirement is parsed before it is used and goes into an argument
//! vector, never into a shell string: `pandas>=1.5` is a version, not a
//! redirect. Knows nothing of users: package layers stand below them.

mod apt;
mod culprit;
mod marker;
mod pip;
mod requirements;
mod sets;
mod site;
mod steps;

#[cfg(test)]
mod tests;

pub(crate) use apt::parse_apt;
pub(crate) use culprit::culprits;
pub(crate) use pip::{Allowed, parse_pip, parse_pip_from};
pub(crate) use requirements::{Content, Line, lines};
pub(crate) use sets::{jupyter_packages, use_case, use_cases};
pub(crate) use site::Site;
pub(crate) use steps::{APT_AUTH_SECRET, APT_MIRROR_SECRET, CA_SECRET, PIP_CONF_SECRET, StepSettings, steps};

/// Changes whenever the same packages would become other steps; part of the
/// recipe, so that images with the old steps are made anew.
pub(crate) const RULE_VERSION: u32 = 1;

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

/// Whether a line of a requirements file has a hash, so that pip demands one
/// of every other.
pub(crate) fn is_hashed(requirement: &str) -> bool {
    pip::is_hashed(requirement)
}

/// Whether pip takes a line's version for exact, as it demands beside hashes.
pub(crate) fn is_pinned(requirement: &str) -> bool {
    pip::is_pinned(requirement)
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
