//! Which of the declared packages a failing install complains about, read
//! from what apt and pip print. Knows names, and nothing of where they stand.

use std::sync::LazyLock;

use regex::Regex;

use super::pip::{name_of, normal};

/// What pip and apt say, the names in it as the one group. Names of several
/// stand with commas, `and`, or each with its version.
static SAID: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // pip
        r"satisfies the requirement (\S+)",
        r"No matching distribution found for (\S+)",
        r"Cannot install (.+) because",
        r"The user requested (?:\(constraint\) )?(\S+)",
        r"\(from ([A-Za-z0-9][\w.\[\],-]*?)(?:[=<>!~].*)?(?:->.*)?\)",
        r"Failed building wheel for (\S+)",
        r"Could not build wheels for (.+?), which",
        r"pyproject\.toml based projects \((.+)\)",
        r"Package '(\S+)' requires a different Python",
        r"^\s{4}(\S+)(?: from https?:.*)? \(from -r ",
        r"^\s{4}(\S+) --hash=",
        r"Could not install requirement (\S+)",
        r"(\S+) has inconsistent",
        r"while getting (https://\S+)",
        // apt
        r"Unable to locate package (\S+)",
        r"Version '[^']*' for '([^']+)' was not found",
        r"Package '([^']+)' has no installation candidate",
        r"Couldn't find any package by (?:glob|regex) '([^']+)'",
        r"^ (\S+) : (?:Pre)?Depends:",
    ];
    patterns.iter().map(|pattern| Regex::new(pattern).expect("a fixed pattern")).collect()
});

/// Those of `declared` that the output names as what went wrong, in the order
/// in which it names them. The texts are those of
/// [`Packages`](super::Packages).
pub(crate) fn culprits<'a>(output: &[String], declared: &[&'a str]) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for name in output.iter().flat_map(|line| SAID.iter().flat_map(|said| names(said, line))) {
        for text in declared.iter().filter(|text| means(text, &name)) {
            if !found.contains(text) {
                found.push(text);
            }
        }
    }
    found
}

fn names(said: &Regex, line: &str) -> Vec<String> {
    let Some(list) = said.captures(line).and_then(|found| found.get(1)) else { return Vec::new() };
    let words = list.as_str().split([',', ' ']).map(|word| word.trim_matches(['\'', '"', '(', ')', ':']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a declared text asks for what is called by this name.
fn means(declared: &str, name: &str) -> bool {
    if name.starts_with("https://") {
        return declared.split_whitespace().any(|word| word.split('#').next() == name.split('#').next());
    }
    // Debian's `name:arch=version`, where `g++` is not `g`.
    let debian = |text: &str| text.split([':', '=']).next().unwrap_or_default().to_owned();
    let (one, other) = (debian(declared), debian(name));
    one == other
        || (!one.ends_with('+') && !other.ends_with('+') && normal(name_of(&one)) == normal(name_of(&other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blamed(output: &str, declared: &[&str]) -> Vec<String> {
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        culprits(&lines, declared).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn pip_names_what_it_cannot_find() {
        let said = "ERROR: Could not find a version that satisfies the requirement Scikit_Learn==9 (from versions: 1.0, 1.1)\nERROR: No matching distribution found for Scikit_Learn==9";
        assert_eq!(blamed(said, &["scikit-learn==9", "versions", "no"]), ["scikit-learn==9"]);
    }

    #[test]
    fn a_requirement_is_to_blame_for_what_it_needs() {
        let said = "ERROR: Could not find a version that satisfies the requirement torch>=99 (from timm) (from versions: 2.0)";
        assert_eq!(blamed(said, &["six", "timm>=1 --hash=sha256:00"]), ["timm>=1 --hash=sha256:00"]);
        let deep = "ERROR: Ignored x (from timm[all]==1.0->huggingface-hub)";
        assert_eq!(blamed(deep, &["timm[all]==1.0"]), ["timm[all]==1.0"]);
    }

    #[test]
    fn all_that_conflict_are_named() {
        let said = "ERROR: Cannot install numpy==1.0 and pandas[all]==2.0 because these package versions have conflicting dependencies.";
        let declared = ["because", "numpy==1.0", "pandas[all]==2.0", "six"];
        assert_eq!(blamed(said, &declared), ["numpy==1.0", "pandas[all]==2.0"]);
    }

    #[test]
    fn builds_and_hashes_that_fail_are_traced() {
        assert_eq!(blamed("  ERROR: Failed building wheel for pycairo", &["wheel", "pycairo"]), ["pycairo"]);
        let wheels = "ERROR: Could not build wheels for a, b-c, which is required to install pyproject.toml-based projects";
        assert_eq!(blamed(wheels, &["a", "b-c>=1", "projects"]), ["a", "b-c>=1"]);
        let hash = "    six==1.16.0 from https://host/six.whl (from -r /run/ds01/requirements.txt (line 1)):";
        assert_eq!(blamed(hash, &["six==1.16.0 --hash=sha256:00"]), ["six==1.16.0 --hash=sha256:00"]);
    }

    #[test]
    fn apt_names_what_it_does_not_have() {
        let declared = ["g++", "g", "ffmpg", "curl=9"];
        assert_eq!(blamed("E: Unable to locate package ffmpg", &declared), ["ffmpg"]);
        assert_eq!(blamed("E: Version '9' for 'curl' was not found", &declared), ["curl=9"]);
        assert_eq!(blamed("E: Package 'g++' has no installation candidate", &declared), ["g++"]);
        assert!(blamed("E: Could not get lock /var/lib/apt", &declared).is_empty());
    }
}
