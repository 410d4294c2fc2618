//! Declared packages, and the exec steps they become.
//!
//! A requirement is parsed before it is used and goes into an argument
//! vector, never into a shell string: `pandas>=1.5` is a version, not a
//! redirect. Knows nothing of users: package layers stand below them.

/// `packages:` of an image or a project, each list sorted and without doubles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// Debian package names.
    pub apt: Vec<String>,
    /// PEP 508 requirements in normal form.
    pub pip: Vec<String>,
}
