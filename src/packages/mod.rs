//! Declared packages, and the exec steps they become.
//!
//! A requirement is parsed before it is used and goes into an argument
//! vector, never into a shell string: `pandas>=1.5` is a version, not a
//! redirect. Knows nothing of users: package layers stand below them.

mod apt;
mod marker;
mod pip;
mod sets;
mod steps;

#[cfg(test)]
mod tests;

pub use apt::parse_apt;
pub use pip::parse_pip;
pub use sets::{jupyter_packages, use_case, use_cases};
pub use steps::{StepSettings, steps};

/// Changes whenever the same packages would become other steps; part of the
/// recipe, so that images with the old steps are made anew.
pub const RULE_VERSION: u32 = 1;

/// The longest text that is read as one package, in bytes. The longest real
/// ones, with extras and markers, have about 150.
const LONGEST: usize = 250;

/// `packages:` of an image or a project, each list sorted and without doubles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// Debian package names.
    pub apt: Vec<String>,
    /// PEP 508 requirements in normal form.
    pub pip: Vec<String>,
}

impl Packages {
    /// Sorts both lists and drops doubles. The texts must come from
    /// [`parse_apt`] and [`parse_pip`].
    pub fn new(apt: impl IntoIterator<Item = String>, pip: impl IntoIterator<Item = String>) -> Self {
        let sorted = |list: Vec<String>| {
            let mut list = list;
            list.sort();
            list.dedup();
            list
        };
        Self { apt: sorted(apt.into_iter().collect()), pip: sorted(pip.into_iter().collect()) }
    }

    /// These and the others together.
    pub fn and(&self, others: &Self) -> Self {
        Self::new([&self.apt[..], &others.apt].concat(), [&self.pip[..], &others.pip].concat())
    }

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.apt.is_empty() && self.pip.is_empty()
    }
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
